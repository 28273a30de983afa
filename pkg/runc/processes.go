package runc

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Processes returns the container's processes, as far as they have not vanished meanwhile: those in its cgroup, and their
// children that have ended and were not reaped, which are in no cgroup's list any more. None once it has stopped, not even
// those of a shared pid namespace that live on.
func (c *Container) Processes(ctx context.Context) ([]ProcessInfo, error) {
	// crun 1.8.1 crashes when asked for the processes of a stopped container.
	s, err := c.State(ctx)
	if err != nil || s.Status == Stopped {
		return nil, err
	}
	out, err := c.r.call(ctx, "ps", c.id, "--format", "json", c.id)
	if err != nil {
		return nil, err
	}
	var pids []int
	if err := c.r.decode("ps", c.id, out, &pids, func() error { return nil }); err != nil {
		return nil, err
	}
	var processes []ProcessInfo
	for _, pid := range pids {
		p, err := inspect(pid)
		if vanished(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		p.ByRuntime = c.r.byRuntime(c.id, p.Process)
		ended, err := zombies(p.Process)
		if err != nil {
			return nil, err
		}
		processes = append(append(processes, p), ended...)
	}
	return processes, nil
}

// zombies returns the children that a process has not reaped.
func zombies(parent Process) (found []ProcessInfo, err error) {
	// Children are listed by the thread that made or inherited them, so every thread is asked.
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent.PID))
	if err != nil {
		return nil, err
	}
	for _, list := range lists {
		b, err := os.ReadFile(list)
		if err != nil && !vanished(err) {
			return nil, err
		}
		for field := range strings.FieldsSeq(string(b)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", list, err)
			}
			p, err := inspect(pid)
			switch {
			case err == nil && p.Zombie:
				found = append(found, p)
			case err != nil && !vanished(err):
				return nil, err
			}
		}
	}
	// Else these are the children of the pid's next owner.
	if now, err := identify(parent.PID); err != nil || now != parent {
		return nil, nil
	}
	return found, nil
}
