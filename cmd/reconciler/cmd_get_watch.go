package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
)

// watchContainers prints what is, and then each change, until it is interrupted. With the daemon down it prints what the
// store says, and goes on when a daemon answers.
func (g *getting) watch(cmd *cobra.Command, list []api.Container, names []string) error {
	paths, err := pathsOf(cmd)
	if err != nil {
		return err
	}
	client := api.NewClient(paths.Socket)
	defer client.Close()
	v := &view{getting: g, w: cmd.OutOrStdout(), names: map[string]bool{}, shown: map[string]bool{}}
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

// view is what a watcher has been shown.
type view struct {
	*getting
	w       io.Writer
	names   map[string]bool // those asked for; none: all
	shown   map[string]bool
	columns *columns
}

func (v *view) begin(list []api.Container) error {
	rows := v.rows(list, time.Now())
	v.columns = newColumns(v.w, rows...)
	if v.output.value == "" || v.output.value == "wide" {
		for _, row := range rows {
			if err := v.columns.print(row); err != nil {
				return err
			}
		}
	}
	for _, c := range list {
		v.shown[c.Metadata.Name] = true
		if err := v.object(api.Change[api.Container]{Type: api.Added, Object: &c}); err != nil {
			return err
		}
	}
	return nil
}

// change shows a change of what was asked for. What no longer matches is deleted, as far as its watcher is concerned.
func (v *view) change(c api.Change[api.Container]) error {
	name := c.Object.Metadata.Name
	matches, shown := v.chosen.matches(c.Object, v.names), v.shown[name]
	switch {
	case !matches && !shown:
		return nil
	case !matches:
		c.Type = api.Deleted
	case !shown:
		c.Type = api.Added
	}
	v.shown[name] = c.Type != api.Deleted
	if v.output.value == "" || v.output.value == "wide" {
		return v.columns.print(v.row(c))
	}
	return v.object(c)
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
