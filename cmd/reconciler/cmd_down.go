package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
)

func newDownCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "down --exit",
		Short: "Stop all containers, then the daemon and its subreapers",
		Long: `Stop all containers, each with its grace period, then the subreapers and the daemon. It returns when they are
gone. What is stopped so starts again with the next reconciler run.`,
		Args: usage(cobra.NoArgs),
	}
	exit := cmd.Flags().Bool("exit", false, "end the daemon too (required: this version has no other way down)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !*exit {
			return usagef("down without --exit is not supported by this version")
		}
		client, err := clientOf(cmd)
		if err != nil {
			return err
		}
		defer client.Close()
		err = client.Down(cmd.Context())
		if errors.Is(err, api.ErrNoDaemon) {
			return fmt.Errorf("%w; containers may run without it, and only it can stop them", err)
		}
		return err
	}
	return cmd
}
