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

// evidence is all that the oracle knows, at a time when nothing runs any more.
type evidence struct {
	log         string                    // what the containers wrote
	records     map[string][]scratch.Exit // by instance, each version that was ever shown
	kills       []kill
	asks        []ask
	tellsReaped bool // the kernel tells the exit of a process that another has reaped
}

// life is one instance as its own container told it.
type life struct {
	instance string
	starts   int
	termed   bool // it ended because of SIGTERM
	ends     bool // it said how it ends:
	code     *int // null when by a signal, as in a record
	signal   *int
}

// judge returns each broken promise, as a sentence.
func judge(e evidence) []string {
	var broken []string
	violated := func(format string, a ...any) { broken = append(broken, fmt.Sprintf(format, a...)) }
	lives := map[string]*life{}
	for line := range strings.Lines(e.log) {
		if err := read(lives, strings.Fields(line)); err != nil {
			violated("the containers' log: %v", err)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(lives)) {
		if n := lives[id].starts; n != 1 {
			violated("%s logged %d starts", id, n)
		}
		if len(e.records[id]) == 0 {
			violated("%s logged a start and has no exit record", id)
		}
	}
	var asked []scratch.Exit // ends that only a wish of ours explains
	for _, id := range slices.Sorted(maps.Keys(e.records)) {
		versions := e.records[id]
		for i, r := range versions[1:] {
			if versions[i].Source != "unknown" {
				violated("the record of %s changed: %s, then %s", id, show(versions[i]), show(r))
			}
		}
		needsAsk, complaint := e.judgeRecord(versions[len(versions)-1], lives[id])
		if complaint != "" {
			violated("%s: %s", show(versions[len(versions)-1]), complaint)
		}
		if needsAsk {
			asked = append(asked, versions[len(versions)-1])
		}
	}
	for _, r := range e.unasked(asked) {
		violated("%s: nobody killed it and nothing was asked for", show(r))
	}
	return broken
}

// read takes one line of the containers' log.
func read(lives map[string]*life, words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("torn line %q", words)
	}
	id := words[1]
	l := lives[id]
	if l == nil {
		l = &life{instance: id}
		lives[id] = l
	}
	switch {
	case words[0] == "start" && len(words) == 2:
		l.starts++
	case words[0] == "term" && len(words) == 2:
		l.termed = true
	case words[0] == "twin":
		return fmt.Errorf("%s found another instance of its name alive", id)
	case words[0] == "exit" && len(words) == 4:
		n, err := strconv.Atoi(words[3])
		if err != nil {
			return err
		}
		l.ends = true
		if words[2] == "code" {
			l.code, l.signal = &n, new(int)
		} else {
			l.signal = &n
		}
	default:
		return fmt.Errorf("torn line %q", words)
	}
	return nil
}

// judgeRecord compares the last version of a record with the container's own log, nil if it logged nothing, and with our
// kills. needsAsk means that the end is in order if a wish of ours explains it.
func (e evidence) judgeRecord(r scratch.Exit, l *life) (needsAsk bool, complaint string) {
	killed := e.killed(r.Instance)
	switch {
	case r.Source == "unknown" && e.tellsReaped:
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
	case l.ends:
		return false, fmt.Sprintf("it said that it ends with code %s, signal %s", number(l.code), number(l.signal))
	}
	return false, "it never said that it ends so"
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
const stale = 10 * time.Second

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
		number(r.ExitCode), number(r.Signal), r.Source, r.StartedAt.Format("05.000"), r.FinishedAt.Format("05.000"))
}

func number(n *int) string {
	if n == nil {
		return "null"
	}
	return strconv.Itoa(*n)
}
