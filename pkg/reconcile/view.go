package reconcile

import (
	"slices"
	"time"

	"reconciler.dev/reconciler/pkg/bundle"
	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/store"
)

// lookAgain is how long an unclear observation is left alone. Events come sooner; this is the floor.
const lookAgain = time.Second

// view is everything next may know about one name, with the predicates its rows are made of.
type view struct {
	name string
	d    *store.Desired    // nil: not wanted
	r    store.Record      // a copy; its slices are shared, see change
	cur  *store.Attempt    // the newest attempt with remains; nil if there is none
	o    observed.Instance // what is seen of cur
	have observed.Snapshot
	now  time.Time
}

func viewOf(name string, d *store.Desired, have observed.Snapshot, r store.Record, now time.Time) view {
	r.Name = name
	v := view{name: name, d: d, r: r, have: have, now: now}
	if n := len(r.Attempts); n > 0 {
		v.cur = &r.Attempts[n-1]
		v.o = have.Instances[v.cur.Instance]
	}
	return v
}

// unknown says why nothing may be decided. Where nothing is known to live it must be known that nothing else of this
// name does, and only a list of what is there tells that.
func (v *view) unknown() string {
	if v.owesExit() || v.launching() && v.o.Unknown != "" {
		return v.o.Unknown
	}
	for _, n := range v.strangers() {
		if why := v.stranger(n).Unknown; why != "" {
			return why
		}
	}
	if v.launching() {
		return ""
	}
	return v.have.Unlisted
}

// strangers are the attempts of this name that were seen and are not on record: the store was lost, or a late effect of
// an earlier life of ours left something.
func (v *view) strangers() []int {
	var strange []int
	for _, n := range v.have.Seen[v.name] {
		if !slices.ContainsFunc(v.r.Attempts, func(a store.Attempt) bool { return a.Number == n }) {
			strange = append(strange, n)
		}
	}
	return strange
}

func (v *view) stranger(n int) observed.Instance {
	return v.have.Instances[observed.InstanceID(v.name, n)]
}

// adoptable is a stranger that is told, by what it carries, to be an instance of ours that was started: its exit is owed.
// Those that are dead come first, since one that lives is then the current one. It is nil while another exit is owed.
func (v *view) adoptable() (found *observed.Instance) {
	if v.owesExit() {
		return nil
	}
	for _, n := range v.strangers() {
		i := v.stranger(n)
		if i.Origin == nil || !i.Origin.Started || i.Life == observed.NoProcess {
			continue
		}
		if i.Life == observed.Dead {
			return &i
		}
		if found == nil {
			found = &i
		}
	}
	return found
}

// unclaimed: there are strangers, or numbers were given that the record does not know of.
func (v *view) unclaimed() bool {
	return len(v.strangers()) > 0 || v.have.Highest[v.name] > v.r.LastAttempt
}

// owesExit: user code may have run, and how it ended is not on record.
func (v *view) owesExit() bool { return v.cur != nil && !v.cur.Over && !v.cur.StartCommitted.IsZero() }

// launching: an attempt was begun, and has run nothing.
func (v *view) launching() bool { return v.cur != nil && !v.cur.Over && v.cur.StartCommitted.IsZero() }

// stillborn is why an init that was created cannot be started.
func (v *view) stillborn() string {
	switch {
	case v.o.Life == observed.Dead:
		return "its init process died before it was started"
	case v.o.Lost:
		return "its runtime knows nothing of it any more"
	case !v.o.Ours:
		return "its init process is not a child of the subreaper, who would not see it end"
	}
	return ""
}

func (v *view) alive() bool { return v.owesExit() && v.o.Life == observed.Alive }

func (v *view) stopping() bool { return v.alive() && v.cur.Stop != nil }

// paused: it is wanted frozen. A word in doubt leaves it as it is.
func (v *view) paused() bool {
	if v.saidInDoubt() {
		return v.o.Frozen
	}
	return v.d.State() == desired.Paused
}

// doubted: what is wanted is from a snapshot of the store that may be older than what runs, until the manifests were read.
// What a verb has said since then is not.
func (v *view) doubted() bool {
	return v.r.InDoubt && (v.d == nil || v.d.Override() == nil || v.saidInDoubt())
}

// saidInDoubt: what a verb said is from such a snapshot.
func (v *view) saidInDoubt() bool {
	o := v.d.Override()
	return o != nil && o.InDoubt
}

// differs: what runs is not what is wanted.
func (v *view) differs() bool {
	return !v.current() || v.cur.Started && (v.resized() || v.o.Frozen != v.paused())
}

// current: the attempt is what is wanted now.
func (v *view) current() bool { return v.unwanted() == "" }

// unwanted says why the current attempt is not wanted; empty if it is.
func (v *view) unwanted() string {
	switch {
	case v.d == nil:
		return "NotDesired"
	case v.d.State() == desired.Stopped && v.saidInDoubt():
		return "" // what ends now would not come back
	case v.d.Held != nil:
		return "NodeDown"
	case v.d.State() == desired.Stopped:
		return "Stopped"
	case v.d.InputHash == "":
		return "" // nothing is known that could take its place
	case v.cur.SpecHash != v.d.SpecHash():
		return "SpecChanged"
	case v.resized() && !v.updatable():
		return "ResourcesChanged"
	}
	return ""
}

// resized: it runs under other resources than are wanted.
func (v *view) resized() bool {
	return v.d.InputHash != "" && desired.HashResources(v.cur.Resources) != v.wantedResources()
}

func (v *view) wantedResources() string { return desired.HashResources(v.d.Container.Spec.Resources) }

// updatable: the runtime can give a running container the resources that are wanted, and has not refused to.
func (v *view) updatable() bool {
	_, ok := bundle.UpdateResources(v.d.Config, v.cur.Resources, v.d.Container.Spec.Resources)
	return ok && v.owesExit() && v.cur.Unfit != v.wantedResources()
}

// idle says why no new attempt may begin now; empty if one may. Its words are the reasons that users see.
func (v *view) idle() string {
	switch {
	case v.d == nil:
		return "NotDesired"
	case v.d.State() == desired.Stopped:
		return "Stopped"
	case v.doubted():
		return "ManifestsUnread"
	case v.d.InputHash == "":
		return "BundleInvalid"
	case v.d.SpecHash() != v.r.SpecHash:
		return "" // verdict and backoff belong to another spec
	}
	if verdict := verdict(v.d.Container.Spec.Restart, v.r); verdict != "" {
		return string(verdict)
	}
	if v.pending(v.r.Backoff) {
		return "BackOff"
	}
	return ""
}

// leftover is the oldest attempt that is over and can be cleaned up now.
func (v *view) leftover() *store.Attempt {
	for i := range v.r.Attempts {
		if a := &v.r.Attempts[i]; a.Over && !v.pending(a.Retry) {
			return a
		}
	}
	return nil
}

// remains: there is something to clean up, now or when a wait after a clean that failed is over.
func (v *view) remains() bool {
	return slices.ContainsFunc(v.r.Attempts, func(a store.Attempt) bool { return a.Over })
}

// unstuck is when the next clean may be tried.
func (v *view) unstuck() (at time.Time) {
	for _, a := range v.r.Attempts {
		if a.Over && v.pending(a.Retry) && (at.IsZero() || a.Retry.Until.Before(at)) {
			at = a.Retry.Until
		}
	}
	return at
}

// outlived: there are remains that may hold live processes of the container (shared pid namespace) or hooks that must
// run before anything new begins.
func (v *view) outlived() bool {
	return slices.ContainsFunc(v.r.Attempts, func(a store.Attempt) bool { return a.Over && !a.Private })
}

// maxLeftovers bounds what a loop of immediate restarts may leave behind.
const maxLeftovers = 2

// pending: a recorded wait is not over.
func (v *view) pending(w store.Wait) bool { return v.now.Before(w.Until) }

// waits are all waits on record.
func (v *view) waits() []store.Wait {
	w := []store.Wait{v.r.Retry, v.r.Backoff}
	for _, a := range v.r.Attempts {
		w = append(w, a.Retry)
		if a.Stop != nil && !a.Over {
			w = append(w, a.Stop.Wait)
		}
	}
	return w
}

// clockStepped: the end of a wait is further away than the wait was long, so the clock was set back meanwhile.
func (v *view) clockStepped() bool {
	return slices.ContainsFunc(v.waits(), func(w store.Wait) bool { return w.Until.Sub(v.now) > w.Length })
}
