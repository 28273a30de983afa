package main

import (
	"io"

	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
)

func newLogsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "logs NAME",
		Short: "Show the output of a container",
		Long: `Show what a container wrote to stdout and stderr, as it wrote it: by default that of the current or last instance.

With --previous it is the last instance that ended before the current or awaited one.`,
		Example:           "  reconciler logs web --tail 20\n  reconciler logs web --previous",
		Args:              oneContainer,
		ValidArgsFunction: oneName,
	}
	var o api.LogOptions
	cmd.Flags().IntVar(&o.Attempt, "attempt", 0, "of this `number`: see exits")
	cmd.Flags().BoolVarP(&o.Previous, "previous", "p", false, "of the instance before")
	cmd.Flags().IntVar(&o.Tail, "tail", 0, "only this `number` of lines at the end")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		for _, name := range []string{"attempt", "tail"} {
			if n, err := cmd.Flags().GetInt(name); err != nil || n < 1 && cmd.Flags().Changed(name) {
				return usagef("--%s must be at least 1", name)
			}
		}
		if o.Previous && o.Attempt != 0 {
			return usagef("--attempt and --previous exclude each other")
		}
		if err := checkNames(args); err != nil {
			return err
		}
		reading, closer, err := readingOf(cmd)
		if err != nil {
			return err
		}
		defer closer.Close()
		log, err := reading.Logs(cmd.Context(), args[0], o)
		if err != nil {
			return err
		}
		defer log.Close()
		// Raw, on a terminal too, as kubectl does: containers may draw.
		_, err = io.Copy(cmd.OutOrStdout(), log)
		return err
	}
	return cmd
}
