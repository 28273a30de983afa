package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
)

func newVersionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show the version of this program and of the daemon",
		Args:  usage(cobra.NoArgs),
	}
	output := addFormat(cmd, "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		paths, err := pathsOf(cmd)
		if err != nil {
			return err
		}
		var both struct {
			Client api.Version  `json:"client"`
			Daemon *api.Version `json:"daemon"` // null: it does not answer
		}
		both.Client = api.Build()
		client := api.NewClient(paths.Socket)
		defer client.Close()
		daemon, err := client.Version(cmd.Context())
		switch {
		case err == nil:
			both.Daemon = &daemon
		case paths.SocketOnly || !errors.Is(err, api.ErrNoDaemon):
			return err
		}
		w := cmd.OutOrStdout()
		if printed, err := output.object(w, both); printed {
			return err
		}
		_, err = fmt.Fprintf(w, "client: %s\ndaemon: %s\n", versionLine(&both.Client), versionLine(both.Daemon))
		return err
	}
	return cmd
}

func versionLine(v *api.Version) string {
	if v == nil {
		return "does not answer"
	}
	line := v.Version + " " + v.Go
	if v.Revision != "" {
		line += " " + v.Revision
	}
	return clean(line)
}
