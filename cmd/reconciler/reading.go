package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

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
	r := &reading{paths: paths, stderr: cmd.ErrOrStderr(), client: client, from: client, closer: client}
	if _, err = client.Version(cmd.Context()); err != nil {
		err = r.daemonFailed(cmd.Context(), err)
	}
	return r, r, err
}

// reading asks the daemon, and from the moment on that it is away, before or while it is asked, a copy of its store. It is
// for one goroutine.
type reading struct {
	paths  Paths
	stderr io.Writer
	client *api.Client
	from   api.Reading // client, or the store
	closer io.Closer   // of from
}

var _ api.Reading = (*reading)(nil)

// asked asks, and once more of the store if the daemon is away.
func asked[T any](ctx context.Context, r *reading, ask func(from api.Reading) (T, error)) (T, error) {
	answer, err := ask(r.from)
	if err == nil || r.from != r.client {
		return answer, err
	}
	if err := r.daemonFailed(ctx, err); err != nil {
		return answer, err
	}
	return ask(r.from)
}

// daemonFailed returns nil if it is worth to ask again: the daemon is away, and its store answers.
func (r *reading) daemonFailed(ctx context.Context, err error) error {
	if r.paths.SocketOnly || !errors.Is(err, api.ErrNoDaemon) && !errors.Is(err, api.ErrHungUp) {
		return err
	}
	return r.turnToStore(ctx, err)
}

// lockPatience is how long the store of a daemon that hung up may stay locked: until its process is gone, or the next one
// answers.
const lockPatience = 5 * time.Second

// turnToStore has the store answer from now on, and says so.
func (r *reading) turnToStore(ctx context.Context, cause error) error {
	db, err := store.OpenCopy(r.paths.Store())
	for end := time.Now().Add(lockPatience); errors.Is(err, store.ErrLocked) && errors.Is(cause, api.ErrHungUp) && time.Now().Before(end); {
		if _, err := r.client.Version(ctx); err == nil || ctx.Err() != nil {
			return ctx.Err() // the next daemon is asked
		}
		db, err = store.OpenCopy(r.paths.Store())
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return cause // never run here: its error says how to start it
	case errors.Is(err, store.ErrLocked):
		return fmt.Errorf("%w; it is starting or ending: try again", api.ErrNoDaemon)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w, and only root may read its store %s", api.ErrNoDaemon, r.paths.Store())
	case err != nil:
		return fmt.Errorf("%w, and %w", api.ErrNoDaemon, err)
	}
	fmt.Fprintf(r.stderr, "reconciler: the daemon does not answer at %s; this is from its store %s\n", r.paths.Socket, r.paths.Store())
	looker := observed.Looker{Run: subreaper.RunDir(r.paths.Run)}
	err = r.closer.Close()
	r.from, r.closer = &api.Reader{DB: db, Observe: looker.Look, LogDir: r.paths.Logs}, db
	return err
}

func (r *reading) Close() error { return r.closer.Close() }

func (r *reading) Containers(ctx context.Context) (api.List[api.Container], error) {
	return asked(ctx, r, func(from api.Reading) (api.List[api.Container], error) { return from.Containers(ctx) })
}

func (r *reading) Brief(ctx context.Context) (api.List[api.Container], error) {
	return asked(ctx, r, func(from api.Reading) (api.List[api.Container], error) { return from.Brief(ctx) })
}

func (r *reading) Container(ctx context.Context, name string) (*api.Container, error) {
	return asked(ctx, r, func(from api.Reading) (*api.Container, error) { return from.Container(ctx, name) })
}

func (r *reading) Exits(ctx context.Context, name string) (api.List[api.Exit], error) {
	return asked(ctx, r, func(from api.Reading) (api.List[api.Exit], error) { return from.Exits(ctx, name) })
}

func (r *reading) Events(ctx context.Context, after uint64, limit int) (api.List[api.Event], error) {
	return asked(ctx, r, func(from api.Reading) (api.List[api.Event], error) { return from.Events(ctx, after, limit) })
}

func (r *reading) Sources(ctx context.Context) ([]api.Source, error) {
	return asked(ctx, r, func(from api.Reading) ([]api.Source, error) { return from.Sources(ctx) })
}

func (r *reading) NodeState(ctx context.Context) (api.NodeState, error) {
	return asked(ctx, r, func(from api.Reading) (api.NodeState, error) { return from.NodeState(ctx) })
}

func (r *reading) Logs(ctx context.Context, name string, o api.LogOptions) (*api.Log, error) {
	return asked(ctx, r, func(from api.Reading) (*api.Log, error) { return from.Logs(ctx, name, o) })
}
