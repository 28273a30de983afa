package main

import (
	"errors"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
)

func newExitsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "exits NAME",
		Short: "Show how each instance of a container ended, oldest first",
		Long: `Show how each instance of a container ended, oldest first. Names that were removed are known for 7 days.

EXIT is the exit code, or the signal that ended the instance; SOURCE says how that is known.`,
		Example:           "  reconciler exits web\n  reconciler exits web -o json | jq '.items[-1].exitCode'",
		Args:              oneContainer,
		ValidArgsFunction: oneName,
	}
	output := addFormat(cmd, "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkNames(args); err != nil {
			return err
		}
		reading, closer, err := readingOf(cmd)
		if err != nil {
			return err
		}
		defer closer.Close()
		exits, err := reading.Exits(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if printed, err := output.object(cmd.OutOrStdout(), items(exits.Items)); printed {
			return errors.Join(err, told(exits.Problems))
		}
		return errors.Join(printExits(cmd.OutOrStdout(), "", exits.Items), told(exits.Problems))
	}
	return cmd
}

func printExits(w io.Writer, indent string, exits []api.Exit) error {
	t := newTable(w, indent, "ATTEMPT", "PID", "EXIT", "REASON", "SOURCE", "FINISHED", "RAN", "MESSAGE")
	for _, e := range exits {
		how := verdict(&e)
		if e.CoreDumped {
			how += " (core dumped)"
		}
		t.row(strconv.Itoa(e.Attempt), strconv.Itoa(e.PID), how, e.Reason, string(e.Source),
			stamp(e.FinishedAt), ran(&e), e.Message)
	}
	return t.flush()
}
