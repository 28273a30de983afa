package runctest

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Capability is something that not every machine can do.
type Capability string

const (
	Root    Capability = "root"    // effective uid 0
	Runc    Capability = "runc"    // an OCI runtime called runc in PATH that answers
	Pidfd   Capability = "pidfd"   // pidfd_open(2) and waitid(2) with P_PIDFD, Linux 5.4
	Busybox Capability = "busybox" // a statically linked /bin/busybox
)

// EnvRequire names the environment variable that turns skips into failures when it is "all", so that a machine which is
// meant to run everything cannot hide a regression behind a skip.
const EnvRequire = "RECONCILER_REQUIRE"

var probes = map[Capability]func() error{
	Root:    sync.OnceValue(probeRoot),
	Runc:    sync.OnceValue(probeRunc),
	Pidfd:   sync.OnceValue(probePidfd),
	Busybox: sync.OnceValue(probeBusybox),
}

// Require skips the test unless the machine has each of caps, or fails it if RECONCILER_REQUIRE=all.
func Require(t testing.TB, caps ...Capability) {
	t.Helper()
	require := os.Getenv(EnvRequire)
	if require != "" && require != "all" {
		t.Fatalf("%s=%s: only \"all\" is understood", EnvRequire, require)
	}
	for _, c := range caps {
		probe, ok := probes[c]
		if !ok {
			t.Fatalf("capability %q: there is no such capability", c)
		}
		err := probe()
		switch {
		case err == nil:
		case require == "all":
			t.Fatalf("capability %s missing: %v", c, err)
		default:
			t.Skipf("capability %s missing: %v", c, err)
		}
	}
}

// RuncPath returns the absolute path of the runtime under test.
func RuncPath(t testing.TB) string {
	t.Helper()
	Require(t, Runc)
	path, err := exec.LookPath("runc")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func probeRoot() error {
	if uid := os.Geteuid(); uid != 0 {
		return fmt.Errorf("effective uid is %d, not 0", uid)
	}
	return nil
}

func probeRunc() error {
	path, err := exec.LookPath("runc")
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

func probePidfd() error {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return fmt.Errorf("pidfd_open: %w", err)
	}
	defer unix.Close(fd)
	// This process is no child of its own: a kernel that knows P_PIDFD says ECHILD, an older one EINVAL.
	if err := unix.Waitid(unix.P_PIDFD, fd, nil, unix.WEXITED|unix.WNOHANG, nil); !errors.Is(err, unix.ECHILD) {
		return fmt.Errorf("waitid(P_PIDFD): %v", err)
	}
	return nil
}

const busybox = "/bin/busybox"

func probeBusybox() error {
	f, err := elf.Open(busybox)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is linked dynamically; install busybox-static", busybox)
		}
	}
	return nil
}
