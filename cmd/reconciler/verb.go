package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
)

// verb is what a verb asks the daemon for, container by container.
type verb struct {
	ask  func(*api.Client, context.Context, string) error
	said string // once it is accepted
	// fits picks those of a selection that the verb is for; nil: all. Who is named is asked for whatever it does.
	fits func(*api.Container) bool
	// later: while the node is held the verb is accepted and has its effect when the hold is lifted.
	later bool
}

// verbCommand makes the command of a verb. A container that fails does not keep the others from being asked for.
func verbCommand(cmd *cobra.Command, v verb) *cobra.Command {
	chosen := addSelection(cmd, true)
	cmd.RunE = func(cmd *cobra.Command, names []string) error { return v.run(cmd, chosen, names) }
	return cmd
}

func (v verb) run(cmd *cobra.Command, chosen *selection, names []string) error {
	if err := chosen.check(cmd, names, true); err != nil {
		return err
	}
	client, err := clientOf(cmd)
	if err != nil {
		return err
	}
	defer client.Close()
	if len(names) > 0 {
		return v.each(cmd, client, names)
	}
	found, err := chosen.find(cmd, client, nil, false)
	for _, c := range found {
		if v.fits == nil || v.fits(&c) {
			names = append(names, c.Metadata.Name)
		}
	}
	if len(names) == 0 && err == nil {
		chosen.none(cmd)
	}
	return errors.Join(err, v.each(cmd, client, names))
}

func (v verb) each(cmd *cobra.Command, client *api.Client, names []string) error {
	var errs []error
	asked := 0
	for _, name := range names {
		err := v.ask(client, cmd.Context(), name)
		if errors.Is(err, api.ErrNoDaemon) || errors.Is(err, api.ErrPermission) || cmd.Context().Err() != nil {
			return errors.Join(append(errs, err)...) // and it would be for the others
		}
		if err == nil {
			asked++
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", clean(name), v.said)
		}
		errs = append(errs, err)
	}
	if v.later && asked > 0 {
		errs = append(errs, warnOfHold(cmd, client, "it has its effect then"))
	}
	return errors.Join(errs...)
}
