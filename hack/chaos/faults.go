package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"reconciler.dev/reconciler/hack/internal/scratch"
)

// rampage injects faults until so many kills have hit.
func (k *killer) rampage(ctx context.Context, kills int) error {
	if err := k.w.Start(ctx); err != nil {
		return err
	}
	for len(k.kills) < kills {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := k.step(ctx); err != nil {
			return fmt.Errorf("after %d kills: %w", len(k.kills), err)
		}
		if err := k.records.collect(ctx, k.w); err != nil {
			return err
		}
	}
	return nil
}

// step injects one fault. The weights make about half of the kills hit an init.
func (k *killer) step(ctx context.Context) error {
	k.pause(ctx, 60*time.Millisecond)
	switch n := k.rng.IntN(100); {
	case n < 30:
		return k.atRest(ctx)
	case n < 60:
		return k.atGate(ctx)
	case n < 75:
		return k.atCommit(ctx)
	case n < 87:
		return k.atStop(ctx)
	default:
		return k.wish(ctx)
	}
}

// atRest kills anything, at no chosen moment.
func (k *killer) atRest(ctx context.Context) error {
	v := pick(k.rng, initVictim, initVictim, controllerVictim, guardVictim, reaperVictim)
	if v != initVictim {
		return k.kill(ctx, v, "at rest")
	}
	name := pick(k.rng, lasting...)
	began := time.Now()
	instance, err := k.killInit(ctx, name, "at rest")
	if err != nil || k.rng.IntN(2) == 0 { // the next fault may meet the restart
		return err
	}
	err = scratch.Until(ctx, 20*time.Second, name+" is back", func() error {
		c, _, err := k.living(ctx, name)
		if err == nil && c.Status.Instance == instance {
			err = fmt.Errorf("%s still runs", instance)
		}
		return err
	})
	k.tally.healed(initVictim, time.Since(began))
	return err
}

// atGate kills while a call of the runtime is held between two effects.
func (k *killer) atGate(ctx context.Context) error {
	name, point := pick(k.rng, lasting...), pick(k.rng, points...)
	if _, _, err := k.living(ctx, name); err != nil {
		return err
	}
	if err := k.gate.arm(point, name); err != nil {
		return err
	}
	// Its restart is the launch, the start and the deletion of the old one that the gate waits for.
	if _, err := k.killInit(ctx, name, "at rest"); err != nil {
		return err
	}
	instance, err := k.gate.held(ctx)
	if err != nil {
		return fmt.Errorf("%s of %s: %w", point, name, err)
	}
	k.tell("held: %s of %s", point, instance)
	v := pick(k.rng, initVictim, controllerVictim, guardVictim, reaperVictim)
	if v == initVictim {
		// The created init has run nothing of the user's until start lets it.
		for _, p := range k.w.Members(instance) {
			if err := k.strike(v, p, instance, point); err != nil {
				return err
			}
		}
	} else if err := k.killHeld(ctx, v, point); err != nil {
		return err
	}
	if k.rng.IntN(2) == 0 {
		k.pause(ctx, 100*time.Millisecond)
	}
	return k.gate.open()
}

// killHeld kills with a call held. A pair heals meanwhile; a controller starts next to the call of the dead one.
func (k *killer) killHeld(ctx context.Context, v victim, point string) error {
	if err := k.kill(ctx, v, point); err != nil {
		return err
	}
	k.tell("healed with %s held", point)
	return nil
}

// atCommit kills the controller about when it commits an exit: an instant after the record appeared.
func (k *killer) atCommit(ctx context.Context) error {
	name := pick(k.rng, lasting...)
	instance, err := k.killInit(ctx, name, "at rest")
	if err != nil {
		return err
	}
	record := k.w.Path("run", "exits", instance+".json")
	deadline := time.Now().Add(100 * time.Millisecond) // it may have come and gone: then it is after the commit
	for time.Now().Before(deadline) {
		if _, err := os.Stat(record); err == nil {
			break
		}
	}
	time.Sleep(time.Duration(k.rng.Int64N(int64(4 * time.Millisecond))))
	return k.killController(ctx, "commit")
}

// atStop kills within the grace period of a stop, then starts the container again.
func (k *killer) atStop(ctx context.Context) error {
	name := pick(k.rng, lasting...)
	c, p, err := k.living(ctx, name)
	if err != nil {
		return err
	}
	if err := k.verb(ctx, "stop", name); err != nil {
		return err
	}
	k.pause(ctx, 100*time.Millisecond)
	v := pick(k.rng, initVictim, controllerVictim, controllerVictim, guardVictim, reaperVictim)
	if v == initVictim {
		err = k.strike(v, p, c.Status.Instance, "stop")
	} else {
		err = k.kill(ctx, v, "stop")
	}
	if err != nil {
		return err
	}
	return k.retry(ctx, "start", name)
}

// wish changes what is wanted.
func (k *killer) wish(ctx context.Context) error {
	kind := pick(k.rng, kinds...)
	switch k.rng.IntN(4) {
	case 0:
		return k.retry(ctx, "restart", kind.name)
	case 1: // runs once more what is over, else nothing
		return k.retry(ctx, "start", kind.name)
	case 2:
		return k.edit(kind)
	}
	k.asks = append(k.asks, ask{kind.name, time.Now()})
	k.tell("remove %s", kind.name)
	if err := k.w.Remove(kind.name + ".yaml"); err != nil {
		return err
	}
	k.pause(ctx, 300*time.Millisecond)
	return k.edit(kind)
}

// edit writes a manifest that differs from all before it.
func (k *killer) edit(kind kind) error {
	k.edits++
	k.asks = append(k.asks, ask{kind.name, time.Now()})
	k.tell("edit %s", kind.name)
	return kind.put(k.w, fmt.Sprint(k.edits))
}

// retry runs a verb until it is accepted: a name that has just come back may not be known yet.
func (k *killer) retry(ctx context.Context, verb, name string) error {
	return scratch.Until(ctx, 10*time.Second, verb+" "+name+" is accepted", func() error { return k.verb(ctx, verb, name) })
}
