package runc

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// scripted returns a Runtime whose runtime is a shell script. The script finds the verb in $verb, the container's id in
// $id and the paths in $root, $log and $pidfile.
func scripted(t *testing.T, timeout time.Duration, script string) *Runtime {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "fakerunc")
	const preamble = `#!/bin/sh
root=$2 log=$4 verb=$7 pidfile=
for id; do [ "$last" != --pid-file ] || pidfile=$id; last=$id; done
`
	if err := os.WriteFile(path, []byte(preamble+script), 0o700); err != nil {
		t.Fatal(err)
	}
	r, err := New(Config{
		Path: path, Root: filepath.Join(dir, "root"), LogDir: filepath.Join(dir, "log"), StateDir: filepath.Join(dir, "state"), Timeout: timeout,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, d := range []string{r.logDir, r.stateDir} {
			if left, err := os.ReadDir(d); err != nil || len(left) > 0 {
				t.Errorf("left in %s: %v, %v", d, left, err)
			}
		}
	})
	return r
}

func container(t *testing.T, r *Runtime, id string) *Container {
	t.Helper()
	c, err := r.Container(id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// plainBundle is enough of a bundle for a runtime that does not look at it.
func plainBundle(t *testing.T) string {
	t.Helper()
	bundle := t.TempDir()
	config := `{"root":{"path":"rootfs"},"process":{"args":["x"],"cwd":"/made"}}`
	if err := errors.Join(os.Mkdir(filepath.Join(bundle, "rootfs"), 0o755),
		os.WriteFile(filepath.Join(bundle, "config.json"), []byte(config), 0o600)); err != nil {
		t.Fatal(err)
	}
	return bundle
}

// long is more time than anything needs; short is waited for in full.
const (
	long  = 30 * time.Second
	short = 200 * time.Millisecond
)

// reapOrphan does what a subreaper owes, and fails unless the process has been ended by that signal.
func reapOrphan(t *testing.T, text string, sig syscall.Signal) {
	t.Helper()
	pid, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	var status unix.WaitStatus
	for deadline := time.Now().Add(long); ; time.Sleep(time.Millisecond) {
		got, err := unix.Wait4(pid, &status, unix.WNOHANG, nil)
		if got == pid {
			break
		}
		if err != nil && !errors.Is(err, unix.ECHILD) || time.Now().After(deadline) {
			t.Fatalf("process %d lives on, or is not ours: %v", pid, err)
		}
	}
	if status.Signal() != sig {
		t.Errorf("process %d ended by %v", pid, status.Signal())
	}
}
