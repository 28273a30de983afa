package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
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
	where    string // what was under way: "at rest", "create.before", ...
	instance string // of an init
	at       time.Time
}

// ask is one wish of ours that ends an instance of name: a verb, an edit, a removal.
type ask struct {
	name string
	at   time.Time
}

// killer drives the run. It is deterministic in its choices, not in what they meet: the machine's timing is part of the
// fault.
type killer struct {
	w       *scratch.World
	gate    *gate
	rng     *rand.Rand
	verbose bool

	kills   []kill
	asks    []ask
	records recorder
	pair    scratch.Pair // as it was left: nobody but us kills
	edits   int
	broken  []string
	tally   tally
}

func newKiller(w *scratch.World, g *gate, seed uint64, verbose bool) *killer {
	return &killer{w: w, gate: g, rng: rand.New(rand.NewPCG(seed, seed)), verbose: verbose, tally: newTally()}
}

func (k *killer) tell(format string, a ...any) {
	if k.verbose {
		fmt.Fprintf(os.Stderr, "%s "+format+"\n", append([]any{time.Now().Format("15:04:05.000")}, a...)...)
	}
}

func (k *killer) violated(format string, a ...any) {
	k.tell("BROKEN: "+format, a...)
	k.broken = append(k.broken, fmt.Sprintf(format, a...))
}

// strike kills and keeps the books. A victim that has just gone by itself is not counted.
func (k *killer) strike(v victim, p scratch.Process, instance, where string) error {
	at := time.Now() // before: a record of it is never earlier
	err := p.Kill()
	if errors.Is(err, scratch.ErrGone) {
		return nil
	}
	k.tell("kill %s %s, pid %d, %s", v, instance, p.PID, where)
	k.kills = append(k.kills, kill{v, where, instance, at})
	k.tally.kill(v, where)
	return err
}

// killInit kills the init of an instance that runs, and returns which.
func (k *killer) killInit(ctx context.Context, name, where string) (instance string, err error) {
	c, p, err := k.living(ctx, name)
	if err != nil {
		return "", err
	}
	return c.Status.Instance, k.strike(initVictim, p, c.Status.Instance, where)
}

// living waits until name runs; it is one that lasts, so it must.
func (k *killer) living(ctx context.Context, name string) (c scratch.Container, p scratch.Process, err error) {
	err = scratch.Until(ctx, 20*time.Second, name+" runs", func() error {
		all, err := k.w.Containers(ctx)
		if err != nil {
			return err
		}
		c = all[name]
		if c.Status.Phase != "Running" {
			return fmt.Errorf("it is %q", c.Status.Phase)
		}
		p, err = k.w.Init(c)
		return err
	})
	return c, p, err
}

// killController kills it where it stands and starts the next one, in one of three before that one answers, and again.
func (k *killer) killController(ctx context.Context, where string) error {
	for {
		p := k.w.Controller()
		if !p.Alive() {
			k.violated("the controller ended by itself")
		}
		if err := k.strike(controllerVictim, p, "", where); err != nil {
			return err
		}
		k.w.KillController()
		began := time.Now()
		if err := k.w.Launch(); err != nil {
			return err
		}
		if k.rng.IntN(3) > 0 {
			err := k.w.Answers(ctx)
			k.tally.healed(controllerVictim, time.Since(began))
			return err
		}
		where = "while it starts"
		if !k.pause(ctx, 150*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// killOfPair kills guard or reaper, once the pair is whole, and waits until it is whole again. Whoever guarded, the next
// guard is the reaper that was there: a fresh pair beside the old one would not have its children.
func (k *killer) killOfPair(ctx context.Context, v victim, where string) error {
	pair, err := k.whole(ctx)
	if err != nil {
		return err
	}
	if k.pair != (scratch.Pair{}) && pair != k.pair {
		k.violated("the pair %v became %v by itself", k.pair, pair)
	}
	p, heir := pair.Reaper, pair.Guard
	if v == guardVictim {
		p, heir = pair.Guard, pair.Reaper
	}
	began := time.Now()
	if err := k.strike(v, p, "", where); err != nil {
		return err
	}
	next, err := k.whole(ctx)
	if err != nil {
		return err
	}
	k.pair = next
	k.tally.healed(v, time.Since(began))
	if next.Guard != heir {
		k.violated("after the kill of the %s %d the guard is %d, not %d", v, p.PID, next.Guard.PID, heir.PID)
	}
	return nil
}

func (k *killer) whole(ctx context.Context) (pair scratch.Pair, err error) {
	err = scratch.Until(ctx, 20*time.Second, "the pair is whole", func() error {
		pair, err = k.w.Pair()
		return err
	})
	return pair, err
}

// kill kills a victim that is no init.
func (k *killer) kill(ctx context.Context, v victim, where string) error {
	if v == controllerVictim {
		return k.killController(ctx, where)
	}
	return k.killOfPair(ctx, v, where)
}

// verb runs a verb of the CLI that may end an instance of name.
func (k *killer) verb(ctx context.Context, verb, name string) error {
	k.asks = append(k.asks, ask{name, time.Now()})
	k.tell("%s %s", verb, name)
	_, err := k.w.CLI(ctx, verb, name)
	return err
}

// pause waits for a random time up to limit; false when the run was interrupted.
func (k *killer) pause(ctx context.Context, limit time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Duration(k.rng.Int64N(int64(limit)))):
		return true
	}
}

// pick chooses one.
func pick[T any](rng *rand.Rand, from ...T) T { return from[rng.IntN(len(from))] }

// recorder keeps every version of every exit record that `exits` ever showed: a record may not change once it is known,
// and a container that restarts often has more exits than are kept for good.
type recorder struct{ seen map[string][]scratch.Exit }

func (r *recorder) collect(ctx context.Context, w *scratch.World) error {
	if r.seen == nil {
		r.seen = map[string][]scratch.Exit{}
	}
	for _, kind := range kinds {
		exits, err := w.Exits(ctx, kind.name)
		if err != nil {
			if strings.Contains(err.Error(), "not found") { // its manifest is away and nothing of it has run yet
				continue
			}
			return err
		}
		listed := map[string]bool{}
		for _, e := range exits {
			versions := r.seen[e.Instance]
			if listed[e.Instance] || len(versions) == 0 || !same(versions[len(versions)-1], e) {
				r.seen[e.Instance] = append(versions, e)
			}
			listed[e.Instance] = true
		}
	}
	return nil
}

// same says whether two records tell the same end.
func same(a, b scratch.Exit) bool {
	return a.Instance == b.Instance && a.PID == b.PID && a.Source == b.Source && a.FinishedAt.Equal(b.FinishedAt) &&
		equal(a.ExitCode, b.ExitCode) && equal(a.Signal, b.Signal)
}

func equal(a, b *int) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
