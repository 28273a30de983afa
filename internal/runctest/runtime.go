package runctest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// EachRuntime runs the test once for each runtime that the project must work with, as a subtest of the runtime's name.
func EachRuntime(t *testing.T, test func(t *testing.T, name string)) {
	t.Helper()
	for _, r := range []Capability{Runc, RuncNewest, Crun} {
		t.Run(string(r), func(t *testing.T) {
			Require(t, r)
			test(t, string(r))
		})
	}
}

// RuntimePath returns the absolute path of a runtime by its name: "runc", "runc-newest" or "crun". It holds until the test
// ends.
func RuntimePath(t testing.TB, name string) string {
	t.Helper()
	Require(t, Capability(name))
	path, err := find(name)
	if err != nil {
		t.Fatal(err)
	}
	if name != string(Crun) || !hybrid() {
		return path
	}
	wrapper := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(wrapper, fmt.Appendf(nil, hideUnified, path), 0o700); err != nil {
		t.Fatal(err)
	}
	return wrapper
}

// RuncPath returns the absolute path of the runtime called runc.
func RuncPath(t testing.TB) string {
	t.Helper()
	return RuntimePath(t, string(Runc))
}

// hideUnified runs crun where the hybrid looks like plain v1. The tmpfs takes the directories that crun makes in unified
// nevertheless: without it they would stay below the mount point that all share.
const hideUnified = `#!/bin/sh
unified=/sys/fs/cgroup/unified
exec unshare --mount sh -c "umount $unified && mount -t tmpfs none $unified"' && exec "$0" "$@"' '%s' "$@"
`

// hybrid tells what crun 1.8.1 refuses: cgroup v1 with v2 mounted below it.
func hybrid() bool {
	var fs unix.Statfs_t
	return unix.Statfs("/sys/fs/cgroup/unified", &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC
}

func find(name string) (string, error) {
	if name != string(RuncNewest) {
		return exec.LookPath(name)
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	return exec.LookPath(filepath.Join(root, "bin", name))
}

// Tests begin in their package's directory; this is read before one of them leaves it.
var startDir, startErr = os.Getwd()

func moduleRoot() (string, error) {
	if startErr != nil {
		return "", startErr
	}
	for dir := startDir; ; dir = filepath.Dir(dir) {
		if exists(filepath.Join(dir, "go.mod")) {
			return dir, nil
		}
		if dir == "/" {
			return "", fmt.Errorf("no go.mod in %s or above", startDir)
		}
	}
}

func probeRuntime(name Capability) error {
	path, err := find(string(name))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, path, "--version").CombinedOutput(); err != nil {
		return fmt.Errorf("%s --version: %w: %s", path, err, out)
	}
	return nil
}
