package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/hack/internal/scratch"
)

// quiet ends the run: it looks for leaks that many restarts would show, stops everything, and looks for what is left.
func (k *killer) quiet(ctx context.Context) error {
	if err := k.loopsGoOn(ctx); err != nil {
		return err
	}
	for _, kind := range kinds {
		if kind.ends {
			if err := k.retry(ctx, "stop", kind.name); err != nil {
				return err
			}
		}
	}
	if err := k.compareDescriptors(ctx); err != nil {
		return err
	}
	for _, kind := range kinds {
		if err := k.retry(ctx, "stop", kind.name); err != nil {
			return err
		}
	}
	err := scratch.Until(ctx, settleLimit, "everything is over", func() error {
		all, err := k.w.Containers(ctx)
		for name, c := range all {
			if c.Status.Phase == "Running" || c.Status.Phase == "Stopping" {
				return fmt.Errorf("%s is %s", name, c.Status.Phase)
			}
		}
		if err != nil {
			return err
		}
		return k.w.Settled(ctx)
	})
	if err != nil {
		return err
	}
	if err := k.look(ctx); err != nil {
		return err
	}
	if err := k.w.Down(ctx); err != nil {
		return err
	}
	k.w.Unmount(len(k.broken) > 0)
	return k.nothingLeft(ctx)
}

// ourProcesses are the three, by what they are.
func (k *killer) ourProcesses(ctx context.Context) (map[string]scratch.Process, error) {
	pair, err := k.whole(ctx)
	return map[string]scratch.Process{"controller": k.w.Controller(), "guard": pair.Guard, "reaper": pair.Reaper}, err
}

// compareDescriptors restarts containers many times over and compares what the processes of ours have open before and
// after: the run itself cannot tell, since its controllers are young when they die. The first restart makes all alike:
// what lost its files in the run is watched by fewer.
func (k *killer) compareDescriptors(ctx context.Context) error {
	if err := k.restartAll(ctx); err != nil {
		return err
	}
	ours, err := k.ourProcesses(ctx)
	if err != nil {
		return err
	}
	before := map[string]int{}
	for who, p := range ours {
		before[who] = len(p.Descriptors())
	}
	for range 2 {
		if err := k.restartAll(ctx); err != nil {
			return err
		}
	}
	err = scratch.Until(ctx, patience, "no more descriptors than before", func() error {
		for who, p := range ours {
			if after := p.Descriptors(); len(after) > before[who] {
				return fmt.Errorf("%s: %d descriptors became %d: %q", who, before[who], len(after), after)
			}
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		k.violated(leaked, "%v", err)
	}
	return ctx.Err()
}

// restartAll kills each of those that last, and waits until they are back.
func (k *killer) restartAll(ctx context.Context) error {
	for _, name := range lasting {
		t, err := k.living(ctx, name)
		if err != nil {
			return err
		}
		if err := k.hit(t); err != nil {
			return err
		}
	}
	_, err := k.settle(ctx)
	return err
}

// lookForLeaks compares what is there with the instances that run.
func (k *killer) lookForLeaks(ctx context.Context) {
	err := scratch.Until(ctx, patience, "only what runs has traces", func() error {
		all, err := k.w.Containers(ctx)
		if err != nil {
			return err
		}
		living := map[string]bool{}
		for _, c := range all {
			if c.Status.Phase == "Running" {
				living[c.Status.Instance] = true
			}
		}
		return k.traces(living)
	})
	if err != nil && ctx.Err() == nil {
		k.violated(leaked, "%v", err)
	}
}

// passing are the names of which there is always something that has just ended, or is about to begin.
var passing = func() map[string]bool {
	names := map[string]bool{}
	for _, kind := range kinds {
		names[kind.name] = kind.ends
	}
	return names
}()

// traces is an error if there is anything of an instance that does not live.
func (k *killer) traces(living map[string]bool) error {
	pair, err := k.w.Pair()
	if err != nil {
		return err
	}
	for _, p := range []scratch.Process{pair.Guard, pair.Reaper, k.w.Controller()} {
		for _, pid := range p.Zombies() {
			if again, err := scratch.Find(pid); err == nil && !again.Alive() { // one that is only just dead is about to go
				return fmt.Errorf("process %d has a zombie: %d", p.PID, pid)
			}
		}
	}
	over := func(id string) bool {
		name, _, isInstance := strings.Cut(id, ".")
		return !living[id] && !(isInstance && passing[name])
	}
	for _, dir := range []string{"runc", "bundles", "instances", "exits"} {
		entries, err := os.ReadDir(k.inRun(dir))
		if err != nil {
			return err
		}
		for _, e := range entries {
			id := strings.TrimSuffix(strings.TrimSuffix(e.Name(), ".json"), ".launching")
			if over(id) {
				return fmt.Errorf("%s/%s is left", dir, e.Name())
			}
		}
		if len(entries) > 2*len(kinds) { // bounds what is left of those that come and go
			return fmt.Errorf("%s has %d entries", dir, len(entries))
		}
	}
	for _, dir := range k.w.Cgroups() {
		if id := filepath.Base(dir); id != k.w.Parent && over(id) {
			return fmt.Errorf("cgroup %s is left", dir)
		}
	}
	return nil
}

// nothingLeft demands that nothing is left of the world after it went down.
func (k *killer) nothingLeft(ctx context.Context) error {
	err := scratch.Until(ctx, patience, "nothing is left", func() error {
		if left := k.w.Leftovers(); len(left) > 0 {
			return fmt.Errorf("%s", strings.Join(left, ", "))
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		k.violated(leaked, "after down: %v", err)
	}
	return ctx.Err()
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
