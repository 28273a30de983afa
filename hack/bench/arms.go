package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/hack/internal/scratch"
)

// bencher runs the arms and collects their rows.
type bencher struct {
	w      *scratch.World
	starts *starts
	ideal  *ideal
	rows   []row
}

// calm is left between rounds: what was deleted is gone, and a restart counts as the first again, which is immediate.
const calm = 300 * time.Millisecond

// want is a manifest of a container that is restarted at once.
func want(name string) scratch.Manifest {
	return scratch.Manifest{
		Name: name, Bundle: name, Policy: "Always", Grace: time.Second,
		Initial: 100 * time.Millisecond, Max: time.Second, Reset: calm / 2,
	}
}

// restart measures kill -9 of an init to the next instance's first instruction.
func (b *bencher) restart(ctx context.Context, rounds int) error {
	if err := b.wanted(ctx, "phoenix"); err != nil {
		return err
	}
	old, err := b.ideal.prepare("ideal")
	if err != nil {
		return err
	}
	if err := b.ideal.run(ctx, old); err != nil {
		return err
	}
	if _, err := b.starts.one(ctx, "ideal"); err != nil {
		return err
	}
	var ours, ideals []time.Duration
	for range rounds {
		time.Sleep(calm)
		took, err := b.restartOurs(ctx)
		if err != nil {
			return err
		}
		ours = append(ours, took)
		time.Sleep(calm)
		if old, took, err = b.restartIdeal(ctx, old); err != nil {
			return err
		}
		ideals = append(ideals, took)
	}
	b.add(ratio("killed -> first instruction of the next", ours, ideals, 1.15))
	if err := b.ideal.discard(ctx, old); err != nil {
		return err
	}
	return b.unwanted(ctx, "phoenix")
}

func (b *bencher) restartOurs(ctx context.Context) (time.Duration, error) {
	all, err := b.w.Containers(ctx)
	if err != nil {
		return 0, err
	}
	p, err := b.w.Init(all["phoenix"])
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := p.Kill(); err != nil {
		return 0, err
	}
	at, err := b.starts.one(ctx, "phoenix")
	return at.Sub(began), err
}

func (b *bencher) restartIdeal(ctx context.Context, old string) (id string, took time.Duration, err error) {
	if id, err = b.ideal.prepare("ideal"); err != nil {
		return "", 0, err
	}
	p, fd, err := b.ideal.init(old)
	if err != nil {
		return "", 0, err
	}
	defer unix.Close(fd)
	began := time.Now()
	if err := p.Kill(); err != nil {
		return "", 0, err
	}
	if err := awaitDeath(fd); err != nil {
		return "", 0, err
	}
	if err := b.ideal.run(ctx, id); err != nil {
		return "", 0, err
	}
	at, err := b.starts.one(ctx, "ideal")
	if err != nil {
		return "", 0, err
	}
	return id, at.Sub(began), b.ideal.discard(ctx, old)
}

// manifest measures a manifest renamed into place to the first instruction.
func (b *bencher) manifest(ctx context.Context, rounds int) error {
	var ours, ideals []time.Duration
	for n := range rounds {
		name := fmt.Sprintf("new-%d", n)
		time.Sleep(calm)
		if err := b.w.Bundle(name, scratch.BundleOptions{}, "payload", name); err != nil {
			return err
		}
		began := time.Now()
		if err := b.w.Put(name+".yaml", want(name)); err != nil {
			return err
		}
		at, err := b.starts.one(ctx, name)
		if err != nil {
			return err
		}
		ours = append(ours, at.Sub(began))
		if err := b.unwanted(ctx, name); err != nil {
			return err
		}

		id, err := b.ideal.prepare(name)
		if err != nil {
			return err
		}
		time.Sleep(calm)
		began = time.Now()
		if err := b.ideal.run(ctx, id); err != nil {
			return err
		}
		if at, err = b.starts.one(ctx, name); err != nil {
			return err
		}
		ideals = append(ideals, at.Sub(began))
		if err := b.ideal.discard(ctx, id); err != nil {
			return err
		}
	}
	b.add(excess("manifest in place -> first instruction", ours, ideals, 10*time.Millisecond))
	return nil
}

// burst measures the rate at which many containers come to be from nothing, against xargs.
func (b *bencher) burst(ctx context.Context, rounds int) error {
	var ours, ideals []time.Duration
	anyOf := func(name string) bool { return strings.HasPrefix(name, "burst-") }
	for range rounds {
		time.Sleep(calm)
		began, err := b.putMany()
		if err != nil {
			return err
		}
		at, err := b.starts.next(ctx, many, anyOf)
		if err != nil {
			return err
		}
		ours = append(ours, at.Sub(began))
		if err := b.unwanted(ctx, "burst"); err != nil {
			return err
		}

		took, err := b.burstIdeal(ctx, anyOf)
		if err != nil {
			return err
		}
		ideals = append(ideals, took)
	}
	b.add(rate(fmt.Sprintf("%d from nothing, against xargs -P2", many), ours, ideals, 0.9))
	return nil
}

// putMany wants many containers at once and says since when.
func (b *bencher) putMany() (time.Time, error) {
	var all []scratch.Manifest
	for n := range many {
		m := want(fmt.Sprintf("burst-%d", n))
		if err := b.w.Bundle(m.Name, scratch.BundleOptions{}, "payload", m.Name); err != nil {
			return time.Time{}, err
		}
		all = append(all, m)
	}
	began := time.Now()
	return began, b.w.Put("burst.yaml", all...)
}

func (b *bencher) burstIdeal(ctx context.Context, anyOf func(string) bool) (time.Duration, error) {
	var ids []string
	for n := range many {
		id, err := b.ideal.prepare(fmt.Sprintf("burst-%d", n))
		if err != nil {
			return 0, err
		}
		ids = append(ids, id)
	}
	time.Sleep(calm)
	// The arguments of all creates differ in the id alone, which is the bundle's name too.
	line := fmt.Sprintf(`%[1]s --root %[2]s create --bundle %[3]s/{} --pid-file %[3]s/{}/init.pid {} && %[1]s --root %[2]s start {}`,
		b.w.Runtime, b.ideal.root, b.w.Path("bundles"))
	xargs := exec.CommandContext(ctx, "xargs", "-P2", "-I{}", "sh", "-c", line)
	xargs.Stdin = strings.NewReader(strings.Join(ids, "\n"))
	began := time.Now()
	if err := xargs.Run(); err != nil {
		return 0, fmt.Errorf("xargs: %w", err)
	}
	at, err := b.starts.next(ctx, many, anyOf)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		if err := b.ideal.discard(ctx, id); err != nil {
			return 0, err
		}
	}
	return at.Sub(began), nil
}

// wanted wants one container and waits for its start.
func (b *bencher) wanted(ctx context.Context, name string) error {
	if err := b.w.Bundle(name, scratch.BundleOptions{}, "payload", name); err != nil {
		return err
	}
	if err := b.w.Put(name+".yaml", want(name)); err != nil {
		return err
	}
	_, err := b.starts.one(ctx, name)
	return err
}

// unwanted removes a manifest and waits until nothing is left to do.
func (b *bencher) unwanted(ctx context.Context, file string) error {
	if err := b.w.Remove(file + ".yaml"); err != nil {
		return err
	}
	return scratch.Until(ctx, time.Minute, file+" is gone", func() error {
		all, err := b.w.Containers(ctx)
		if err != nil {
			return err
		}
		if len(all) > 0 {
			return fmt.Errorf("%d containers are still known", len(all))
		}
		return b.w.Settled(ctx)
	})
}

func (b *bencher) add(rows ...row) { b.rows = append(b.rows, rows...) }
