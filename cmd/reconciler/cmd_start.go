package main

import (
	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
)

func newStartCommand() *cobra.Command {
	return verbCommand(&cobra.Command{
		Use:   "start NAME...",
		Short: "Start containers that are stopped, completed or failed",
		Long: `Start containers that are stopped, whatever their manifests say. One that is Completed or Failed runs once more.
It returns when the wish is on record; get shows when it has come to be.`,
	}, "will be started", (*api.Client).Start)
}
