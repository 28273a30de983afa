package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
)

func newDownCommand() *cobra.Command {
	var d downOptions
	cmd := &cobra.Command{
		Use:   "down [--reason TEXT] [--exit] [--timeout DURATION]",
		Short: "Stop all containers and hold the node, until up or until it boots",
		Long: `Stop all containers, each with its grace period, and start none until the verb up, or until the node boots: that is
what a host's shutdown calls. It returns when nothing runs any more. What is started, restarted or resumed meanwhile has
its effect at up.

With --exit the node is not held: the containers, then the subreapers and the daemon are ended, and what is stopped so
starts again with the next reconciler run.

With --timeout it ends after that long with status 124; what was asked for goes on.`,
		Example:           "  reconciler down --reason 'new disk' && poweroff",
		Args:              usage(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return d.run(cmd) },
	}
	cmd.Flags().StringVar(&d.reason, "reason", "", "`text` that is shown while the node is held")
	cmd.Flags().BoolVar(&d.exit, "exit", false, "end the daemon too, and hold nothing")
	cmd.Flags().DurationVar(&d.timeout, "timeout", 0, "wait so long at most; 0 is as long as it takes")
	return cmd
}

type downOptions struct {
	reason  string
	exit    bool
	timeout time.Duration
}

func (d downOptions) run(cmd *cobra.Command) error {
	switch {
	case d.exit && d.reason != "":
		return usagef("--reason is shown while the node is held, and --exit holds nothing: one of them")
	case d.timeout < 0:
		return usagef("--timeout %s: must not be negative", d.timeout)
	}
	client, err := clientOf(cmd)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := cmd.Context(), func() {}
	if d.timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, d.timeout)
	}
	defer cancel()
	if d.exit {
		err = client.Exit(ctx)
	} else {
		err = d.hold(ctx, cmd, client)
	}
	switch {
	case errors.Is(err, api.ErrNoDaemon):
		return fmt.Errorf("%w; containers may run without it, and only it can stop them", err)
	case errors.Is(err, context.DeadlineExceeded):
		return timedOut{fmt.Errorf("not down after %s: %s; it goes on", d.timeout, stillThere(err))}
	}
	return err
}

func (d downOptions) hold(ctx context.Context, cmd *cobra.Command, client *api.Client) error {
	held, err := client.Down(ctx, d.reason)
	if err != nil {
		return err
	}
	if err := client.Quiet(ctx, func(string) bool { return true }, awayTeller(cmd)); err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), clean(heldBy(&held)))
	return err
}

// stillThere is what a down that came to no end was waiting for.
func stillThere(err error) string {
	if live, ok := errors.AsType[*api.StillLive](err); ok && len(live.Names) > 0 {
		return live.Error()
	}
	return "the daemon has not said that nothing lives"
}
