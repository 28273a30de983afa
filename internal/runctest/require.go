package runctest

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// Capability is something that not every machine can do.
type Capability string

const (
	Root    Capability = "root"    // effective uid 0
	Pidfd   Capability = "pidfd"   // pidfd_open(2) and waitid(2) with P_PIDFD, Linux 5.4
	Busybox Capability = "busybox" // a statically linked /bin/busybox

	// Runtimes that answer; RuntimePath tells where they are.
	Runc       Capability = "runc"        // in PATH: the distribution's
	RuncNewest Capability = "runc-newest" // in bin/ of the module, where `make test` builds it
	Crun       Capability = "crun"        // in PATH
)

// EnvRequire names the environment variable that turns skips into failures when it is "all", so that a machine which is
// meant to run everything cannot hide a regression behind a skip.
const EnvRequire = "RECONCILER_REQUIRE"

var probes = map[Capability]func() error{
	Root:    sync.OnceValue(probeRoot),
	Pidfd:   sync.OnceValue(probePidfd),
	Busybox: sync.OnceValue(probeBusybox),

	Runc:       sync.OnceValue(func() error { return probeRuntime(Runc) }),
	RuncNewest: sync.OnceValue(func() error { return probeRuntime(RuncNewest) }),
	Crun:       sync.OnceValue(func() error { return probeRuntime(Crun) }),
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

func probeRoot() error {
	if uid := os.Geteuid(); uid != 0 {
		return fmt.Errorf("effective uid is %d, not 0", uid)
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
