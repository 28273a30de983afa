package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
)

// verbCommand is a verb that asks the daemon for a change of each container named. One that fails does not keep the
// others from being asked for.
func verbCommand(cmd *cobra.Command, said string, ask func(*api.Client, context.Context, string) error) *cobra.Command {
	cmd.Args = usage(cobra.MinimumNArgs(1))
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		client, err := clientOf(cmd)
		if err != nil {
			return err
		}
		defer client.Close()
		var errs []error
		for _, name := range names {
			err := ask(client, cmd.Context(), name)
			if err == nil {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", clean(name), said)
			}
			if errors.Is(err, api.ErrNoDaemon) {
				return err // and it would be for the others
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}
	return cmd
}
