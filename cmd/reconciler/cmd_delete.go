package main

import (
	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
)

func newDeleteCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "delete NAME... | -l SELECTOR | -f FILE|DIR|-",
		Short: "Take back what apply made wanted",
		Long: `Take back what apply made wanted: the containers are stopped with their grace periods and forgotten, but for their
exits, events and logs. It returns when that is on record; "wait --for=deleted" waits until nothing of them lives. A name
that belongs to a file of the manifests directory is refused: remove that file.`,
		Example: "  reconciler delete web\n  reconciler delete -f web.yaml && reconciler wait web --for=deleted",
	}
	chosen := addSelection(cmd, false)
	files := addFilename(cmd)
	v := verb{ask: (*api.Client).Delete, said: "deleted"}
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		if len(*files) == 0 {
			return v.run(cmd, chosen, names)
		}
		if len(names) > 0 || chosen.chosen {
			return usagef("delete takes names, -l or -f: one of them")
		}
		found, err := containersOf(cmd, *files)
		if err != nil {
			return err
		}
		for _, w := range found {
			names = append(names, w.container.Name)
		}
		return v.run(cmd, chosen, names)
	}
	return cmd
}
