package reconcile

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/go-logr/logr"

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
	l.mu.Lock()
	draining := l.queue.Draining()
	l.mu.Unlock()
	steps, _ := l.planner.Steps(names, draining)
	return steps, nil
}

// Planner gathers what Plan needs to know, and asks it.
type Planner struct {
	World World
	Wants Wants
	Now   func() time.Time
	Log   logr.Logger
}

// Steps plans for some names; draining, as if all were wanted Stopped. A name whose records cannot be read is left alone,
// and returned: unreadable is not unwanted. One that nobody ever wanted is left alone, too, whatever there is in its name:
// an orphan.
func (p *Planner) Steps(names []string, draining bool) (steps Steps, unread []string) {
	want, recs := map[string]*store.Desired{}, map[string]store.Record{}
	var questions []observed.Question
	for _, name := range names {
		d, err := p.Wants.Desired(name)
		if errors.Is(err, store.ErrNotFound) {
			d, err = nil, nil
		}
		var r store.Record
		if err == nil {
			r, err = p.Wants.Record(name)
		}
		switch {
		case err != nil:
			p.Log.Error(err, "left alone: what is wanted or on record cannot be read", "container", name)
			unread = append(unread, name)
			continue
		case d != nil:
			if draining {
				d.Held = &store.Override{State: desired.Stopped, By: "down"}
			}
			want[name] = d
		case r.ChangedAt.IsZero() && r.LastAttempt == 0: // a bare tombstone is of a name that was ours
			continue
		}
		r.InDoubt = r.InDoubt && !draining // what is told to go goes
		recs[name] = r
		questions = append(questions, Questions(r)...)
	}
	have := p.World.Look(names, questions)
	if strange := strangers(names, have, recs); strange != nil {
		maps.Copy(have.Instances, p.World.Look(nil, strange).Instances)
	}
	return Plan(want, have, recs, p.Now()), unread
}

// strangers are questions about what was seen and is not on record.
func strangers(names []string, have observed.Snapshot, recs map[string]store.Record) (q []observed.Question) {
	for _, name := range names {
		r, planned := recs[name]
		if !planned {
			continue
		}
		v := viewOf(name, nil, have, r, time.Time{})
		for _, n := range v.strangers() {
			q = append(q, observed.Question{ID: observed.InstanceID(name, n), Origin: true})
		}
	}
	return q
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
