package main

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/hack/internal/scratch"
)

// fileFaults take away what is on disk, or the room for more of it.
var fileFaults = []fault{
	{"sockets removed", (*killer).removeSockets},
	{"run directory wiped", func(k *killer, _ context.Context) error { return k.wipeRun() }},
	{"run directory moved away", (*killer).moveRun},
	{"run directory wiped without a controller", func(k *killer, ctx context.Context) error { return k.wipeUnseen(ctx, false) }},
	{"run directory wiped with all three dead", func(k *killer, ctx context.Context) error { return k.wipeUnseen(ctx, true) }},
	{"runtime root wiped", func(k *killer, ctx context.Context) error { return k.wipe("runc") }},
	{"bundles wiped", func(k *killer, ctx context.Context) error { return k.wipe("bundles") }},
	{"instance files wiped", func(k *killer, ctx context.Context) error { return k.wipe("instances") }},
	{"exit files wiped", func(k *killer, ctx context.Context) error { return k.wipe("exits") }},
	{"store removed", damagedStore(func(k *killer, path string) error { return os.Remove(path) })},
	{"store truncated", damagedStore((*killer).truncate)},
	{"store with flipped bits", flippedStore},
	{"state disk full", fullDisk("state")},
	{"run disk full", fullDisk("run")},
	{"logs disk full", fullDisk("logs")},
}

// inRun is a path below the run directory.
func (k *killer) inRun(elem ...string) string {
	return filepath.Join(append([]string{k.w.Run}, elem...)...)
}

// wipe removes all that is in a directory of the run directory. What lives may be replaced for it, and an exit that was
// only told by a file there is gone with it where the kernel does not tell it again.
func (k *killer) wipe(dir string) error {
	k.askForAll()
	if err := k.strip(); err != nil {
		return err
	}
	if !k.tells {
		k.unseen()
	}
	entries, err := os.ReadDir(k.inRun(dir))
	for _, e := range entries {
		err = errors.Join(err, removeAll(k.inRun(dir, e.Name())))
	}
	return err
}

// strip notes that what lives, or is about to, does not carry any more what a controller needs that finds it without a
// record of it.
func (k *killer) strip() error {
	k.wiped = true
	err := k.log.follow()
	made, readErr := os.ReadDir(k.inRun("bundles"))
	if readErr != nil && !errors.Is(readErr, os.ErrNotExist) {
		err = errors.Join(err, readErr)
	}
	ids := slices.Collect(maps.Keys(k.log.lives))
	for _, bundle := range made {
		ids = append(ids, bundle.Name())
	}
	for _, id := range ids {
		if len(k.records.seen[id]) == 0 {
			k.bare[id] = true
		}
	}
	if k.storeLost {
		k.excuse()
	}
	return err
}

// excuse notes that store and files are both gone.
func (k *killer) excuse() {
	for id := range k.bare {
		k.excused[id] = len(k.records.seen[id]) == 0
	}
}

// removeAll removes what is there. What others have made anew by the time it comes to an end, it has removed before.
func removeAll(path string) error {
	err := os.RemoveAll(path)
	if errors.Is(err, unix.ENOTEMPTY) {
		return nil
	}
	return err
}

func (k *killer) removeSockets(context.Context) error {
	return errors.Join(os.Remove(k.inRun("subreaper.sock")), os.Remove(k.inRun("reconciler.sock")))
}

// wipeRun removes the whole run directory.
func (k *killer) wipeRun() error {
	k.askForAll()
	if err := k.strip(); err != nil {
		return err
	}
	if !k.tells {
		k.unseen()
	}
	k.tell("wipe the run directory")
	return removeAll(k.w.Run)
}

// moveRun takes it away under those who have it open: what they do there is seen by nobody.
func (k *killer) moveRun(ctx context.Context) error {
	k.askForAll()
	k.unseen()
	if err := k.strip(); err != nil {
		return err
	}
	away := k.w.Run + ".away"
	if err := os.Rename(k.w.Run, away); err != nil {
		return err
	}
	k.pause(ctx, 300*time.Millisecond)
	return removeAll(away)
}

// wipeUnseen wipes it while no controller is there to hold on to anything, or nobody at all.
func (k *killer) wipeUnseen(ctx context.Context, all bool) error {
	k.unseen()
	if all {
		pair, err := k.ours(ctx, guardVictim, reaperVictim)
		if err != nil {
			return err
		}
		for _, sig := range []unix.Signal{unix.SIGSTOP, unix.SIGKILL} {
			for _, p := range pair {
				_ = p.Signal(sig) // the pair is whole: it takes both
			}
		}
		k.pair = scratch.Pair{}
	}
	if err := k.killController(); err != nil {
		return err
	}
	if err := k.wipeRun(); err != nil {
		return err
	}
	return k.w.Start(ctx)
}

// dropAside removes the damaged stores that were kept so far, as their reader would: the disk is small.
func (k *killer) dropAside() error {
	kept, err := filepath.Glob(filepath.Join(k.w.State, "*.corrupt-*"))
	for _, path := range kept {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// damagedStore damages the store while nobody has it open. What is in it and nowhere else is lost; what had been told
// before is still held against what is told after.
func damagedStore(damage func(*killer, string) error) func(*killer, context.Context) error {
	return func(k *killer, ctx context.Context) error {
		if err := k.killController(); err != nil {
			return err
		}
		if err := k.records.collectOffline(ctx, k.w); err != nil {
			return err
		}
		k.unseen()
		k.storeLost = true
		k.excuse()
		if err := k.dropAside(); err != nil {
			return err
		}
		if err := damage(k, filepath.Join(k.w.State, "reconciler.db")); err != nil {
			return err
		}
		return k.w.Start(ctx)
	}
}

func (k *killer) truncate(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.Truncate(path, k.rng.Int64N(info.Size()))
}

// flippedStore damages it in places. What the controller then cannot read it tells and leaves alone, so that somebody may
// look; who wants to go on without removes the store.
func flippedStore(k *killer, ctx context.Context) error {
	if err := damagedStore((*killer).flip)(k, ctx); err != nil {
		return err
	}
	var names []string
	for _, kind := range kinds {
		names = append(names, kind.name)
	}
	problems, err := k.w.Problems(ctx, names)
	if err != nil || len(problems) == 0 {
		return err
	}
	k.tell("it cannot be read: %q", problems)
	return damagedStore(func(_ *killer, path string) error { return os.Remove(path) })(k, ctx)
}

// flip turns a few bits over.
func (k *killer) flip(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for range 1 + k.rng.IntN(8) {
		b[k.rng.IntN(len(b))] ^= 1 << k.rng.IntN(8)
	}
	return os.WriteFile(path, b, 0o600)
}

// fullDisk leaves no room on one of the disks for a while, in which a container ends.
func fullDisk(name string) func(*killer, context.Context) error {
	return func(k *killer, ctx context.Context) (err error) {
		t, err := k.some(ctx)
		if err != nil {
			return err
		}
		ballast := k.w.Path("disks", name, "ballast")
		defer func() { err = errors.Join(err, os.Remove(ballast)) }()
		if err := fill(ballast); err != nil {
			return err
		}
		if err := k.hit(t); err != nil {
			return err
		}
		k.pause(ctx, 700*time.Millisecond)
		return nil
	}
}

// fill writes until there is no room for another byte.
func fill(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		_, err := f.Write(make([]byte, size))
		switch {
		case errors.Is(err, unix.ENOSPC):
			size /= 2
		case err != nil:
			return err
		}
	}
	return nil
}
