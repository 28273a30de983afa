package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newPlanCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "plan",
		Short: "Show what would be done now: nothing when all is settled",
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := clientOf(cmd)
			if err != nil {
				return err
			}
			defer client.Close()
			lines, err := client.Plan(cmd.Context())
			if err != nil {
				return err
			}
			for _, l := range lines {
				if _, err := fmt.Fprintln(cmd.OutOrStdout(), clean(l.Line)); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
