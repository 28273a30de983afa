package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"reconciler.dev/reconciler/hack/internal/scratch"
)

// idle measures what a node of many containers costs when nothing happens.
func (b *bencher) idle(ctx context.Context, window time.Duration) error {
	if _, err := b.putMany(); err != nil {
		return err
	}
	if _, err := b.starts.next(ctx, many, func(string) bool { return true }); err != nil {
		return err
	}
	if err := scratch.Until(ctx, time.Minute, "the node settles", func() error { return b.w.Settled(ctx) }); err != nil {
		return err
	}
	pair, err := b.w.Pair()
	if err != nil {
		return err
	}
	ours := []scratch.Process{b.w.Controller(), pair.Guard, pair.Reaper}

	before, err := cpu(ours)
	if err != nil {
		return err
	}
	time.Sleep(window)
	after, err := cpu(ours)
	if err != nil {
		return err
	}
	b.add(amount(fmt.Sprintf("idle at %d: CPU of all of ours", many), 100*float64(after-before)/float64(window), "% of a core", 0.5))
	for _, p := range []struct {
		name  string
		of    scratch.Process
		limit float64
	}{{"controller", ours[0], 35}, {"guard", pair.Guard, 4}, {"reaper", pair.Reaper, 4}} {
		resident, err := statusKiB(p.of, "VmRSS:")
		if err != nil {
			return err
		}
		b.add(amount(fmt.Sprintf("idle at %d: %s, resident", many, p.name), resident/1024, "MiB", p.limit))
	}
	return b.unwanted(ctx, "burst")
}

// cpu is the time that processes have run so far. The scheduler counts in nanoseconds, per thread; proc_pid_stat(5) in
// hundredths of a second, too coarse for what is nearly nothing.
func cpu(processes []scratch.Process) (time.Duration, error) {
	var sum time.Duration
	for _, p := range processes {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.PID))
		if err != nil || len(tasks) == 0 {
			return 0, fmt.Errorf("process %d has no schedstat: %v", p.PID, err)
		}
		for _, task := range tasks {
			b, err := os.ReadFile(task)
			if os.IsNotExist(err) { // the thread has ended
				continue
			}
			var run int64
			if _, err := fmt.Sscan(string(b), &run); err != nil {
				return 0, fmt.Errorf("%s: %w", task, err)
			}
			sum += time.Duration(run)
		}
	}
	return sum, nil
}

// statusKiB is a field of proc_pid_status(5) that is counted in KiB.
func statusKiB(p scratch.Process, field string) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			var n float64
			_, err := fmt.Sscan(rest, &n)
			return n, err
		}
	}
	return 0, fmt.Errorf("process %d has no %s", p.PID, field)
}
