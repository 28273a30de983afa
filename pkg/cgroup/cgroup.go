package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Parent is the cgroup below which every instance has one of its own. Its methods may be called concurrently.
type Parent struct {
	path        string   // absolute within each hierarchy
	hierarchies []string // mount points
}

// Open finds the machine's hierarchies, as proc_pid_mountinfo(5) tells them. It makes nothing.
func Open(parent string) (*Parent, error) {
	if !filepath.IsAbs(parent) || filepath.Clean(parent) == "/" || filepath.Clean(parent) != parent {
		return nil, fmt.Errorf("cgroup parent %q must be an absolute path below the root, such as /reconciler", parent)
	}
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	mounts := hierarchies(string(b))
	if len(mounts) == 0 {
		return nil, errors.New("no cgroup hierarchy is mounted; mount cgroup2 on /sys/fs/cgroup")
	}
	return At(parent, mounts...), nil
}

// At is Open for hierarchies that are known.
func At(parent string, mounts ...string) *Parent { return &Parent{path: parent, hierarchies: mounts} }

// hierarchies are the cgroup mount points in a mountinfo file: fields before " - " are as mounted, the one after it is
// the file system's type.
func hierarchies(mountinfo string) []string {
	var found []string
	for line := range strings.Lines(mountinfo) {
		mount, fsType, _ := strings.Cut(line, " - ")
		fields := strings.Fields(mount)
		if len(fields) > 4 && (strings.HasPrefix(fsType, "cgroup ") || strings.HasPrefix(fsType, "cgroup2 ")) {
			found = append(found, unescape.Replace(fields[4]))
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// Path is the cgroup path of an instance, as a config.json names it.
func (p *Parent) Path(instance string) string { return filepath.Join(p.path, instance) }

// dirs are the directories of an instance's cgroup that exist.
func (p *Parent) dirs(instance string) []string {
	var found []string
	for _, h := range p.hierarchies {
		dir := filepath.Join(h, p.Path(instance))
		if _, err := os.Lstat(dir); err == nil {
			found = append(found, dir)
		}
	}
	return found
}

// Exists says whether anything of an instance's cgroup is left in any hierarchy.
func (p *Parent) Exists(instance string) bool { return len(p.dirs(instance)) > 0 }

// Instances are the names of all cgroups right below the parent.
func (p *Parent) Instances() ([]string, error) {
	var found []string
	for _, h := range p.hierarchies {
		entries, err := os.ReadDir(filepath.Join(h, p.path))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			if e.IsDir() {
				found = append(found, e.Name())
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

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
// pidfd and only while it is a member: membership is read after the pidfd was opened.
func (p *Parent) Kill(ctx context.Context, instance string) error {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		pids, err := p.Processes(instance)
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, pid := range pids {
			if err := p.kill(instance, pid); err != nil {
				return err
			}
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
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
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

// Remove removes an instance's cgroup in every hierarchy, those that its processes made below it included. It fails with
// EBUSY while a process lives there.
func (p *Parent) Remove(instance string) error {
	for _, dir := range p.dirs(instance) {
		var below []string
		if err := walk(dir, func(d string) error { below = append(below, d); return nil }); err != nil {
			return err
		}
		for _, d := range slices.Backward(below) {
			if err := ignoreGone(unix.Rmdir(d)); err != nil {
				return &fs.PathError{Op: "rmdir", Path: d, Err: err}
			}
		}
	}
	return nil
}

// RemoveParent removes the parent wherever it is empty.
func (p *Parent) RemoveParent() error {
	for _, h := range p.hierarchies {
		err := unix.Rmdir(filepath.Join(h, p.path))
		if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENOTEMPTY) {
			return &fs.PathError{Op: "rmdir", Path: filepath.Join(h, p.path), Err: err}
		}
	}
	return nil
}

// OOMKills is how often the OOM killer struck in an instance's cgroup: oom_kill in memory.events (v2) or in
// memory.oom_control (v1). It can be read until the cgroup is removed, and is 0 where nothing tells.
func (p *Parent) OOMKills(instance string) int {
	for _, h := range p.hierarchies {
		for _, file := range []string{"memory.events", "memory.oom_control"} {
			b, err := os.ReadFile(filepath.Join(h, p.Path(instance), file))
			if err != nil {
				continue
			}
			if n, ok := keyed(string(b), "oom_kill"); ok {
				return n
			}
		}
	}
	return 0
}

// keyed reads a flat keyed file: a key and a number a line.
func keyed(text, key string) (int, bool) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == key {
			n, err := strconv.Atoi(f[1])
			return n, err == nil
		}
	}
	return 0, false
}

// walk visits a directory and all below it, parents first. What vanishes meanwhile is skipped.
func walk(dir string, visit func(dir string) error) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return ignoreGone(err)
		}
		return visit(path)
	})
}

func ignoreGone(err error) error {
	// ENODEV: a read from the file of a cgroup that was removed since it was opened. EOPNOTSUPP: one of a threaded cgroup,
	// whose processes are listed by the domain above it: cgroups(7).
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}
