package main

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"reconciler.dev/reconciler/pkg/api"
)

// description prints what is known of one container for people. The first error of writing stays.
type description struct {
	w   io.Writer
	err error
}

func (d *description) printf(format string, args ...any) {
	if d.err == nil {
		_, d.err = fmt.Fprintf(d.w, format, args...)
	}
}

func (d *description) title(title, instead string) {
	d.printf("%s\n", strings.TrimRight(fmt.Sprintf("%-16s%s", title+":", clean(instead)), " "))
}

func (d *description) field(label, value string) {
	if value = clean(value); value == "" {
		value = none
	}
	d.title(label, value)
}

func (d *description) container(c *api.Container) {
	s := c.Status
	d.field("Name", c.Metadata.Name)
	d.field("Source", c.Metadata.Source)
	d.field("Labels", pairs(c.Metadata.Labels))
	d.field("Annotations", pairs(c.Metadata.Annotations))
	d.field("Generation", fmt.Sprintf("%d (acted on: %d)", c.Metadata.Generation, s.ObservedGeneration))
	d.field("Wanted", wantedBy(c))
	d.field("Phase", string(s.Phase))
	d.field("Message", s.Message)
	d.field("Instance", textOf(s.Instance))
	d.field("PID", intOf(s.PID))
	d.field("Started", stampOf(s.StartedAt))
	d.field("Restarts", strconv.Itoa(s.RestartCount))
	d.field("Next restart", nextRestart(s.NextRestartAt))
	d.field("Last exit", lastExit(s.LastExit))
	d.spec(c)
	d.conditions(c)
}

func (d *description) spec(c *api.Container) {
	r, b := c.Spec.Restart, c.Spec.Restart.Backoff
	policy := fmt.Sprintf("%s, at once, then after %v x %v^n up to %v; anew after %v of running",
		r.Policy, b.Initial, b.Factor, b.Max, b.ResetAfter)
	if r.MaxRetries > 0 {
		policy += fmt.Sprintf("; %d times at most", r.MaxRetries)
	}
	d.field("Bundle", c.Spec.Bundle)
	d.field("Restart policy", policy)
	d.field("Stop", fmt.Sprintf("%s, killed after %v", c.Spec.Stop.Signal, c.Spec.Stop.GracePeriod))
	if args := c.Spec.Process.Args; args != nil {
		d.field("Args", fmt.Sprintf("%q", args))
	}
	if env := c.Spec.Process.Env; env != nil {
		d.field("Environment", strings.Join(slices.Sorted(maps.Keys(env)), ", ")) // values may be secrets: get -o yaml
	}
	d.field("Spec hash", c.Status.SpecHash)
}

func (d *description) conditions(c *api.Container) {
	d.title("Conditions", "")
	t := newTable(d.w, "  ", "TYPE", "STATUS", "REASON", "SINCE", "MESSAGE")
	for _, k := range c.Status.Conditions {
		t.row(k.Type, k.Status, k.Reason, stampOf(k.LastTransitionTime), k.Message)
	}
	if d.err == nil {
		d.err = t.flush()
	}
}

func (d *description) exits(exits []api.Exit) {
	if len(exits) == 0 {
		d.title("Last exits", none)
		return
	}
	d.title("Last exits", "")
	if d.err == nil {
		d.err = printExits(d.w, "  ", lastOf(exits, describeExits))
	}
}

// log prints lines of a container. Within a description they are text like any other, not what a terminal may obey.
func (d *description) log(log *api.Log) {
	d.title("Last output", "of "+log.Instance)
	lines := bufio.NewReader(log)
	for d.err == nil {
		line, err := lines.ReadString('\n')
		if line != "" {
			d.printf("  %s\n", clean(line))
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			d.err = err
		}
	}
}

func (d *description) events(events []api.Event) {
	if len(events) == 0 {
		d.title("Last events", none)
		return
	}
	d.title("Last events", "")
	if d.err == nil {
		d.err = printEvents(d.w, "  ", lastOf(events, describeEvents))
	}
}

func lastOf[T any](list []T, n int) []T { return list[max(0, len(list)-n):] }

func pairs(m map[string]string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, k+"="+m[k])
	}
	return strings.Join(out, ", ")
}

func wantedBy(c *api.Container) string {
	by := string(c.Spec.State)
	if o := c.Status.Override; o != nil {
		by = fmt.Sprintf("%s, by an override of %s at %s; the manifest says %s", o.State, o.By, stamp(o.At), c.Spec.State)
	}
	if held(c) {
		by = "Stopped while the node is held, then " + by
	}
	return by
}

func nextRestart(at *time.Time) string {
	if at == nil {
		return none
	}
	return fmt.Sprintf("%s (in %s)", stamp(*at), span(time.Until(*at)))
}

func lastExit(e *api.Exit) string {
	if e == nil {
		return none
	}
	return fmt.Sprintf("%s at %s after %s: %s (%s, known by %s)", verdict(e), stamp(e.FinishedAt), ran(e), e.Message, e.Reason, e.Source)
}
