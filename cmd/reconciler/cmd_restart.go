package main

import (
	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
)

func newRestartCommand() *cobra.Command {
	return verbCommand(&cobra.Command{
		Use:   "restart NAME... | -l SELECTOR | --all",
		Short: "Replace the instances of containers by new ones",
		Long: `Replace the instance of each container by a new one: the old one is stopped with its grace period first. A stop
asked for by the verb stop is lifted. It returns when the wish is on record; get shows when it has come to be.`,
		Example: "  reconciler restart web\n  reconciler restart -l 'tier in (front,back)'",
	}, verb{ask: (*api.Client).Restart, said: "will be restarted", later: true})
}
