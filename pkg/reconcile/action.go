package reconcile

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"reconciler.dev/reconciler/pkg/bundle"
	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/store"
)

// Verb is what an action does once its intent is on record.
type Verb string

const (
	Hold   Verb = "hold"   // nothing
	Wait   Verb = "wait"   // nothing, until When
	Note   Verb = "record" // nothing but write the record
	Launch Verb = "launch" // create the instance; it runs nothing yet
	Start  Verb = "start"  // let it run
	Signal Verb = "stop"   // send the stop signal
	Kill   Verb = "kill"   // send SIGKILL
	Pause  Verb = "pause"  // freeze it
	Resume Verb = "resume" // let it run on
	Update Verb = "update" // give it other resources
	Clean  Verb = "clean"  // kill, delete and remove whatever is left of an instance
	Forget Verb = "forget" // the name is gone, but for its history
)

// Action is one step for one container. Its fields are in the order in which they take effect: Exit and Record are
// written in one transaction, then the verb is carried out on Instance, then its outcome is recorded or observed. A
// crash between any two of these is just another observation.
type Action struct {
	Name   string
	Verb   Verb
	Reason string    // one CamelCase word
	Detail string    // a sentence, where the reason has more to say
	When   time.Time // Wait: look again then

	Exit    *store.Exit    // to be recorded; nil for none
	Record  *store.Record  // as it is to be before the effect; nil for unchanged
	Attempt *store.Attempt // the one acted on
	Again   bool           // Kill, Launch: asked for before, without an effect that is seen

	Desired   *store.Desired  // Launch: what to make it from
	Stop      desired.Stop    // Signal: how
	Resources json.RawMessage // Update: what to change, of linux.resources
}

// Steps is one action for each container, in name order.
type Steps struct {
	Actions []Action
	WakeAt  time.Time // when to look again at the latest; zero if nothing is waited for
}

func (s *Steps) add(a Action) {
	s.Actions = append(s.Actions, a)
	if a.Verb == Wait && (s.WakeAt.IsZero() || a.When.Before(s.WakeAt)) {
		s.WakeAt = a.When
	}
}

// Acts says whether the action changes anything: a settled system has no such action.
func (a Action) Acts() bool { return a.Verb != Hold && a.Verb != Wait }

// String is the one rendering of an action: in tests, in the log and in `reconciler plan`.
func (a Action) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", a.Name, a.Verb)
	if a.Attempt != nil {
		fmt.Fprintf(&b, " instance=%s", a.Attempt.Instance)
	}
	if a.Verb == Signal {
		fmt.Fprintf(&b, " signal=%s grace=%s", strings.TrimPrefix(a.Stop.Signal, "SIG"), a.Stop.GracePeriod)
	}
	if a.Exit != nil {
		fmt.Fprintf(&b, " exit=%s", exitWord(a.Exit))
	}
	fmt.Fprintf(&b, " reason=%s", a.Reason)
	return b.String()
}

// The constructors below are the right-hand sides of the table in plan.go. Those that change the record change a copy.

func (v *view) hold(reason string) Action { return Action{Name: v.name, Verb: Hold, Reason: reason} }

func (v *view) wait(reason string, at time.Time) Action {
	return Action{Name: v.name, Verb: Wait, Reason: reason, When: at}
}

// intent is an action with the record as change leaves it; change gets the attempt acted on, nil if there is none.
func (v *view) intent(verb Verb, reason string, change func(r *store.Record, cur *store.Attempt)) Action {
	r := v.r
	r.Attempts = slices.Clone(r.Attempts)
	if v.d != nil {
		r.ObservedGeneration, r.Stop = v.d.Generation, v.d.Container.Spec.Stop
	}
	r.ChangedAt = v.now
	r.RemovedAt = time.Time{}
	change(&r, last(r.Attempts))
	return Action{Name: v.name, Verb: verb, Reason: reason, Record: &r, Attempt: last(r.Attempts)}
}

func last(a []store.Attempt) *store.Attempt {
	if len(a) == 0 {
		return nil
	}
	return &a[len(a)-1]
}

// settled is hold, once the generation wanted is noted as acted on.
func (v *view) settled(reason string) Action {
	if v.d == nil || v.r.ObservedGeneration == v.d.Generation && v.r.RemovedAt.IsZero() {
		return v.hold(reason)
	}
	return v.intent(Note, "SpecObserved", func(*store.Record, *store.Attempt) {})
}

// begin has the record belong to a spec. The counters begin anew with another one.
func begin(r *store.Record, specHash string) {
	if r.SpecHash != specHash {
		r.SpecHash, r.Starts, r.Failures, r.Backoff, r.End = specHash, 0, 0, store.Wait{}, store.EndNone
	}
}

// create begins the next attempt.
func (v *view) create(reason string) Action {
	a := v.intent(Launch, reason, func(r *store.Record, _ *store.Attempt) {
		begin(r, v.d.SpecHash())
		r.LastAttempt++
		r.Attempts = append(r.Attempts, store.Attempt{
			Number:    r.LastAttempt,
			Instance:  observed.InstanceID(v.name, r.LastAttempt),
			SpecHash:  r.SpecHash,
			Private:   v.d.Private,
			Resources: v.d.Container.Spec.Resources,
			IntentAt:  v.now,
		})
	})
	a.Desired = v.d
	return a
}

// adopt takes an instance back whose record was lost. The restart counter was lost with it: what was made from the same
// input is what is wanted. An attempt that was begun meanwhile, and has run nothing, is given up for it.
func (v *view) adopt(reason string) Action {
	i := v.adoptable()
	_, number, _ := observed.ParseInstanceID(i.ID)
	hash := i.Origin.SpecHash
	if v.d != nil && i.Origin.InputHash == v.d.InputHash {
		hash = v.d.SpecHash()
	}
	a := v.intent(Note, reason, func(r *store.Record, cur *store.Attempt) {
		if cur != nil {
			cur.Over = true
		}
		begin(r, hash)
		r.Starts++
		if r.Stop == (desired.Stop{}) {
			r.Stop = desired.DefaultStop // it is not wanted, and how it would have been stopped is not known
		}
		r.LastAttempt = max(r.LastAttempt, number)
		r.Attempts = append(r.Attempts, store.Attempt{
			Number: number, Instance: i.ID, SpecHash: hash, Private: i.Origin.Private, Resources: i.Origin.Resources,
			IntentAt: i.Origin.MadeAt, Process: &i.Process, StartCommitted: i.Origin.MadeAt, Started: true,
		})
	})
	a.Detail = i.ID + " was there and not on record; it is taken back as it is"
	return a
}

// launch asks again for an attempt whose launch did not commit. The subreaper launches an instance at most once: by its
// files, and should those be wiped, by being told that this is not the first time.
func (v *view) launch(reason string) Action {
	return Action{Name: v.name, Verb: Launch, Reason: reason, Attempt: v.cur, Desired: v.d, Again: true}
}

// start commits the attempt: from here on its exit is owed.
func (v *view) start(reason string) Action {
	return v.intent(Start, reason, func(r *store.Record, cur *store.Attempt) {
		if cur.StartCommitted.IsZero() {
			cur.Process, cur.StartCommitted = new(v.o.Process), v.now
			r.Starts++
		}
	})
}

func (v *view) stop(reason string) Action {
	a := v.intent(Signal, reason, func(r *store.Record, cur *store.Attempt) {
		if cur.Stop != nil {
			return // its grace period has begun
		}
		cur.Stop = &store.Stopping{Wait: waitFor(v.now, time.Duration(r.Stop.GracePeriod)), Reason: reason}
	})
	a.Stop = a.Record.Stop
	return a
}

// kill sends SIGKILL, and again as long as the process does not go.
func (v *view) kill(reason string) Action {
	a := v.intent(Kill, reason, func(_ *store.Record, cur *store.Attempt) {
		stop := *cur.Stop
		stop.Wait, stop.Killed = waitFor(v.now, lookAgain), true
		cur.Stop = &stop
	})
	a.Again = v.cur.Stop.Killed
	return a
}

// freeze pauses or resumes. The next look tells whether that has come to be.
func (v *view) freeze(paused bool) Action {
	if paused {
		return v.intent(Pause, "Paused", func(*store.Record, *store.Attempt) {})
	}
	return v.resume("NotPaused")
}

func (v *view) resume(reason string) Action {
	return v.intent(Resume, reason, func(*store.Record, *store.Attempt) {})
}

// update changes the resources of a running instance. That the attempt has them is its outcome.
func (v *view) update(reason string) Action {
	a := Action{Name: v.name, Verb: Update, Reason: reason, Attempt: new(*v.cur)}
	a.Resources, _ = bundle.UpdateResources(v.d.Config, v.cur.Resources, v.d.Container.Spec.Resources)
	a.Attempt.Resources = v.d.Container.Spec.Resources
	return a
}

// discard gives up an attempt that has run nothing. With a failure to tell it counts for the backoff.
func (v *view) discard(reason, failure string) Action {
	a := v.intent(Note, reason, func(r *store.Record, cur *store.Attempt) {
		cur.Over = true
		if failure != "" {
			r.LastError = failure
			v.ended(r, store.EndLaunch, 0)
		}
	})
	a.Detail = failure
	return a
}

// claim puts strangers on record as over, so that they are cleaned up before anything new begins.
func (v *view) claim(reason string) Action {
	strange := v.strangers()
	a := v.intent(Note, reason, func(r *store.Record, _ *store.Attempt) {
		r.LastAttempt = max(r.LastAttempt, v.have.Highest[v.name])
		var claimed []store.Attempt
		for _, n := range strange {
			r.LastAttempt = max(r.LastAttempt, n)
			claimed = append(claimed, store.Attempt{Number: n, Instance: observed.InstanceID(v.name, n), Over: true})
		}
		r.Attempts = append(claimed, r.Attempts...)
	})
	a.Attempt = nil // what the history knows of them is better
	if len(strange) > 0 {
		a.Detail = fmt.Sprintf("attempts %v are there and not on record; they are removed", strange)
	}
	return a
}

// clamp shortens every wait to its length from now.
func (v *view) clamp(reason string) Action {
	clamped := func(w store.Wait) store.Wait {
		if limit := v.now.Add(w.Length); w.Until.After(limit) {
			w.Until = limit
		}
		return w
	}
	return v.intent(Note, reason, func(r *store.Record, _ *store.Attempt) {
		r.Retry, r.Backoff = clamped(v.r.Retry), clamped(v.r.Backoff)
		for i := range r.Attempts {
			a := &r.Attempts[i]
			a.Retry = clamped(a.Retry)
			if a.Stop != nil {
				stop := *a.Stop
				stop.Wait = clamped(stop.Wait)
				a.Stop = &stop
			}
		}
	})
}

// clean removes what is left of an attempt that is over, or waits until a clean that failed may be tried again.
func (v *view) clean(reason string) Action {
	if v.leftover() == nil {
		return v.wait("CleanFailed", v.unstuck())
	}
	return Action{Name: v.name, Verb: Clean, Reason: reason, Attempt: v.leftover()}
}

// forget leaves a tombstone: the counter of attempts and the history. A name that comes back begins anew.
func (v *view) forget(reason string) Action {
	return v.intent(Forget, reason, func(r *store.Record, _ *store.Attempt) {
		*r = store.Record{
			Name: r.Name, LastAttempt: r.LastAttempt, LastExit: r.LastExit, ObservedGeneration: r.ObservedGeneration,
			ChangedAt: v.now, RemovedAt: v.now,
		}
	})
}
