package main

import (
	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
)

func newStopCommand() *cobra.Command {
	return verbCommand(&cobra.Command{
		Use:   "stop NAME... | -l SELECTOR | --all",
		Short: "Stop containers until they are started again",
		Long: `Stop containers, whatever their manifests say, until they are started again: over restarts of the daemon and
of the machine. It returns when the wish is on record; get shows when it has come to be, and wait waits for it.`,
		Example: "  reconciler stop web && reconciler wait web --for=phase=Stopped",
	}, verb{ask: (*api.Client).Stop, said: "will be stopped"})
}
