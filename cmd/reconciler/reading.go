package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// clientOf is a client of the daemon, for verbs that need one.
func clientOf(cmd *cobra.Command) (*api.Client, error) {
	paths, err := pathsOf(cmd)
	if err != nil {
		return nil, err
	}
	return api.NewClient(paths.Socket), nil
}

// readingOf is the daemon, or a copy of its store when it is down. The caller closes it.
func readingOf(cmd *cobra.Command) (api.Reading, io.Closer, error) {
	paths, err := pathsOf(cmd)
	if err != nil {
		return nil, nil, err
	}
	client := api.NewClient(paths.Socket)
	_, err = client.Version(cmd.Context())
	switch {
	case err == nil:
		return client, client, nil
	case paths.SocketOnly || !errors.Is(err, api.ErrNoDaemon):
		return nil, nil, err
	}
	db, copyErr := store.OpenCopy(paths.Store())
	switch {
	case errors.Is(copyErr, fs.ErrNotExist):
		return nil, nil, err // never run here: its error says how to start it
	case errors.Is(copyErr, store.ErrLocked):
		return nil, nil, fmt.Errorf("%w; it is starting or ending: try again", api.ErrNoDaemon)
	case copyErr != nil:
		return nil, nil, fmt.Errorf("%w, and %w", api.ErrNoDaemon, copyErr)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "reconciler: the daemon does not answer at %s; this is from its store %s\n",
		paths.Socket, paths.Store())
	looker := observed.Looker{Run: subreaper.RunDir(paths.Run)}
	return &api.Reader{DB: db, Observe: looker.Look, LogDir: paths.Logs}, db, nil
}
