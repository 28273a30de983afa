package main

import (
	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
)

func newStartCommand() *cobra.Command {
	return verbCommand(&cobra.Command{
		Use:   "start NAME... | -l SELECTOR | --all",
		Short: "Start containers that are stopped, paused, completed or failed",
		Long: `Start containers that are stopped, whatever their manifests say. One that is paused runs on; one that is Completed
or Failed runs once more. It returns when the wish is on record; get shows when it has come to be.`,
		Example: "  reconciler start web\n  reconciler start -l tier=front",
	}, verb{ask: (*api.Client).Start, said: "will be started", later: true})
}
