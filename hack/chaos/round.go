package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"reconciler.dev/reconciler/hack/internal/scratch"
)

// rampage deals the faults out of a shuffled deck of all of them, over and over, so that each has its turn: one to three a
// round. It goes on until so many were injected, or, if a duration is given, until that is over.
func (k *killer) rampage(ctx context.Context, o options) error {
	all := slices.DeleteFunc(allFaults(), func(f fault) bool { return !strings.Contains(f.name, o.only) })
	if len(all) == 0 {
		return fmt.Errorf("no fault has %q in its name", o.only)
	}
	if err := k.w.Start(ctx); err != nil {
		return err
	}
	if _, err := k.settle(ctx); err != nil {
		return err
	}
	if err := k.tally.before(ctx, k); err != nil {
		return err
	}
	var deck []fault
	for began, n := time.Now(), 0; o.duration > 0 && time.Since(began) < o.duration || o.duration == 0 && n < o.faults; {
		for len(deck) < 3 {
			k.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			deck = append(deck, all...)
		}
		hand := deck[:max(1, min(o.together, pick(k.rng, 1, 1, 2, 3)))]
		deck = deck[len(hand):]
		n += len(hand)
		if err := k.round(ctx, hand); err != nil {
			return err
		}
	}
	return k.tally.after(ctx, k)
}

// round injects faults one after the other, lets the world settle, and judges what has come to be.
func (k *killer) round(ctx context.Context, hand []fault) error {
	var injected []string
	for _, f := range hand {
		k.tell("--- %s", f.name)
		err := f.inject(k, ctx)
		if errors.Is(err, errUnable) {
			k.tally.unable(f.name, err)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		injected = append(injected, f.name)
		k.pause(ctx, 60*time.Millisecond)
	}
	if err := k.gate.open(); err != nil {
		return err
	}
	broken := len(k.broken)
	took, err := k.settle(ctx)
	if err != nil {
		return err
	}
	if k.tally.rounds%20 == 19 { // their waits are longer than a round
		if err := k.loopsGoOn(ctx); err != nil {
			return err
		}
	}
	for i := range k.blind {
		if k.blind[i].to.IsZero() {
			k.blind[i].to = time.Now()
		}
	}
	k.storeLost, k.wiped = false, false
	k.lookAfterStrangers()
	if err := k.look(ctx); err != nil {
		return err
	}
	k.lookForLeaks(ctx)
	k.tally.round(injected, took, k.broken[broken:])
	return ctx.Err()
}

// unseen opens a window in which an exit may go unseen. It is closed at the end of the round.
func (k *killer) unseen() { k.blind = append(k.blind, window{from: time.Now()}) }

// settle waits until nothing is planned, those that last run their program, and the jobs are over. It returns how long
// that took.
func (k *killer) settle(ctx context.Context) (took time.Duration, err error) {
	began := time.Now()
	err = scratch.Until(ctx, settleLimit, "the world settles", func() error { return k.settled(ctx) })
	return time.Since(began), err
}

const settleLimit = 2 * time.Minute // a bound for what must happen at all, also on a slow machine

func (k *killer) settled(ctx context.Context) error {
	all, err := k.w.Containers(ctx)
	if err != nil {
		return err
	}
	planned, err := k.w.Plan(ctx)
	if err != nil {
		return err
	}
	if err := k.log.follow(); err != nil {
		return err
	}
	for _, kind := range kinds {
		c, known := all[kind.name]
		switch {
		case !known:
			return fmt.Errorf("%s is not known", kind.name)
		case kind.ends:
			continue
		case kind.lasting && c.Status.Phase != "Running", !kind.lasting && c.Status.Phase != "Completed" && c.Status.Phase != "Failed":
			return fmt.Errorf("%s is %s", kind.name, c.Status.Phase)
		case kind.lasting && k.log.lives[c.Status.Instance] == nil:
			return fmt.Errorf("%s is Running and has run nothing", c.Status.Instance)
		}
		if i := slices.IndexFunc(planned, func(p scratch.Planned) bool { return p.Name == kind.name }); i >= 0 {
			return fmt.Errorf("still planned: %s", planned[i].Line)
		}
	}
	_, err = k.w.Pair()
	return err
}

// loopsGoOn waits until each of those that end by themselves has begun another instance.
func (k *killer) loopsGoOn(ctx context.Context) error {
	before, err := k.w.Containers(ctx)
	if err != nil {
		return err
	}
	return scratch.Until(ctx, settleLimit, "what ends by itself is restarted", func() error {
		all, err := k.w.Containers(ctx)
		if err != nil {
			return err
		}
		for _, kind := range kinds {
			if now := all[kind.name].Status.Instance; kind.ends && now == before[kind.name].Status.Instance {
				return fmt.Errorf("%s is still the last of its name", now)
			}
		}
		return nil
	})
}

// look collects what is known by now and judges it. The order matters: what an instance told before it was seen to be over
// makes a record due, and what a record tells was said by its container before.
func (k *killer) look(ctx context.Context) error {
	if err := k.log.follow(); err != nil {
		return err
	}
	due := map[string]bool{}
	for id := range k.log.lives {
		due[id] = true
	}
	all, err := k.w.Containers(ctx)
	if err != nil {
		return err
	}
	for _, c := range all {
		if slices.Contains([]string{"Running", "Creating", "Paused", "Stopping", "Unknown"}, c.Status.Phase) {
			delete(due, c.Status.Instance)
		}
	}
	for id, excused := range k.excused {
		if excused {
			delete(due, id)
		}
	}
	if err := k.records.collect(ctx, k.w); err != nil {
		return err
	}
	if err := k.log.follow(); err != nil {
		return err
	}
	for _, c := range judge(evidence{
		lives: k.log.lives, torn: k.log.torn, records: k.records.seen, twice: k.records.doubled, due: due,
		kills: k.kills, asks: k.asks, blind: k.blind, tells: k.tells,
	}) {
		k.violated(c.class, "%s", c.text)
	}
	return nil
}
