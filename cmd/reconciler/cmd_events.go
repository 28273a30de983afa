package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
)

func newEventsCommand() *cobra.Command {
	e := &eventsOptions{}
	cmd := &cobra.Command{
		Use:   "events [OBJECT...]",
		Short: "Show what happened, oldest first",
		Long: `Show what happened, oldest first: everything, or what happened to the objects named. An object is a
container, a manifest's file, or "node".

With -w it goes on with what happens until it is interrupted, over restarts of the daemon, too; with -o json that is one
line an event. With --after it begins behind the event of that number, which -o json shows as seq.`,
		Example:           "  reconciler events web\n  reconciler events -w -o json --after 120",
		ValidArgsFunction: completeNames,
		RunE:              func(cmd *cobra.Command, objects []string) error { return e.run(cmd, objects) },
	}
	e.output = addFormat(cmd, "json", "yaml")
	cmd.Flags().BoolVarP(&e.follow, "watch", "w", false, "go on with what happens")
	cmd.Flags().Uint64Var(&e.after, "after", 0, "begin behind the event of this `number`")
	return cmd
}

// eventsOptions is the verb events.
type eventsOptions struct {
	output *format
	follow bool
	after  uint64
}

func (o *eventsOptions) run(cmd *cobra.Command, objects []string) error {
	reading, closer, err := readingOf(cmd)
	if err != nil {
		return err
	}
	defer closer.Close()
	events, last, err := events(cmd.Context(), reading, o.after, objects)
	if events == nil && err != nil {
		return err
	}
	if o.follow {
		closer.Close() // a store's copy is not needed for as long as this takes
		return errors.Join(err, whileRead(cmd, func() error { return o.watch(cmd, events, last, objects) }))
	}
	if printed, printErr := o.output.object(cmd.OutOrStdout(), items(events)); printed {
		return errors.Join(printErr, err)
	}
	if len(events) == 0 && err == nil {
		complain(cmd.ErrOrStderr(), errors.New(strings.TrimSpace("there are no events "+ofObjects(objects))))
		return nil
	}
	return errors.Join(printEvents(cmd.OutOrStdout(), "", events), err)
}

// watch prints what was, and then what happens behind the event last.
func (o *eventsOptions) watch(cmd *cobra.Command, events []api.Event, last uint64, objects []string) error {
	paths, err := pathsOf(cmd)
	if err != nil {
		return err
	}
	client := api.NewClient(paths.Socket)
	defer client.Close()
	rows := [][]string{eventHeader}
	for _, e := range events {
		rows = append(rows, eventRow(&e))
	}
	table := newColumns(cmd.OutOrStdout(), rows...)
	if o.output.value == "" {
		if err := table.print(eventHeader); err != nil {
			return err
		}
	}
	show := func(e *api.Event) error {
		switch o.output.value {
		case "json":
			return printLine(cmd.OutOrStdout(), e)
		case "yaml":
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), "---"); err != nil {
				return err
			}
			return printYAML(cmd.OutOrStdout(), e)
		}
		return table.print(eventRow(e))
	}
	for _, e := range events {
		if err := show(&e); err != nil {
			return err
		}
	}
	for e, err := range client.FollowEvents(cmd.Context(), last, awayTeller(cmd)) {
		if err == nil && about(&e, objects) {
			err = show(&e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// eventPage is how many events are asked for at a time.
const eventPage = 1000

// events are all events of some objects, or of all, behind the one of number after, and the number of the last event
// there is. Those that cannot be read are in the error, beside the others.
func events(ctx context.Context, reading api.Reading, after uint64, objects []string) (all []api.Event, last uint64, _ error) {
	all = []api.Event{}
	var unread []error
	for {
		page, err := reading.Events(ctx, after, eventPage)
		if err != nil {
			return nil, 0, err
		}
		unread = append(unread, told(page.Problems))
		if len(page.Items) == 0 {
			return all, after, errors.Join(unread...)
		}
		for _, e := range page.Items {
			after = e.Seq
			if about(&e, objects) {
				all = append(all, e)
			}
		}
	}
}

// ofObjects names objects in a sentence; nothing for all.
func ofObjects(objects []string) string {
	if len(objects) == 0 {
		return ""
	}
	return "of " + strings.Join(objects, ", ")
}

// about: the event is of one of the objects, or all are asked for.
func about(e *api.Event, objects []string) bool {
	return len(objects) == 0 || slices.Contains(objects, e.Object)
}

func printEvents(w io.Writer, indent string, events []api.Event) error {
	t := newTable(w, indent, eventHeader...)
	for _, e := range events {
		t.row(eventRow(&e)...)
	}
	return t.flush()
}

var eventHeader = []string{"TIME", "TYPE", "REASON", "OBJECT", "MESSAGE"}

func eventRow(e *api.Event) []string {
	return []string{stamp(e.Time), string(e.Type), e.Reason, e.Object, e.Message}
}
