package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"reconciler.dev/reconciler/hack/internal/scratch"
)

// victim is what a kill was aimed at.
type victim string

const (
	initVictim       victim = "init"
	controllerVictim victim = "controller"
	guardVictim      victim = "guard"
	reaperVictim     victim = "reaper"
)

// kill is one kill that hit a living process.
type kill struct {
	victim   victim
	instance string // of an init
	at       time.Time
}

// ask is one wish of ours that ends an instance of name: a verb, an edit, a removal, the loss of what it needs.
type ask struct {
	name string
	at   time.Time
}

// killer drives the run. It is deterministic in its choices, not in what they meet: the machine's timing is part of the
// fault.
type killer struct {
	w       *scratch.World
	gate    *gate
	runtime string // the real one, behind the gate
	tells   bool   // the kernel tells the exit of a process that another has reaped
	rng     *rand.Rand
	verbose bool

	log       book
	records   recorder
	kills     []kill
	asks      []ask
	blind     []window        // in which an exit may have gone unseen
	bare      map[string]bool // instances whose files in the run directory were wiped
	storeLost bool            // in this round
	wiped     bool            // files of the run directory were, in this round
	excused   map[string]bool // instances of which nobody can know any more: store and files are both gone
	pair      scratch.Pair
	strangers []stranger
	edits     int
	written   map[string]string // what tells each manifest from those before it, by name
	known     map[string]bool   // complaints made already
	broken    []complaint
	tally     tally
}

func (k *killer) tell(format string, a ...any) {
	if k.verbose {
		fmt.Fprintf(os.Stderr, "%s "+format+"\n", append([]any{time.Now().Format("15:04:05.000")}, a...)...)
	}
}

func (k *killer) violated(class class, format string, a ...any) {
	c := complaint{class, fmt.Sprintf(format, a...)}
	if !k.known[c.text] {
		k.known[c.text] = true
		k.tell("BROKEN: %s: %s", c.class, c.text)
		k.broken = append(k.broken, c)
	}
}

// strike kills and keeps the books. A victim that has just gone by itself is not counted.
func (k *killer) strike(v victim, p scratch.Process, instance string) error {
	at := time.Now() // before: a record of it is never earlier
	err := p.Kill()
	if errors.Is(err, scratch.ErrGone) {
		return nil
	}
	k.tell("kill %s %s, pid %d", v, instance, p.PID)
	k.kills = append(k.kills, kill{v, instance, at})
	return err
}

// target is an instance that runs.
type target struct {
	name, instance string
	init           scratch.Process
}

// hit kills the init of an instance.
func (k *killer) hit(t target) error { return k.strike(initVictim, t.init, t.instance) }

// living waits until name runs; it is one that lasts, so it must.
func (k *killer) living(ctx context.Context, name string) (target, error) {
	t := target{name: name}
	err := scratch.Until(ctx, patience, name+" runs", func() error {
		all, err := k.w.Containers(ctx)
		if err != nil {
			return err
		}
		c := all[name]
		if c.Status.Phase != "Running" {
			return fmt.Errorf("it is %q", c.Status.Phase)
		}
		t.instance = c.Status.Instance
		t.init, err = k.w.Init(c)
		return err
	})
	return t, err
}

// some waits until one of those that last runs: whichever the seed says.
func (k *killer) some(ctx context.Context) (target, error) {
	return k.living(ctx, pick(k.rng, lasting...))
}

// killController kills it where it stands.
func (k *killer) killController() error {
	k.letGo()
	p := k.w.Controller()
	if !p.Alive() {
		k.violated(other, "the controller ended by itself")
	}
	err := k.strike(controllerVictim, p, "")
	k.w.KillController()
	return err
}

// letGo notes that a controller is about to end. What it holds on to and nobody else, after a wipe, ends with it: that may
// be an instance that lived through the wipe, and through the end of the pair that knew it, many rounds ago.
func (k *killer) letGo() {
	held := func(id string) bool { return k.bare[id] && k.log.lives[id] != nil && len(k.records.seen[id]) == 0 }
	if k.wiped || slices.ContainsFunc(slices.Collect(maps.Keys(k.bare)), held) {
		k.unseen()
	}
}

// restartController kills it and starts the next one.
func (k *killer) restartController(ctx context.Context) error {
	if err := k.killController(); err != nil {
		return err
	}
	return k.w.Start(ctx)
}

// killOfPair kills guard or reaper, once the pair is whole, and waits until it is whole again. Whoever guarded, the next
// guard is the reaper that was there: a fresh pair beside the old one would not have its children.
func (k *killer) killOfPair(ctx context.Context, v victim) error {
	pair, err := k.whole(ctx)
	if err != nil {
		return err
	}
	if k.pair != (scratch.Pair{}) && pair != k.pair {
		k.violated(other, "the pair %v became %v by itself", k.pair, pair)
	}
	p, heir := pair.Reaper, pair.Guard
	if v == guardVictim {
		p, heir = pair.Guard, pair.Reaper
	}
	if err := k.strike(v, p, ""); err != nil {
		return err
	}
	next, err := k.whole(ctx)
	if err != nil {
		return err
	}
	k.pair = next
	if next.Guard != heir {
		k.violated(other, "after the kill of the %s %d the guard is %d, not %d", v, p.PID, next.Guard.PID, heir.PID)
	}
	return nil
}

func (k *killer) whole(ctx context.Context) (pair scratch.Pair, err error) {
	err = scratch.Until(ctx, patience, "the pair is whole", func() error {
		pair, err = k.w.Pair()
		return err
	})
	return pair, err
}

// kill kills a victim that is no init, and waits until it is replaced.
func (k *killer) kill(ctx context.Context, v victim) error {
	if v == controllerVictim {
		return k.restartController(ctx)
	}
	return k.killOfPair(ctx, v)
}

// askFor notes that a wish for name is about to be uttered.
func (k *killer) askFor(names ...string) {
	for _, name := range names {
		k.asks = append(k.asks, ask{name, time.Now()})
	}
}

// askForAll notes that whatever lives may be replaced.
func (k *killer) askForAll() {
	for _, kind := range kinds {
		k.askFor(kind.name)
	}
}

// verb runs a verb of the CLI that may end an instance of name.
func (k *killer) verb(ctx context.Context, verb, name string) error {
	k.askFor(name)
	k.tell("%s %s", verb, name)
	_, err := k.w.CLI(ctx, verb, name)
	return err
}

// retry runs a verb until it is accepted: a name that has just come back may not be known yet.
func (k *killer) retry(ctx context.Context, verb, name string) error {
	return scratch.Until(ctx, patience, verb+" "+name+" is accepted", func() error { return k.verb(ctx, verb, name) })
}

// pause waits for a random time up to limit.
func (k *killer) pause(ctx context.Context, limit time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(k.rng.Int64N(int64(limit)))):
	}
}

// pick chooses one.
func pick[T any](rng *rand.Rand, from ...T) T { return from[rng.IntN(len(from))] }
