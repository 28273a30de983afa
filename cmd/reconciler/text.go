package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
	"unicode"

	"reconciler.dev/reconciler/pkg/api"
	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/reconcile"
)

// none stands for what does not apply.
const none = "-"

// deceptive: a terminal may obey it, or show other text than there is: control characters, and what changes the
// direction of writing. Names, messages and paths are written by others.
func deceptive(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

// harmless holds for most there is to print: graphic ASCII without blanks, which clean would not change.
func harmless(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// clean is s on one line, fit for a terminal.
func clean(s string) string {
	if harmless(s) {
		return s
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case deceptive(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD")))
}

// table prints rows as columns, three blanks apart, never cut.
type table struct {
	w      *tabwriter.Writer
	indent string
}

func newTable(w io.Writer, indent string, header ...string) *table {
	t := &table{tabwriter.NewWriter(w, 0, 0, 3, ' ', 0), indent}
	t.row(header...)
	return t
}

func (t *table) row(cells ...string) {
	for i, c := range cells {
		cells[i] = presentable(c)
	}
	fmt.Fprintln(t.w, t.indent+strings.Join(cells, "\t")) // an error stays, and Flush returns it
}

// presentable is a cell as it is shown.
func presentable(cell string) string {
	if cell = clean(cell); cell == "" {
		return none
	}
	return cell
}

func (t *table) flush() error { return t.w.Flush() }

// span is a length of time in one or two units, as kubectl writes it.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	whole := func(unit time.Duration) string { return strconv.Itoa(int(d / unit)) }
	two := func(big time.Duration, b string, small time.Duration, s string) string {
		out := whole(big) + b
		if rest := int(d % big / small); rest > 0 {
			out += strconv.Itoa(rest) + s
		}
		return out
	}
	switch d = max(d, 0); {
	case d < time.Second:
		return whole(time.Millisecond) + "ms"
	case d < 2*time.Minute:
		return whole(time.Second) + "s"
	case d < 10*time.Minute:
		return two(time.Minute, "m", time.Second, "s")
	case d < 3*time.Hour:
		return whole(time.Minute) + "m"
	case d < 2*day:
		return two(time.Hour, "h", time.Minute, "m")
	}
	return two(day, "d", time.Hour, "h")
}

// stamp is a time in tables and descriptions.
func stamp(t time.Time) string {
	if t.IsZero() {
		return none
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

func stampOf(t *time.Time) string {
	if t == nil {
		return none
	}
	return stamp(*t)
}

// verdict is how an instance ended, in a word.
func verdict(e *api.Exit) string {
	switch {
	case e == nil:
		return none
	case e.OOMKilled:
		return "OOMKilled"
	case e.ExitCode != nil:
		return strconv.Itoa(*e.ExitCode)
	case e.Signal != nil && *e.Signal != 0:
		return desired.SignalName(syscall.Signal(*e.Signal))
	}
	return "unknown"
}

// ran is how long an instance ran.
func ran(e *api.Exit) string {
	if e.StartedAt.IsZero() || e.FinishedAt.IsZero() {
		return none
	}
	return span(e.FinishedAt.Sub(e.StartedAt))
}

func intOf(n *int) string {
	if n == nil {
		return none
	}
	return strconv.Itoa(*n)
}

func textOf(s *string) string {
	if s == nil {
		return none
	}
	return *s
}

// wanted is the state that is wanted, and whether a verb said so.
func wanted(c *api.Container) string {
	switch o := c.Status.Override; {
	case held(c):
		return string(desired.Stopped) + "(down)"
	case o != nil:
		return string(o.State) + "(override)"
	}
	return string(c.Spec.State)
}

// held: it is stopped, or being stopped, because the whole node is held.
func held(c *api.Container) bool {
	return slices.ContainsFunc(c.Status.Conditions, func(k reconcile.Condition) bool { return k.Reason == "NodeDown" })
}
