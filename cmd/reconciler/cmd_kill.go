package main

import (
	"context"

	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
	"reconciler.dev/reconciler/pkg/desired"
)

func newKillCommand() *cobra.Command {
	signal := signalFlag("SIGKILL")
	cmd := verbCommand(&cobra.Command{
		Use:   "kill [-s SIGNAL] NAME... | -l SELECTOR | --all",
		Short: "Send a signal to the first process of running containers",
		Long: `Send a signal to the first process of running containers: SIGKILL, or the one named, as podman kill does. It is sent
when the verb returns. Nothing else changes: if the container ends by it, its restart policy decides what comes next.
To have it stay stopped, use stop. What does not run is refused when it is named, and left alone under -l and --all.`,
		Example: "  reconciler kill -s HUP web\n  reconciler kill -s SIGRTMIN+3 web\n  reconciler kill -s 10 web",
	}, verb{
		ask:  func(c *api.Client, ctx context.Context, name string) error { return c.Kill(ctx, name, string(signal)) },
		said: "was signalled", fits: lives,
	})
	cmd.Flags().VarP(&signal, "signal", "s", "name or number of the `signal`")
	_ = cmd.RegisterFlagCompletionFunc("signal", completeSignals)
	return cmd
}

func lives(c *api.Container) bool { return c.Status.PID != nil }

// signalFlag is a signal as the user wrote it; what is none is refused before anybody is asked.
type signalFlag string

func (s *signalFlag) String() string { return string(*s) }
func (s *signalFlag) Type() string   { return "signal" }

func (s *signalFlag) Set(text string) error {
	_, err := desired.ParseSignal(text)
	*s = signalFlag(text)
	return err
}
