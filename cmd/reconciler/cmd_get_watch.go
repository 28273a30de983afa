package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
	"reconciler.dev/reconciler/pkg/reconcile"
)

// watch prints what is, and then each change, until it is interrupted. With the daemon down it prints what the
// store says, and goes on when a daemon answers.
func (g *getting) watch(cmd *cobra.Command, list []api.Container, names []string) error {
	paths, err := pathsOf(cmd)
	if err != nil {
		return err
	}
	client := api.NewClient(paths.Socket)
	defer client.Close()
	v := &view{getting: g, w: cmd.OutOrStdout(), names: map[string]bool{}, shown: map[string]string{}}
	for _, name := range names {
		v.names[name] = true
	}
	if err := v.begin(list); err != nil {
		return err
	}
	for change, err := range client.Follow(cmd.Context(), list, awayTeller(cmd)) {
		if err == nil && change.Object != nil {
			err = v.change(change)
		}
		if err != nil {
			return err
		}
	}
	return errors.New("the watch has ended") // Follow says why before it ends
}

// typicalRow keeps the columns where they are when later rows are wider than the first ones.
var typicalRow = []string{"", string(reconcile.Completed), "Running(override)", "", "10m30s", "4194304", "SIGKILL (10m30s ago)"}

// view is what a watcher has been shown.
type view struct {
	*getting
	w       io.Writer
	names   map[string]bool   // those asked for; none: all
	shown   map[string]string // by name: the row, as far as there are rows
	columns *columns
}

func (v *view) begin(list []api.Container) error {
	rows := v.rows(list, time.Now())
	v.columns = newColumns(v.w, append(rows, typicalRow)...)
	if v.output.value == "" || v.output.value == "wide" {
		for _, row := range rows {
			if err := v.columns.print(row); err != nil {
				return err
			}
		}
	}
	for _, c := range list {
		v.shown[c.Metadata.Name] = strings.Join(v.row(api.Change[api.Container]{Object: &c}), " ")
		if err := v.object(api.Change[api.Container]{Type: api.Added, Object: &c}); err != nil {
			return err
		}
	}
	return nil
}

// change shows a change of what was asked for. What no longer matches is deleted, as far as its watcher is concerned.
func (v *view) change(c api.Change[api.Container]) error {
	name := c.Object.Metadata.Name
	last, shown := v.shown[name]
	matches := v.chosen.matches(c.Object, v.names)
	switch {
	case !matches && !shown:
		return nil
	case !matches:
		c.Type = api.Deleted
	case !shown:
		c.Type = api.Added
	}
	row := v.row(c)
	text := strings.Join(row, " ")
	if v.shown[name] = text; c.Type == api.Deleted {
		delete(v.shown, name)
	}
	switch {
	case v.output.value != "" && v.output.value != "wide":
		return v.object(c)
	case text == last: // what has changed is in no column
		return nil
	}
	return v.columns.print(row)
}

func (v *view) row(c api.Change[api.Container]) []string {
	shown := *c.Object
	if c.Type == api.Deleted {
		shown.Status.Phase, shown.Status.PID, shown.Status.StartedAt = "Deleted", nil, nil
	}
	return containerRow(&shown, v.output.value == "wide", time.Now())
}

// object prints a change for programs.
func (v *view) object(c api.Change[api.Container]) error {
	line := struct {
		Type   api.ChangeType `json:"type"`
		Object *api.Container `json:"object"`
	}{c.Type, c.Object}
	switch v.output.value {
	case "json":
		return printLine(v.w, line)
	case "yaml":
		if _, err := fmt.Fprintln(v.w, "---"); err != nil {
			return err
		}
		return printYAML(v.w, line)
	case "name":
		_, err := fmt.Fprintln(v.w, clean(c.Object.Metadata.Name))
		return err
	}
	return nil
}
