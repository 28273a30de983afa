package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"
)

func newSourcesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sources",
		Short: "Show where manifests come from and what is wrong with them",
		Long: `Show where manifests come from and what is wrong with them.

A directory that vanished, cannot be read, or is another one than before (an unmounted one looks empty) changes nothing.
"reconciler sources confirm" accepts the directory as it is now, and with it the removal of what it no longer holds.`,
		Args: noVerb,
	}
	output := addFormat(cmd, "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		reading, closer, err := readingOf(cmd)
		if err != nil {
			return err
		}
		defer closer.Close()
		sources, err := reading.Sources(cmd.Context())
		if err != nil {
			return err
		}
		if printed, printErr := output.object(cmd.OutOrStdout(), items(sources)); printed {
			return printErr
		}
		t := newTable(cmd.OutOrStdout(), "", "SOURCE", "FILE", "PROBLEM")
		for _, s := range sources {
			t.row(s.Name, "", s.Problem)
			for _, file := range slices.Sorted(maps.Keys(s.Files)) {
				t.row(s.Name, file, s.Files[file])
			}
		}
		return t.flush()
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "confirm",
		Short: "Accept the manifests directory as it is now",
		Long: `Accept the manifests directory as it is now, and with it the removal of what it no longer holds. It returns once all of
it is taken in. It does nothing to a directory that is followed.`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := clientOf(cmd)
			if err != nil {
				return err
			}
			defer client.Close()
			done, err := client.ConfirmSources(cmd.Context())
			if err != nil {
				return err
			}
			said := "there is nothing to confirm: the manifests directory is followed"
			if done.Confirmed {
				said = "the manifests directory is accepted as it is"
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), said)
			return err
		},
	})
	return cmd
}
