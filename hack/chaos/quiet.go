package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/hack/internal/scratch"
)

// settleLimit bounds how long the world may take to settle once the faults have stopped.
const settleLimit = 60 * time.Second

// quiet ends the faults, waits until the world has settled, looks for leaks, and stops everything.
func (k *killer) quiet(ctx context.Context) error {
	if err := k.gate.open(); err != nil {
		return err
	}
	if err := k.w.Answers(ctx); err != nil {
		return err
	}
	if _, err := k.whole(ctx); err != nil {
		return err
	}
	for _, kind := range kinds {
		if kind.ends {
			if err := k.retry(ctx, "stop", kind.name); err != nil {
				return err
			}
		}
	}
	if err := k.settle(ctx); err != nil {
		return err
	}
	if err := k.compareDescriptors(ctx); err != nil {
		return err
	}
	k.lookForLeaks(ctx)
	for _, kind := range kinds {
		if err := k.verb(ctx, "stop", kind.name); err != nil {
			return err
		}
	}
	if err := k.settle(ctx); err != nil {
		return err
	}
	if err := k.records.collect(ctx, k.w); err != nil {
		return err
	}
	if err := k.w.Down(ctx); err != nil {
		return err
	}
	return k.nothingLeft(ctx)
}

// settle waits until nothing is planned and those that last run, or nothing does.
func (k *killer) settle(ctx context.Context) error {
	return scratch.Until(ctx, settleLimit, "the world settles", func() error {
		all, err := k.w.Containers(ctx)
		if err != nil {
			return err
		}
		for name, c := range all {
			if !slices.Contains([]string{"Running", "Stopped", "Completed", "Failed"}, c.Status.Phase) ||
				c.Status.Phase == "Running" && !slices.Contains(lasting, name) {
				return fmt.Errorf("%s is %s", name, c.Status.Phase)
			}
		}
		return k.w.Settled(ctx)
	})
}

// compareDescriptors restarts containers many times over and compares what the processes of ours have open before and
// after: the run itself cannot tell, since its controllers are young when they die.
func (k *killer) compareDescriptors(ctx context.Context) error {
	pair, err := k.whole(ctx)
	if err != nil {
		return err
	}
	ours := map[string]scratch.Process{"controller": k.w.Controller(), "guard": pair.Guard, "reaper": pair.Reaper}
	count := func() map[string][]string {
		open := map[string][]string{}
		for who, p := range ours {
			open[who] = p.Descriptors()
		}
		return open
	}
	before := count()
	for range 5 {
		for _, name := range lasting {
			if _, err := k.killInit(ctx, name, "at rest"); err != nil {
				return err
			}
		}
	}
	for _, name := range lasting {
		if _, _, err := k.living(ctx, name); err != nil {
			return err
		}
	}
	if err := k.settle(ctx); err != nil {
		return err
	}
	var grown string
	err = scratch.Until(ctx, 10*time.Second, "no more descriptors than before", func() error {
		for who, after := range count() {
			if len(after) > len(before[who]) {
				grown = fmt.Sprintf("%s: %d descriptors became %d: %q", who, len(before[who]), len(after), after)
				return fmt.Errorf("%s", grown)
			}
		}
		return nil
	})
	if err != nil {
		k.violated("descriptors leak: %s", grown)
	}
	return ctx.Err()
}

// lookForLeaks compares what is there with the instances that run.
func (k *killer) lookForLeaks(ctx context.Context) {
	err := scratch.Until(ctx, 10*time.Second, "only what runs has traces", func() error {
		living := map[string]bool{}
		for _, name := range lasting {
			c, _, err := k.living(ctx, name)
			if err != nil {
				return err
			}
			living[c.Status.Instance] = true
		}
		return k.traces(living)
	})
	if err != nil && ctx.Err() == nil {
		k.violated("leak: %v", err)
	}
}

// traces is an error if there is anything of an instance that does not live.
func (k *killer) traces(living map[string]bool) error {
	pair, err := k.w.Pair()
	if err != nil {
		return err
	}
	for _, p := range []scratch.Process{pair.Guard, pair.Reaper, k.w.Controller()} {
		if z := p.Zombies(); len(z) > 0 {
			return fmt.Errorf("process %d has zombies: %v", p.PID, z)
		}
	}
	for _, dir := range []string{"runc", "bundles", "instances", "exits"} {
		entries, err := os.ReadDir(k.w.Path("run", dir))
		if err != nil {
			return err
		}
		for _, e := range entries {
			if id := strings.TrimSuffix(strings.TrimSuffix(e.Name(), ".json"), ".launching"); !living[id] {
				return fmt.Errorf("%s/%s is left", dir, e.Name())
			}
		}
	}
	for _, dir := range k.w.Cgroups() {
		if id := filepath.Base(dir); id != k.w.Parent && !living[id] {
			return fmt.Errorf("cgroup %s is left", dir)
		}
	}
	return nil
}

// nothingLeft demands that nothing is left of the world after it went down.
func (k *killer) nothingLeft(ctx context.Context) error {
	err := scratch.Until(ctx, 10*time.Second, "nothing is left", func() error {
		if left := k.w.Leftovers(); len(left) > 0 {
			return fmt.Errorf("%s", strings.Join(left, ", "))
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		k.violated("after down: %v", err)
	}
	return ctx.Err()
}

// evidence is what the oracle may know.
func (k *killer) evidence() (evidence, error) {
	log, err := os.ReadFile(k.w.Path("out", "log"))
	if err != nil {
		return evidence{}, err
	}
	return evidence{
		log: string(log), records: k.records.seen, kills: k.kills, asks: k.asks, tellsReaped: tellsReaped(),
	}, nil
}

// tellsReaped says whether this kernel tells the exit status of a process that was reaped by another: PIDFD_INFO_EXIT,
// which came with Linux 6.15.
func tellsReaped() bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	var major, minor int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor); err != nil {
		return false
	}
	return major > 6 || major == 6 && minor >= 15
}
