package runc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// cgroups are the directories, one a hierarchy, that a create is about to make. What is in them afterwards is its doing. A
// runtime killed within create leaves empty cgroups that its own delete --force does not find (runc 1.1.5 to 1.5.2), or
// an init that waits for ever, without a state to find it by (crun 1.8.1).
type cgroups []string

// missingCgroups returns those of a container's cgroups that are not there yet. Only an absolute cgroupsPath tells; any
// other is the runtime's to interpret.
func missingCgroups(s *specs.Spec) (cgroups, error) {
	if s.Linux == nil || !filepath.IsAbs(s.Linux.CgroupsPath) {
		return nil, nil
	}
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("cgroup hierarchies: %w", err)
	}
	var dirs cgroups
	for line := range bytes.Lines(b) {
		before, after, _ := strings.Cut(string(line), " - ")
		f := strings.Fields(before)
		if fstype, _, _ := strings.Cut(after, " "); len(f) < 5 || fstype != "cgroup" && fstype != "cgroup2" {
			continue
		}
		dir := filepath.Join(f[4], filepath.Clean(s.Linux.CgroupsPath))
		if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
			dirs = append(dirs, dir)
		}
	}
	return dirs, nil
}

// kill kills what lives in the cgroups, and reaps what is a child of this process.
func (dirs cgroups) kill(ctx context.Context) error {
	var errs []error
	for _, dir := range dirs {
		for _, pid := range members(dir) {
			errs = append(errs, killMember(ctx, dir, pid))
		}
	}
	return errors.Join(errs...)
}

func killMember(ctx context.Context, dir string, pid int) error {
	p, err := identify(pid)
	if vanished(err) {
		return nil
	}
	if err != nil {
		return err
	}
	h, err := open(p)
	if errors.Is(err, ErrNotChild) { // it is gone
		return nil
	}
	if err != nil {
		return err
	}
	// Counted again now that the pidfd pins the process: before, the pid may have been another's by the time.
	if !slices.Contains(members(dir), pid) {
		return h.Close()
	}
	if err := h.kill(); err != nil {
		h.Close()
		return fmt.Errorf("kill process %d in %s: %w", pid, dir, err)
	}
	return h.discard(ctx)
}

// members returns the processes in a cgroup: none if there is no such cgroup.
func members(dir string) (pids []int) {
	b, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	for f := range strings.FieldsSeq(string(b)) {
		if pid, err := strconv.Atoi(f); err == nil && pid > 0 { // 0 stands for one outside this pid namespace
			pids = append(pids, pid)
		}
	}
	return pids
}

// remove kills and removes until nothing is there: helpers of a dead runtime may still be on their way in.
func (dirs cgroups) remove(ctx context.Context) error {
	left := slices.Clone(dirs)
	for {
		errs := []error{left.kill(ctx)}
		left = slices.DeleteFunc(left, func(dir string) bool {
			err := unix.Rmdir(dir)
			if err == nil || errors.Is(err, unix.ENOENT) {
				return true
			}
			errs = append(errs, &fs.PathError{Op: "rmdir", Path: dir, Err: err})
			return false
		})
		if len(left) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(errs...)
		case <-time.After(time.Millisecond):
		}
	}
}
