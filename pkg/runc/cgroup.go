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
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// A runtime killed within create leaves empty cgroups that its own delete --force does not find (runc 1.1.5 to 1.5.2).

// missingCgroups returns the directories, one a hierarchy, that create is about to make for a container. Only an absolute
// cgroupsPath tells; any other is the runtime's to interpret.
func missingCgroups(s *specs.Spec) ([]string, error) {
	if s.Linux == nil || !filepath.IsAbs(s.Linux.CgroupsPath) {
		return nil, nil
	}
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("cgroup hierarchies: %w", err)
	}
	var dirs []string
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

// removeCgroups removes those that are there by now. The runtime's helpers end by themselves once it is dead, but not at
// once, and keep their cgroup until then.
func removeCgroups(ctx context.Context, dirs []string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	left := slices.Clone(dirs)
	for {
		var errs []error
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
