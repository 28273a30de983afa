package e2e

import (
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"reconciler.dev/reconciler/internal/runctest"
)

// TestOOMKilled: the count of the cgroup grew and init died by SIGKILL. A child that the kernel chose is init's affair.
func TestOOMKilled(t *testing.T) {
	w := newWorld(t)
	w.start()
	const limits = "  restart: {policy: Never}\n  resources: {memory: {limit: 16777216, swap: 16777216}}\n"
	w.manifest("init", w.bundle("exec tail /dev/zero", runctest.BundleOptions{}), limits)
	w.manifest("child", w.bundle("tail /dev/zero; exit 3", runctest.BundleOptions{}), limits)
	w.phase("init", "Failed")
	w.phase("child", "Failed")
	if e := w.oneEach("init", 1)[0]; !e.OOMKilled || *e.Signal != int(syscall.SIGKILL) || e.Reason != "OOMKilled" {
		t.Errorf("init: %+v", e)
	}
	if e := w.oneEach("child", 1)[0]; e.OOMKilled || e.ExitCode == nil || *e.ExitCode != 3 || e.Reason != "Error" {
		t.Errorf("child: %+v", e)
	}
}

// TestCoreDumped: in the host's pid namespace, since in its own one a pid 1 does not die by a signal that it did not ask
// for: pid_namespaces(7).
func TestCoreDumped(t *testing.T) {
	w := newWorld(t)
	w.start()
	dumping := func(size uint64) string {
		return w.bundle(forever, runctest.BundleOptions{HostPID: true, Edit: func(s *specs.Spec) {
			s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_CORE", Hard: size, Soft: size}}
		}})
	}
	w.manifest("dumped", dumping(1<<30), "  restart: {policy: Never}\n")
	w.manifest("undumped", dumping(0), "  restart: {policy: Never}\n")
	w.until("both have begun", func() bool { return len(w.lines("web")) == 2 })
	for name, dumps := range map[string]bool{"dumped": true, "undumped": false} {
		signalPID(t, w.running(name, 0), syscall.SIGABRT)
		w.phase(name, "Failed")
		if e := w.oneEach(name, 1)[0]; e.CoreDumped != dumps || *e.Signal != int(syscall.SIGABRT) || e.ExitCode != nil {
			t.Errorf("%s: %+v", name, e)
		}
	}
}
