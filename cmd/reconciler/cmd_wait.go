package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
)

func newWaitCommand() *cobra.Command {
	w := waiting{timeout: 30 * time.Second}
	cmd := &cobra.Command{
		Use:   "wait NAME... | -l SELECTOR --for=phase=PHASE|condition=TYPE[=STATUS]|deleted",
		Short: "Wait until containers have come to a state",
		Long: `Wait until each of the containers has been in a state, were it for a moment: a phase or a condition as describe shows
them, or deleted, which is not wanted any more and nothing left alive. It goes on over a restart of the daemon.

Exit status: 0 all have come to it; 1 there is no such container, or one was deleted; 124 not within --timeout.`,
		Example: `  reconciler wait web --for=phase=Running --timeout 10s
  reconciler wait -l tier=front --for=condition=Ready
  reconciler delete web && reconciler wait web --for=deleted`,
		RunE: func(cmd *cobra.Command, names []string) error { return w.run(cmd, names) },
	}
	w.chosen = addSelection(cmd, false)
	cmd.Flags().StringVar(&w.goal, "for", "", "the `state`: phase=PHASE, condition=TYPE[=STATUS] or deleted")
	cmd.Flags().DurationVar(&w.timeout, "timeout", w.timeout, "wait so long at most")
	_ = cmd.RegisterFlagCompletionFunc("for", completeGoals)
	return cmd
}

type waiting struct {
	chosen  *selection
	goal    string
	timeout time.Duration
}

func (w *waiting) run(cmd *cobra.Command, names []string) error {
	if err := w.chosen.check(cmd, names, true); err != nil {
		return err
	}
	goal, err := api.ParseGoal(w.goal)
	switch {
	case w.goal == "":
		return usagef("wait needs --for=phase=PHASE, --for=condition=TYPE or --for=deleted")
	case err != nil:
		return usageError{fmt.Errorf("--for: %w", err)}
	case w.timeout <= 0:
		return usagef("--timeout %s: must be more than nothing, such as 30s", w.timeout)
	}
	client, err := clientOf(cmd)
	if err != nil {
		return err
	}
	defer client.Close()
	if names, err = w.names(cmd, client, names, goal); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), w.timeout)
	defer cancel()
	var printErr error
	err = client.Await(ctx, names, goal, func(name string) {
		_, failed := fmt.Fprintf(cmd.OutOrStdout(), "%s has come to %s\n", clean(name), goal)
		printErr = errors.Join(printErr, failed)
	}, awayTeller(cmd))
	if errors.Is(err, context.DeadlineExceeded) {
		err = timedOut{fmt.Errorf("timed out after %s: %w", w.timeout, err)}
	}
	return errors.Join(err, printErr)
}

// names are those to wait for. A name that is not there is a slip, unless it is the goal that it is not.
func (w *waiting) names(cmd *cobra.Command, client *api.Client, names []string, goal api.Goal) ([]string, error) {
	if goal.Deleted && len(names) > 0 {
		return names, nil
	}
	found, err := w.chosen.find(cmd, client, names, true)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 && !goal.Deleted {
		return nil, fmt.Errorf("no container matches %s", w.chosen)
	}
	names = nil
	for _, c := range found {
		names = append(names, c.Metadata.Name)
	}
	return names, nil
}
