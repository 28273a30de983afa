package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/store"
)

// wish is what a user wants of one name, and how its program behaves.
type wish struct {
	name       string
	present    bool
	spec       desired.Spec
	hash       int // which bundle
	broken     bool
	private    bool
	stubborn   bool
	generation int64
	due        bool // it changed, and the controller has not taken it in yet
}

func (w *world) wish(name string) *wish {
	for _, x := range w.wishes {
		if x.name == name {
			return x
		}
	}
	return &wish{name: name}
}

func (w *world) newWish(name string) *wish {
	x := &wish{
		name: name, present: true, due: true, hash: 1, private: w.pick(3) < 2, stubborn: w.one(4),
		spec: desired.Spec{
			State: desired.Running,
			Restart: desired.Restart{
				Policy:  desired.Always,
				Backoff: desired.Backoff{Initial: desired.Duration(100 * time.Millisecond), Factor: 2, Max: desired.Duration(2 * time.Second), ResetAfter: desired.Duration(time.Minute)},
			},
			Stop: desired.Stop{Signal: "SIGTERM", GracePeriod: desired.Duration(time.Second)},
		},
	}
	if w.one(3) {
		x.spec.Restart.Policy = []desired.Policy{desired.OnFailure, desired.Never}[w.pick(2)]
	}
	return x
}

// userStep has a user change something, if they have any change left.
func (w *world) userStep() {
	x := w.wishes[w.pick(len(w.wishes))]
	switch w.pick(10) {
	case 0, 1:
		x.hash++
		w.say("user: %s has another bundle", x.name)
	case 2:
		x.present = !x.present
		w.say("user: %s is wanted: %t", x.name, x.present)
	case 3:
		x.spec.State = []desired.State{desired.Running, desired.Stopped, desired.Paused}[w.pick(3)]
		w.say("user: %s state=%s", x.name, x.spec.State)
	case 4:
		x.spec.Resources = fmt.Appendf(nil, `{"pids":{"limit":%d}}`, 1+w.pick(3))
		w.say("user: %s has other resources", x.name)
	case 5:
		x.spec.Restart.Policy = []desired.Policy{desired.Always, desired.OnFailure, desired.Never}[w.pick(3)]
		w.say("user: %s policy=%s", x.name, x.spec.Restart.Policy)
	case 6:
		x.broken = !x.broken
		w.say("user: the bundle of %s is broken: %t", x.name, x.broken)
	default:
		w.verb(x)
		return
	}
	x.due = true
}

// verb is one of those that change no spec.
func (w *world) verb(x *wish) {
	c := w.controller
	if c == nil || c.stopped || w.fullState {
		return
	}
	ctx := context.Background()
	var err error
	switch n := w.pick(20); {
	case n == 0:
		w.say("user: down --exit")
		names, _ := c.Names()
		c.queue.Drain(names)
		for _, i := range w.all {
			i.unwanted = true
		}
	case n < 3:
		w.say("user: down")
		err = w.commit(ctx, c.db, store.Change{Down: &store.Down{By: "user", BootID: w.boot, At: w.now()}})
	case n < 7:
		w.say("user: up")
		err = w.commit(ctx, c.db, store.Change{Up: true})
	case n < 12:
		w.say("user: restart %s", x.name)
		err = c.db.UpdateVerbs(ctx, x.name, func(v *store.Verbs) error { v.Restarts++; v.Override = nil; return nil })
	default:
		state := []desired.State{desired.Stopped, desired.Running, desired.Paused}[w.pick(3)]
		w.say("user: %s override=%s", x.name, state)
		err = c.db.UpdateVerbs(ctx, x.name, func(v *store.Verbs) error {
			v.Override = &store.Override{State: state, By: "user", At: w.now()}
			return nil
		})
	}
	w.commits.returned()
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		w.broke("refused", "the store refuses: %v", err)
	}
	for _, y := range w.wishes {
		w.wanted(y.name)
		if w.doubt { // what a user says now is not in doubt
			w.mayStop(y.name)
		}
	}
	c.queue.Wake(x.name)
}

// drained: all containers are down, so that the controller ends, and the pair with it.
func (w *world) drained() {
	w.say("drained")
	for _, i := range w.started {
		if _, err := w.controller.db.Desired(i.name); err == nil && w.lives(i) {
			w.broke("drain", "%s lives when all are down", i.id)
		}
	}
	w.killController()
}

// takeIn has the controller record what a user wrote.
func (w *world) takeIn(x *wish) {
	c := w.controller
	if w.fullState {
		return
	}
	x.due = false
	var change store.Change
	if x.present {
		x.generation++
		d := store.Desired{
			Container: desired.Container{Name: x.name, Spec: x.spec}, Source: "manifests/" + x.name + ".yaml", Generation: x.generation,
			InputHash: fmt.Sprintf("h%d", x.hash), Config: []byte("{}"), Private: x.private,
		}
		if was, err := c.db.Desired(x.name); x.broken {
			d.Problem, d.InputHash = "broken", ""
			if err == nil && was.InputHash != "" {
				d.InputHash, d.Config, d.Private = was.InputHash, was.Config, was.Private
			}
		}
		change.Desired = []store.Desired{d}
	} else {
		change.Removed = []string{x.name}
	}
	w.say("controller takes in %s", x.name)
	if w.commit(context.Background(), c.db, change) != nil {
		return
	}
	w.commits.returned()
	w.wanted(x.name)
	if !w.faulty() || !w.one(20) { // else the wake-up is lost
		c.queue.Wake(x.name)
	}
}

// wanted notes which instances of a name are not wanted as they are from now on.
func (w *world) wanted(name string) {
	if w.doubt {
		return // what the store says is no reason to stop anything
	}
	d, err := w.controller.db.Desired(name)
	for _, i := range w.all {
		if i.name == name && !i.unwanted {
			i.unwanted = err != nil || d.State() == desired.Stopped || d.InputHash != "" && i.spec != "" && i.spec != d.SpecHash() ||
				string(d.Container.Spec.Resources) != i.resources
		}
	}
}

// mayStop notes that whatever runs of a name may be stopped.
func (w *world) mayStop(name string) {
	for _, i := range w.all {
		i.unwanted = i.unwanted || i.name == name
	}
}

// allRead has the controller record that it has taken in all wishes since its store was restored.
func (w *world) allRead() {
	c := w.controller
	w.say("all was taken in")
	if w.commit(context.Background(), c.db, store.Change{ManifestsRead: true}) != nil {
		return
	}
	w.commits.returned()
	w.doubt = false
	names, _ := c.Names()
	for _, name := range names {
		w.wanted(name)
	}
	c.queue.WakeAll(names)
}
