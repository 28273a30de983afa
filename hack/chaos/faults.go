package main

import (
	"context"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/hack/internal/scratch"
)

// fault is one thing that goes wrong. When inject returns, all it did is over; what came of it may not be. The names stand
// in docs/reliability.md.
type fault struct {
	name   string
	inject func(*killer, context.Context) error
}

// allFaults are those that a run deals out.
func allFaults() []fault {
	return slices.Concat(processFaults, heldFaults, runtimeFaults, fileFaults, containerFaults, wishFaults)
}

var processFaults = []fault{
	{"controller killed", func(k *killer, ctx context.Context) error { return k.restartController(ctx) }},
	{"controller killed as it starts", (*killer).controllerStillborn},
	{"controller killed as it commits", (*killer).atCommit},
	{"controller killed in a stop", inStop(controllerVictim)},
	{"controller ended in order", func(k *killer, ctx context.Context) error { return k.endController(ctx, false) }},
	{"controller upgraded", func(k *killer, ctx context.Context) error { return k.endController(ctx, true) }},
	{"controller stopped for a while", stopped(controllerVictim)},
	{"guard killed", func(k *killer, ctx context.Context) error { return k.killOfPair(ctx, guardVictim) }},
	{"guard killed in a stop", inStop(guardVictim)},
	{"guard stopped for a while", stopped(guardVictim)},
	{"reaper killed", func(k *killer, ctx context.Context) error { return k.killOfPair(ctx, reaperVictim) }},
	{"reaper killed in a stop", inStop(reaperVictim)},
	{"reaper stopped for a while", stopped(reaperVictim)},
	{"guard and reaper killed at once", func(k *killer, ctx context.Context) error { return k.killTogether(ctx, false) }},
	{"guard and reaper stopped for a while", stopped(guardVictim, reaperVictim)},
	{"guard and reaper upgraded in place", (*killer).upgradePair},
	{"all three killed at once", func(k *killer, ctx context.Context) error { return k.killTogether(ctx, true) }},
	{"all three stopped for a while", stopped(controllerVictim, guardVictim, reaperVictim)},
}

// heldFaults strike while a call of the runtime is held still, before or after it did its work.
var heldFaults = []fault{
	{"controller killed in a create", atGate("create", controllerVictim)},
	{"controller killed in a start", atGate("start", controllerVictim)},
	{"controller killed in a delete", atGate("delete", controllerVictim)},
	{"guard killed in a create", atGate("create", guardVictim)},
	{"guard killed in a start", atGate("start", guardVictim)},
	{"guard killed in a delete", atGate("delete", guardVictim)},
	{"reaper killed in a create", atGate("create", reaperVictim)},
	{"reaper killed in a start", atGate("start", reaperVictim)},
	{"reaper killed in a delete", atGate("delete", reaperVictim)},
	{"init killed in a create", atGate("create", initVictim)},
	{"init killed in a start", atGate("start", initVictim)},
}

// controllerStillborn kills a few controllers before they answer.
func (k *killer) controllerStillborn(ctx context.Context) error {
	for range 1 + k.rng.IntN(3) {
		if err := k.killController(); err != nil {
			return err
		}
		if err := k.w.Launch(); err != nil {
			return err
		}
		k.pause(ctx, 150*time.Millisecond)
	}
	return k.restartController(ctx)
}

// atCommit kills the controller about when it commits an exit: an instant after the record appeared.
func (k *killer) atCommit(ctx context.Context) error {
	t, err := k.some(ctx)
	if err != nil {
		return err
	}
	if err := k.hit(t); err != nil {
		return err
	}
	deadline := time.Now().Add(100 * time.Millisecond) // it may have come and gone: then it is after the commit
	for time.Now().Before(deadline) {
		if _, err := os.Stat(k.inRun("exits", t.instance+".json")); err == nil {
			break
		}
	}
	time.Sleep(time.Duration(k.rng.Int64N(int64(4 * time.Millisecond))))
	return k.restartController(ctx)
}

// inStop kills within the grace period of a stop, then starts the container again.
func inStop(v victim) func(*killer, context.Context) error {
	return func(k *killer, ctx context.Context) error {
		t, err := k.some(ctx)
		if err != nil {
			return err
		}
		if err := k.retry(ctx, "stop", t.name); err != nil {
			return err
		}
		k.pause(ctx, 100*time.Millisecond)
		if err := k.kill(ctx, v); err != nil {
			return err
		}
		return k.retry(ctx, "start", t.name)
	}
}

// endController ends it as a service manager does, and starts the same or another build after a while.
func (k *killer) endController(ctx context.Context, upgrade bool) error {
	if upgrade {
		if err := k.w.Upgrade("reconciler"); err != nil {
			return err
		}
	}
	k.letGo()
	if err := k.w.EndController(ctx); err != nil {
		return err
	}
	k.pause(ctx, 300*time.Millisecond)
	return k.w.Start(ctx)
}

// ours are the processes behind the names, in a whole pair.
func (k *killer) ours(ctx context.Context, who ...victim) (found []scratch.Process, err error) {
	pair, err := k.whole(ctx)
	if err != nil {
		return nil, err
	}
	k.pair = pair
	for _, v := range who {
		switch v {
		case controllerVictim:
			found = append(found, k.w.Controller())
		case guardVictim:
			found = append(found, pair.Guard)
		case reaperVictim:
			found = append(found, pair.Reaper)
		}
	}
	return found, nil
}

// stopped keeps processes of ours from running for a while, in which a container ends.
func stopped(who ...victim) func(*killer, context.Context) error {
	return func(k *killer, ctx context.Context) error {
		t, err := k.some(ctx)
		if err != nil {
			return err
		}
		frozen, err := k.ours(ctx, who...)
		if err != nil {
			return err
		}
		for _, p := range frozen {
			_ = p.Signal(unix.SIGSTOP) // gone is found out below
			defer func() { _ = p.Signal(unix.SIGCONT) }()
		}
		k.pause(ctx, 100*time.Millisecond)
		err = k.hit(t)
		k.pause(ctx, 400*time.Millisecond)
		return err
	}
}

// killTogether kills processes that would heal each other if they were killed one after the other.
func (k *killer) killTogether(ctx context.Context, controller bool) error {
	pair, err := k.ours(ctx, guardVictim, reaperVictim)
	if err != nil {
		return err
	}
	t, err := k.some(ctx)
	if err != nil {
		return err
	}
	for _, p := range pair {
		_ = p.Signal(unix.SIGSTOP)
	}
	if controller {
		k.unseen()
		if err := k.killController(); err != nil {
			return err
		}
	}
	for i, v := range []victim{guardVictim, reaperVictim} {
		if err := k.strike(v, pair[i], ""); err != nil {
			return err
		}
	}
	k.pair = scratch.Pair{}
	if k.rng.IntN(2) == 0 {
		if err := k.hit(t); err != nil {
			return err
		}
	}
	if controller {
		k.pause(ctx, 300*time.Millisecond)
		if err := k.w.Start(ctx); err != nil {
			return err
		}
	}
	_, err = k.whole(ctx)
	return err
}

// upgradePair has the pair replace itself by another build: the processes stay.
func (k *killer) upgradePair(ctx context.Context) error {
	pair, err := k.ours(ctx, guardVictim, reaperVictim)
	if err != nil {
		return err
	}
	if err := k.w.Upgrade("reconciler-subreaper"); err != nil {
		return err
	}
	if err := pair[0].Signal(unix.SIGHUP); err != nil {
		return err
	}
	k.pause(ctx, 50*time.Millisecond)
	after, err := k.whole(ctx)
	if err == nil && after != k.pair {
		k.violated(other, "an upgrade in place made the pair %v of %v", after, k.pair)
	}
	return err
}

// atGate kills while a call of the runtime is held between two effects: the launch, the start or the deletion that the
// restart of a killed container consists of.
func atGate(verb string, v victim) func(*killer, context.Context) error {
	return func(k *killer, ctx context.Context) error {
		t, err := k.some(ctx)
		if err != nil {
			return err
		}
		when := pick(k.rng, "before", "after")
		if v == initVictim && verb == "create" {
			when = "after" // before, there is none
		}
		if err := k.gate.arm(verb+"."+when, t.name); err != nil {
			return err
		}
		if err := k.hit(t); err != nil {
			return err
		}
		instance, err := k.gate.held(ctx)
		if err != nil {
			return err
		}
		k.tell("held: %s.%s of %s", verb, when, instance)
		if v == initVictim {
			for _, p := range k.w.Members(instance) {
				if err := k.strike(v, p, instance); err != nil {
					return err
				}
			}
		} else if err := k.kill(ctx, v); err != nil {
			return err
		}
		k.pause(ctx, 100*time.Millisecond)
		return k.gate.open()
	}
}
