package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"reconciler.dev/reconciler/hack/internal/scratch"
)

// class is what kind of promise was broken.
type class string

const (
	lost    class = "lost"    // an instance that started and ended has no record
	doubled class = "doubled" // two records of one instance, two starts of it, or two instances of one name alive
	wrong   class = "wrong"   // a record says what did not happen, or of something that did not happen
	leaked  class = "leaked"  // something is left of what is over
	other   class = "other"
)

// complaint is one broken promise.
type complaint struct {
	class class
	text  string
}

// window is a span of time; it is open while to is zero.
type window struct{ from, to time.Time }

func (w window) holds(t time.Time) bool { return t.After(w.from) && (w.to.IsZero() || t.Before(w.to)) }

// evidence is all that the oracle knows.
type evidence struct {
	lives   map[string]*life          // by instance, as the containers told
	torn    []string                  // lines of theirs that are not whole
	records map[string][]scratch.Exit // by instance, each version that was ever shown
	twice   []string                  // instances that were listed twice at once
	due     map[string]bool           // instances that are known to be over, so that a record is due
	kills   []kill
	asks    []ask
	blind   []window
	tells   bool // the kernel tells the exit of a process that another has reaped
}

// judge returns each broken promise.
func judge(e evidence) (broken []complaint) {
	violated := func(class class, format string, a ...any) {
		broken = append(broken, complaint{class, fmt.Sprintf(format, a...)})
	}
	for _, line := range e.torn {
		violated(other, "a torn line in the containers' log: %q", line)
	}
	for _, id := range e.twice {
		violated(doubled, "%s has two records at once", id)
	}
	for _, id := range slices.Sorted(maps.Keys(e.lives)) {
		l := e.lives[id]
		if l.starts != 1 {
			violated(doubled, "%s logged %d starts", id, l.starts)
		}
		if l.twin {
			violated(doubled, "%s found another instance of its name alive", id)
		}
		if len(e.records[id]) == 0 && e.due[id] {
			violated(lost, "%s logged a start and has no exit record", id)
		}
	}
	var asked []scratch.Exit // ends that only a wish of ours explains
	for _, id := range slices.Sorted(maps.Keys(e.records)) {
		versions := e.records[id]
		for i, r := range versions[1:] {
			if !e.mayChange(versions[i], r) {
				violated(doubled, "the record of %s changed: %s, then %s", id, show(versions[i]), show(r))
			}
		}
		needsAsk, complaint := e.judgeRecord(told(versions), e.lives[id])
		if complaint != "" {
			violated(wrong, "%s: %s", show(told(versions)), complaint)
		}
		if needsAsk {
			asked = append(asked, told(versions))
		}
	}
	for _, r := range e.unasked(asked) {
		violated(wrong, "%s: nobody killed it and nothing was asked for", show(r))
	}
	return broken
}

// mayChange: a record that was unknown may become known. One that was lost with the store may be unknown after, or told
// once more by another witness: of the same end, at another instant.
func (e evidence) mayChange(before, after scratch.Exit) bool {
	switch {
	case before.Source == "unknown":
		return true
	case after.Source == "unknown":
		return e.unseen(after)
	}
	lost := slices.ContainsFunc(e.blind, func(w window) bool { return w.to.IsZero() || w.to.After(before.FinishedAt) })
	return lost && before.PID == after.PID && equal(before.ExitCode, after.ExitCode) && equal(before.Signal, after.Signal)
}

// told is the version that says most.
func told(versions []scratch.Exit) scratch.Exit {
	for _, r := range slices.Backward(versions) {
		if r.Source != "unknown" {
			return r
		}
	}
	return versions[len(versions)-1]
}

// judgeRecord compares a record with the container's own log, nil if it logged nothing, and with our kills. needsAsk means
// that the end is in order if a wish of ours explains it.
func (e evidence) judgeRecord(r scratch.Exit, l *life) (needsAsk bool, complaint string) {
	killed := e.killed(r.Instance)
	switch {
	case r.Source == "unknown" && e.unseen(r):
		return false, ""
	case r.Source == "unknown" && e.tells:
		return false, "unknown, on a kernel that tells"
	case r.Source == "unknown" && e.lossesWithin(r) < 2:
		return false, "unknown, without a second loss in its run"
	case r.Source == "unknown":
		return false, ""
	case (r.ExitCode == nil) == (r.Signal == nil || *r.Signal == 0):
		return false, "neither an exit code nor a signal, or both"
	case l == nil: // it has run nothing of ours: killed before its first instruction, by us or by a stop
		return !killed, ""
	case l.ends && equal(r.ExitCode, l.code) && equal(r.Signal, l.signal):
		return l.termed, ""
	case r.Signal != nil && *r.Signal == 9: // its last words may have come to nothing
		return !killed, ""
	case r.Signal != nil && *r.Signal == 15 && !l.ends: // before it listened
		return true, ""
	case equal(r.ExitCode, &unheard) && !l.ends:
		return true, ""
	case l.ends:
		return false, fmt.Sprintf("it said that it ends with code %s, signal %s", number(l.code), number(l.signal))
	}
	return false, "it never said that it ends so"
}

// unheard is how a Go program ends that is pid 1 and gets a SIGTERM before it listens: it cannot kill itself by it. Some of
// its threads may get as far as its first words meanwhile.
var unheard = 2

// unseen: nobody of ours may have been there to see the end, or what was seen was lost.
func (e evidence) unseen(r scratch.Exit) bool {
	return slices.ContainsFunc(e.blind, func(w window) bool { return w.holds(r.FinishedAt) })
}

// killed says whether we killed the instance's init.
func (e evidence) killed(instance string) bool {
	return slices.ContainsFunc(e.kills, func(k kill) bool { return k.victim == initVictim && k.instance == instance })
}

// lossesWithin counts the kills of guard or reaper in the run of an instance.
func (e evidence) lossesWithin(r scratch.Exit) int {
	var n int
	for _, k := range e.kills {
		if (k.victim == guardVictim || k.victim == reaperVictim) && k.at.After(r.StartedAt) && k.at.Before(r.FinishedAt) {
			n++
		}
	}
	return n
}

// stale is how long a wish may take to come true: a controller may be dead, or an instance in its grace period.
const stale = 30 * time.Second

// unasked gives each of the ends a wish for its name, no wish to two of them, and returns those that get none. A wish
// comes before the end, and not long before the start, of what it ends. Taking the earliest end first, and the earliest
// wish for it, leaves as many as possible for the others.
func (e evidence) unasked(ends []scratch.Exit) []scratch.Exit {
	slices.SortFunc(ends, func(a, b scratch.Exit) int { return a.FinishedAt.Compare(b.FinishedAt) })
	used := make([]bool, len(e.asks)) // e.asks is in order of time
	return slices.DeleteFunc(ends, func(r scratch.Exit) bool {
		for i, a := range e.asks {
			if !used[i] && strings.HasPrefix(r.Instance, a.name+".") &&
				a.at.Before(r.FinishedAt) && a.at.After(r.StartedAt.Add(-stale)) {
				used[i] = true
				return true
			}
		}
		return false
	})
}

func show(r scratch.Exit) string {
	return fmt.Sprintf("record %s{pid %d, code %s, signal %s, by %s, %s to %s}", r.Instance, r.PID,
		number(r.ExitCode), number(r.Signal), r.Source, r.StartedAt.Format("04:05.000"), r.FinishedAt.Format("04:05.000"))
}

func number(n *int) string {
	if n == nil {
		return "null"
	}
	return strconv.Itoa(*n)
}
