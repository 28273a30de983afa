package sim

import (
	"context"
	"encoding/json"
	"errors"
	"syscall"
	"time"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/reconcile"
	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// node carries out effects in the world, as reconcile.Node does on a machine, for one task: it pauses wherever the real
// one makes a system call that matters.
type node struct {
	*controller
	t *task
}

var _ reconcile.Effects = node{}

const (
	callTimeout   = 10 * time.Second
	cleanTimeout  = 20 * time.Second
	launchTimeout = 70 * time.Second
)

var errTimeout = errors.New("the time limit is over")

// call runs the runtime and waits for it. Errors that are fine are none.
func (n node) call(verb, id string, fine ...error) error {
	if !n.t.pause(nil) {
		return errDead
	}
	c, deadline := n.w.begin(n.p, verb, id), n.w.mono+callTimeout
	if !n.await(func() bool { return c.p.life != alive }, deadline) {
		if n.t.dead {
			return errDead
		}
		n.w.killCall(c)
	}
	if c.p.life == zombie {
		n.w.reap(c.p)
	}
	err := n.w.held(c)
	for _, e := range fine {
		if errors.Is(err, e) {
			return nil
		}
	}
	return err
}

// await pauses until a condition holds. It is false when the controller died or the deadline came first.
func (n node) await(holds func() bool, deadline time.Duration) bool {
	n.w.alarm(deadline)
	return n.t.pause(func() bool { return holds() || n.w.mono >= deadline }) && holds()
}

func (n node) Expect() {}

func (n node) Launch(_ context.Context, d *store.Desired, a *store.Attempt, again bool) error {
	w, id := n.w, a.Instance
	if !n.t.pause(nil) {
		return errDead
	}
	i := w.instance(id)
	i.spec, i.resources, i.private, i.stubborn = a.SpecHash, string(a.Resources), a.Private, w.wish(i.name).stubborn
	w.wanted(i.name)
	if !w.run.launching[id] && len(w.members(id)) > 0 {
		return &reconcile.NotLaunched{Err: errors.New("its cgroup must be empty")}
	}
	if w.fullRun {
		return &reconcile.NotLaunched{Err: errors.New("no space left on device")}
	}
	if w.run.bundles[id] == nil {
		w.run.bundles[id] = &bundle{}
	}
	w.run.bundles[id].origin = observed.Origin{InputHash: d.InputHash, SpecHash: a.SpecHash, Resources: a.Resources, Private: a.Private, MadeAt: w.now()}
	deadline := w.mono + launchTimeout
	for {
		if !n.t.pause(nil) {
			return errDead
		}
		q := &request{id: id, again: again, from: n.controller}
		if w.guard != nil || w.reaper != nil {
			w.inbox = append(w.inbox, q)
			w.event(id)
		} else if !n.await(func() bool { return w.guard != nil }, deadline) {
			return errTimeout
		} else {
			continue
		}
		if !n.await(func() bool { return q.answered || q.dropped }, deadline) {
			return errTimeout
		}
		switch {
		case q.dropped:
			again = true
			continue
		case q.lost:
			return &reconcile.NotLaunched{Err: subreaper.ErrLost}
		case q.failed:
			return &reconcile.NotLaunched{Err: errBroken}
		case q.process == nil:
			return errBroken
		}
		return nil
	}
}

// Start ends a start that was killed: what runs is not started again.
func (n node) Start(_ context.Context, id string) error {
	if !n.t.pause(nil) {
		return errDead
	}
	if c := n.w.run.root[id]; c != nil && c.init != nil && c.init.running {
		c.fifo = false
	}
	return n.call("start", id, errAlready, errNotRunning)
}

func (n node) Signal(id string, process subreaper.Process, signal string) error {
	number, err := desired.ParseSignal(signal)
	if err != nil || !n.t.pause(nil) {
		return err
	}
	p := n.w.open(process)
	if p == nil {
		return nil
	}
	if !n.t.pause(nil) {
		return errDead
	}
	if p.life == reaped {
		return nil
	}
	n.w.signalled(id, p)
	n.w.signal(p, syscall.WaitStatus(number))
	if number == syscall.SIGKILL {
		n.w.thaw(id)
	}
	return nil
}

func (n node) Pause(_ context.Context, id string) error {
	return n.call("pause", id, errNotRunning, errNotExist)
}

func (n node) Resume(_ context.Context, id string) error {
	err := n.call("resume", id, errNotExist)
	if !n.t.pause(nil) {
		return errDead
	}
	n.w.thaw(id)
	if !n.w.frozen(id) {
		return nil
	}
	return err
}

func (n node) Update(_ context.Context, id string, _ json.RawMessage) error {
	return n.call("update", id, errNotRunning, errNotExist)
}

func (n node) Clean(_ context.Context, id string) error {
	w := n.w
	deadline := w.mono + cleanTimeout
	for {
		if !n.t.pause(nil) {
			return errDead
		}
		members := w.members(id)
		if len(members) == 0 {
			break
		}
		for _, p := range members {
			w.cleaned(p)
			w.signal(p, syscall.WaitStatus(syscall.SIGKILL))
		}
		w.thaw(id)
	}
	if process, launched := w.run.instances[id]; launched {
		if p := w.open(process); p != nil {
			w.cleaned(p)
			w.signal(p, syscall.WaitStatus(syscall.SIGKILL))
			if !n.await(func() bool { return p.life == reaped }, deadline) {
				return errTimeout
			}
		}
	}
	if err := n.call("delete", id, errNotExist); err != nil {
		return err
	}
	if !n.t.pause(nil) {
		return errDead
	}
	if !w.removeCgroup(id) {
		return errors.New("device or resource busy")
	}
	for _, remove := range []func(){
		func() { delete(w.run.bundles, id) },
		func() { delete(w.run.instances, id) },
		func() { delete(w.run.launching, id) },
		func() { w.exitRemoved(id) },
	} {
		if !n.t.pause(nil) {
			return errDead
		}
		remove()
		w.event(id)
	}
	delete(n.held, id)
	n.index.Forget(id)
	return nil
}
