package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
)

func newGetCommand() *cobra.Command {
	g := &getting{}
	cmd := &cobra.Command{
		Use:   "get [NAME... | -l SELECTOR]",
		Short: "Show containers: what is wanted, and what is",
		Long: `Show containers: what is wanted, and what is.

With -w it goes on with a row for each change until it is interrupted, over restarts of the daemon, too; with -o json
that is one line a change, {"type": "added|modified|deleted", "object": {...}}. With the daemon down it shows what the
store says, and goes on when a daemon answers.`,
		Example: `  reconciler get
  reconciler get web -o yaml
  reconciler get -l tier=front -w
  reconciler get web -o json | jq .status.lastExit`,
		RunE: func(cmd *cobra.Command, names []string) error { return g.run(cmd, names) },
	}
	g.output = addFormat(cmd, "wide", "json", "yaml", "name")
	g.chosen = addSelection(cmd, false)
	cmd.Flags().BoolVarP(&g.follow, "watch", "w", false, "go on with each change")
	cmd.Flags().BoolVar(&g.noHeaders, "no-headers", false, "leave out the line of headers")
	return cmd
}

// getting is the verb get.
type getting struct {
	output    *format
	chosen    *selection
	follow    bool
	noHeaders bool
}

func (g *getting) run(cmd *cobra.Command, names []string) error {
	if err := g.chosen.check(cmd, names, false); err != nil {
		return err
	}
	reading, closer, err := readingOf(cmd)
	if err != nil {
		return err
	}
	defer closer.Close()
	list, err := g.chosen.find(cmd, reading, names, g.output.whole())
	state, nodeErr := reading.NodeState(cmd.Context())
	if nodeErr != nil {
		complain(cmd.ErrOrStderr(), nodeErr)
	}
	tellHold(cmd, state.Down, "")
	tellRestored(cmd, state.Restored)
	if len(names) == 0 {
		tellOrphans(cmd, state.Orphans)
		if len(list) == 0 && err == nil {
			g.chosen.none(cmd)
		}
		warnOfSources(cmd, reading)
	}
	switch {
	case g.follow && (len(names) == 0 || err == nil):
		if err != nil {
			complain(cmd.ErrOrStderr(), err) // a record that cannot be read hides no other
		}
		closer.Close() // a store's copy is not needed for as long as this takes
		return whileRead(cmd, func() error { return g.watch(cmd, list, names) })
	case len(list) > 0 || len(names) == 0 && err == nil:
		err = errors.Join(err, g.print(cmd.OutOrStdout(), list, len(names) == 1))
	}
	return err
}

func (g *getting) print(w io.Writer, list []api.Container, single bool) error {
	var whole any = items(list)
	if single {
		whole = list[0]
	}
	if printed, err := g.output.object(w, whole); printed {
		return err
	}
	lines := bufio.NewWriter(w) // one write(2) a row would take longer than all else
	switch {
	case g.output.value == "name":
		for _, c := range list {
			fmt.Fprintln(lines, clean(c.Metadata.Name)) // an error stays, and Flush returns it
		}
	case len(list) > 0:
		rows := g.rows(list, time.Now())
		c := newColumns(lines, rows...)
		for _, row := range rows {
			if err := c.print(row); err != nil {
				return err
			}
		}
	}
	return lines.Flush()
}

// rows are the table's, the header among them.
func (g *getting) rows(list []api.Container, now time.Time) (rows [][]string) {
	wide := g.output.value == "wide"
	if !g.noHeaders {
		header := []string{"NAME", "PHASE", "WANTED", "RESTARTS", "UPTIME", "PID", "LAST-EXIT"}
		if wide {
			header = append(header, "INSTANCE", "SOURCE", "BUNDLE")
		}
		rows = append(rows, header)
	}
	for _, c := range list {
		rows = append(rows, containerRow(&c, wide, now))
	}
	return rows
}

func containerRow(c *api.Container, wide bool, now time.Time) []string {
	s := c.Status
	uptime := none
	if s.StartedAt != nil {
		uptime = span(now.Sub(*s.StartedAt))
	}
	last := verdict(s.LastExit)
	if s.LastExit != nil && !s.LastExit.FinishedAt.IsZero() {
		last += fmt.Sprintf(" (%s ago)", span(now.Sub(s.LastExit.FinishedAt)))
	}
	row := []string{c.Metadata.Name, string(s.Phase), wanted(c), strconv.Itoa(s.RestartCount), uptime, intOf(s.PID), last}
	if wide {
		row = append(row, textOf(s.Instance), c.Metadata.Source, c.Spec.Bundle)
	}
	return row
}

// warnOfSources tells on stderr what of the manifests is not in force, one line a file: a manifest that never was good
// has no container that could show it.
func warnOfSources(cmd *cobra.Command, reading api.Reading) {
	sources, err := reading.Sources(cmd.Context())
	if err != nil && !errors.Is(err, context.Canceled) {
		complain(cmd.ErrOrStderr(), err)
	}
	for _, s := range sources {
		if s.Problem != "" {
			complain(cmd.ErrOrStderr(), fmt.Errorf("source %s is not followed now: %s", s.Name, clean(s.Problem)))
		}
		for _, file := range slices.Sorted(maps.Keys(s.Files)) {
			first, more, _ := strings.Cut(strings.TrimSpace(s.Files[file]), "\n")
			if more != "" {
				first += fmt.Sprintf(" (and %d more: see reconciler validate)", 1+strings.Count(more, "\n"))
			}
			if !strings.Contains(first, file) {
				first = file + ": " + first
			}
			complain(cmd.ErrOrStderr(), errors.New(first))
		}
	}
}
