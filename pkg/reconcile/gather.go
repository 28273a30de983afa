package reconcile

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/store"
)

// Steps is the plan for all names as things are, for whoever wants to see it.
func (l *Loop) Steps(context.Context) (Steps, error) {
	names, err := l.Wants.Names()
	if err != nil {
		return Steps{}, err
	}
	all := map[string]bool{}
	for _, name := range names {
		all[name] = true
	}
	steps, _ := l.plan(all)
	return steps, nil
}

// plan gathers what Plan needs to know about some names. A name whose records cannot be read is left alone: unreadable
// is not unwanted. So is one that nobody ever wanted, whatever there is in its name: an orphan.
func (l *Loop) plan(names map[string]bool) (steps Steps, unread []string) {
	want, recs := map[string]*store.Desired{}, map[string]store.Record{}
	var questions []observed.Question
	for name := range names {
		d, err := l.Wants.Desired(name)
		if errors.Is(err, store.ErrNotFound) {
			d, err = nil, nil
		}
		var r store.Record
		if err == nil {
			r, err = l.Wants.Record(name)
		}
		switch {
		case err != nil:
			l.Log.Error(err, "left alone: what is wanted or on record cannot be read", "container", name)
			unread = append(unread, name)
			continue
		case d != nil:
			want[name] = l.overlaid(d)
		case r.ChangedAt.IsZero() && r.LastAttempt == 0: // a bare tombstone is of a name that was ours
			continue
		}
		recs[name] = r
		questions = append(questions, Questions(r)...)
	}
	have := l.World.Look(slices.Collect(maps.Keys(names)), questions)
	if strange := strangers(have, recs); strange != nil {
		maps.Copy(have.Instances, l.World.Look(nil, strange).Instances)
	}
	return Plan(want, have, recs, l.Now()), unread
}

// strangers are questions about what was seen and is not on record.
func strangers(have observed.Snapshot, recs map[string]store.Record) (q []observed.Question) {
	for name, r := range recs {
		v := viewOf(name, nil, have, r, time.Time{})
		for _, n := range v.strangers() {
			q = append(q, observed.Question{ID: observed.InstanceID(name, n), Origin: true})
		}
	}
	return q
}

// overlaid is d with the Stopped that a drain lays over everything.
func (l *Loop) overlaid(d *store.Desired) *store.Desired {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.draining {
		d.Held = &store.Override{State: desired.Stopped, By: "down"}
	}
	return d
}

// Questions are what must be observed to judge a record.
func Questions(r store.Record) []observed.Question {
	var q []observed.Question
	for _, a := range r.Attempts {
		if !a.Over {
			q = append(q, observed.Question{ID: a.Instance, Process: a.Process})
		}
	}
	return q
}
