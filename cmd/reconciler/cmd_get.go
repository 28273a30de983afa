package main

import (
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
	cmd := &cobra.Command{
		Use:     "get [NAME...]",
		Short:   "Show containers: what is wanted, and what is",
		Example: "  reconciler get\n  reconciler get web -o yaml\n  reconciler get web -o json | jq .status.lastExit",
	}
	output := addFormat(cmd, "wide", "json", "yaml", "name")
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		reading, closer, err := readingOf(cmd)
		if err != nil {
			return err
		}
		defer closer.Close()
		list, err := containers(cmd, reading, names)
		if len(list) > 0 || len(names) == 0 && err == nil {
			err = errors.Join(err, printContainers(cmd.OutOrStdout(), output, list, len(names) == 1))
		}
		if len(names) == 0 {
			if len(list) == 0 && err == nil {
				complain(cmd.ErrOrStderr(), errors.New("there are no containers"))
			}
			warnOfSources(cmd, reading)
		}
		return err
	}
	return cmd
}

// containers are those named, or all. What could not be had is in the error; the others are returned beside it.
func containers(cmd *cobra.Command, reading api.Reading, names []string) ([]api.Container, error) {
	if len(names) == 0 {
		list, err := reading.Containers(cmd.Context())
		if err != nil {
			return nil, err
		}
		return list.Items, told(list.Problems)
	}
	var found []api.Container
	var errs []error
	for _, name := range names {
		c, err := reading.Container(cmd.Context(), name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found = append(found, *c)
	}
	return found, errors.Join(errs...)
}

// told are problems that came with a list, as an error of one line each.
func told(problems []string) error {
	var errs []error
	for _, p := range problems {
		errs = append(errs, errors.New(p))
	}
	return errors.Join(errs...)
}

func printContainers(w io.Writer, output *format, list []api.Container, single bool) error {
	var whole any = items(list)
	if single {
		whole = list[0]
	}
	if printed, err := output.object(w, whole); printed {
		return err
	}
	if output.value == "name" {
		for _, c := range list {
			if _, err := fmt.Fprintln(w, clean(c.Metadata.Name)); err != nil {
				return err
			}
		}
		return nil
	}
	if len(list) == 0 {
		return nil
	}
	header := []string{"NAME", "PHASE", "WANTED", "RESTARTS", "UPTIME", "PID", "LAST-EXIT"}
	wide := output.value == "wide"
	if wide {
		header = append(header, "INSTANCE", "SOURCE", "BUNDLE")
	}
	t, now := newTable(w, "", header...), time.Now()
	for _, c := range list {
		t.row(containerRow(&c, wide, now)...)
	}
	return t.flush()
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
