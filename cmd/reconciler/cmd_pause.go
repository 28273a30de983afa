package main

import (
	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
	"reconciler.dev/reconciler/pkg/reconcile"
)

func newPauseCommand() *cobra.Command {
	return verbCommand(&cobra.Command{
		Use:   "pause NAME... | -l SELECTOR | --all",
		Short: "Freeze running containers until they are resumed",
		Long: `Freeze the processes of running containers, whatever their manifests say, until they are resumed: over restarts of
the daemon and of the machine. What does not run is refused when it is named, and left alone under -l and --all. It
returns when the wish is on record; get shows when it has come to be.`,
		Example: "  reconciler pause web && reconciler wait web --for=phase=Paused",
	}, verb{ask: (*api.Client).Pause, said: "will be paused", fits: runs})
}

func runs(c *api.Container) bool { return c.Status.Phase == reconcile.Running }
