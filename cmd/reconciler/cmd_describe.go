package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
)

// How much of each history a description holds.
const (
	describeExits  = 5
	describeLines  = 10
	describeEvents = 10
)

func newDescribeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "describe NAME... | -l SELECTOR",
		Short:   "Show all about a container: why did it die, and what comes next",
		Example: "  reconciler describe web",
	}
	chosen := addSelection(cmd, false)
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		if err := chosen.check(cmd, names, true); err != nil {
			return err
		}
		reading, closer, err := readingOf(cmd)
		if err != nil {
			return err
		}
		defer closer.Close()
		found, err := chosen.find(cmd, reading, names, true)
		if len(found) == 0 && err == nil {
			chosen.none(cmd)
		}
		errs := []error{err, warnOfHold(cmd, reading, "")}
		for i, c := range found {
			if i > 0 {
				fmt.Fprintln(cmd.OutOrStdout())
			}
			errs = append(errs, describe(cmd, reading, &c))
		}
		return errors.Join(errs...)
	}
	return cmd
}

func describe(cmd *cobra.Command, reading api.Reading, c *api.Container) error {
	d := &description{w: cmd.OutOrStdout()}
	d.container(c)
	name := c.Metadata.Name
	exits, err := reading.Exits(cmd.Context(), name)
	if err != nil {
		return err
	}
	d.exits(exits.Items)
	log, err := reading.Logs(cmd.Context(), name, api.LogOptions{Tail: describeLines})
	switch {
	case err == nil:
		defer log.Close()
		d.log(log)
	case errors.Is(err, api.ErrNotFound), errors.Is(err, api.ErrForbidden):
		d.title("Last output", err.Error())
	default:
		return err
	}
	events, _, err := events(cmd.Context(), reading, 0, []string{name})
	if err != nil && events == nil {
		return err
	}
	d.events(events)
	return errors.Join(d.err, told(exits.Problems), err)
}
