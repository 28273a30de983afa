package cgroup

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Processes are the pids in an instance's cgroup and below it, over all hierarchies. Zombies are not among them.
func (p *Parent) Processes(instance string) ([]int, error) {
	var pids []int
	for _, dir := range p.dirs(instance) {
		err := walk(dir, func(dir string) error {
			b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
			for field := range strings.FieldsSeq(string(b)) {
				pid, err := strconv.Atoi(field)
				if err != nil {
					return fmt.Errorf("%s/cgroup.procs: %w", dir, err)
				}
				if pid > 0 { // 0 stands for a process of a pid namespace that we do not see
					pids = append(pids, pid)
				}
			}
			return ignoreGone(err)
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids), nil
}

// Kill sends SIGKILL to every process in an instance's cgroup until none is left or ctx ends. A pid is signalled by a
// pidfd and only while it is a member: membership is read after the pidfd was opened. Those that are forked meanwhile cannot
// escape cgroup.kill (version 2, Linux 5.14); elsewhere the next round finds them. The cgroup is left thawed: runc freezes
// it to delete a container without a pid namespace of its own, and killed in that it finds an empty cgroup that is frozen,
// calls the container paused and refuses to delete it for ever.
func (p *Parent) Kill(ctx context.Context, instance string) error {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		pids, err := p.Processes(instance)
		if err != nil {
			return err
		}
		if len(pids) == 0 {
			p.Thaw(instance)
			return nil
		}
		for _, pid := range pids {
			if err := p.kill(instance, pid); err != nil {
				return err
			}
		}
		for _, dir := range p.dirs(instance) {
			write(filepath.Join(dir, "cgroup.kill"), "1")
		}
		p.Thaw(instance)
		select {
		case <-ctx.Done():
			return fmt.Errorf("cgroup %s: processes %v do not end: %w", p.Path(instance), pids, ctx.Err())
		case <-time.After(pause):
		}
	}
}

func (p *Parent) kill(instance string, pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return ignoreGone(err)
	}
	defer func() { _ = unix.Close(fd) }()
	member, err := p.holds(instance, pid)
	if err != nil || !member {
		return err
	}
	return ignoreGone(unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0))
}

// holds reads in proc_pid_cgroup(5) whether a process is in an instance's cgroup, or below it, in any hierarchy.
func (p *Parent) holds(instance string, pid int) (bool, error) {
	b, err := os.ReadFile(filepath.Join(p.root, "proc", strconv.Itoa(pid), "cgroup"))
	if err != nil {
		return false, ignoreGone(err)
	}
	for _, path := range memberships(string(b)) {
		if strings.HasPrefix(path+"/", p.Path(instance)+"/") {
			return true, nil
		}
	}
	return false, nil
}

// memberships are the controllers and the path of each line of proc_pid_cgroup(5). Version 2's has no controllers.
func memberships(text string) iter.Seq2[string, string] {
	return func(yield func(controllers, path string) bool) {
		for line := range strings.Lines(text) {
			fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
			if len(fields) == 3 && !yield(fields[1], fields[2]) {
				return
			}
		}
	}
}
