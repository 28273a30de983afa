package main

import (
	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
)

func newStopCommand() *cobra.Command {
	return verbCommand(&cobra.Command{
		Use:   "stop NAME...",
		Short: "Stop containers until they are started again",
		Long: `Stop containers, whatever their manifests say, until they are started again: over restarts of the daemon and
of the machine. It returns when the wish is on record; get shows when it has come to be.`,
	}, "will be stopped", (*api.Client).Stop)
}
