package main

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
)

func newEventsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "events [OBJECT...]",
		Short: "Show what happened, oldest first",
		Long: `Show what happened, oldest first: everything, or what happened to the objects named. An object is a
container, a manifest's file, or "node".`,
	}
	output := addFormat(cmd, "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, objects []string) error {
		reading, closer, err := readingOf(cmd)
		if err != nil {
			return err
		}
		defer closer.Close()
		events, err := events(cmd.Context(), reading, objects)
		if events == nil && err != nil {
			return err
		}
		if printed, printErr := output.object(cmd.OutOrStdout(), items(events)); printed {
			return errors.Join(printErr, err)
		}
		return errors.Join(printEvents(cmd.OutOrStdout(), "", events), err)
	}
	return cmd
}

// eventPage is how many events are asked for at a time.
const eventPage = 1000

// events are all events of some objects, or of all. Those that cannot be read are in the error, beside the others.
func events(ctx context.Context, reading api.Reading, objects []string) ([]api.Event, error) {
	all, after := []api.Event{}, uint64(0)
	var unread []error
	for {
		page, err := reading.Events(ctx, after, eventPage)
		if err != nil {
			return nil, err
		}
		unread = append(unread, told(page.Problems))
		if len(page.Items) == 0 {
			return all, errors.Join(unread...)
		}
		for _, e := range page.Items {
			after = e.Seq
			if len(objects) == 0 || slices.Contains(objects, e.Object) {
				all = append(all, e)
			}
		}
	}
}

func printEvents(w io.Writer, indent string, events []api.Event) error {
	t := newTable(w, indent, "TIME", "TYPE", "REASON", "OBJECT", "MESSAGE")
	for _, e := range events {
		t.row(stamp(e.Time), string(e.Type), e.Reason, e.Object, e.Message)
	}
	return t.flush()
}
