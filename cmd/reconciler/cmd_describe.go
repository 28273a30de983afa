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
	return &cobra.Command{
		Use:   "describe NAME...",
		Short: "Show all about a container: why did it die, and what comes next",
		Args:  usage(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			reading, closer, err := readingOf(cmd)
			if err != nil {
				return err
			}
			defer closer.Close()
			found, err := containers(cmd, reading, names)
			errs := []error{err}
			for i, c := range found {
				if i > 0 {
					fmt.Fprintln(cmd.OutOrStdout())
				}
				errs = append(errs, describe(cmd, reading, &c))
			}
			return errors.Join(errs...)
		},
	}
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
	events, err := events(cmd.Context(), reading, []string{name})
	if err != nil && events == nil {
		return err
	}
	d.events(events)
	return errors.Join(d.err, told(exits.Problems), err)
}
