package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newUpCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "up [--reason TEXT]",
		Short: "Let the containers run again that down has stopped",
		Long: `Lift what down did to the node: every container is again what its manifest and the verbs want it to be. It returns
when that is on record. It does nothing to a node that is not held.

With --reason it lifts only what down did for that reason; a node that is held for another one stays so, which is
status 1: a machine's start undoes what its shutdown did, and not what somebody does meanwhile.`,
		Example:           "  reconciler up --reason shutdown",
		Args:              usage(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := clientOf(cmd)
			if err != nil {
				return err
			}
			defer client.Close()
			if err := client.Up(cmd.Context(), reason); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "the node is up")
			return err
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "lift only what was done for this reason, the `text` that down was given")
	return cmd
}
