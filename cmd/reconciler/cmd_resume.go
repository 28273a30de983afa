package main

import (
	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
	"reconciler.dev/reconciler/pkg/desired"
)

func newResumeCommand() *cobra.Command {
	return verbCommand(&cobra.Command{
		Use:   "resume NAME... | -l SELECTOR | --all",
		Short: "Let paused containers run on",
		Long: `Let paused containers run on, whoever paused them: the verb pause, or their manifests. What is not paused is
refused when it is named, and left alone under -l and --all. It returns when the wish is on record.`,
		Example: "  reconciler resume web",
	}, verb{ask: (*api.Client).Resume, said: "will be resumed", fits: wantedPaused, later: true})
}

func wantedPaused(c *api.Container) bool {
	if o := c.Status.Override; o != nil {
		return o.State == desired.Paused
	}
	return c.Spec.State == desired.Paused
}
