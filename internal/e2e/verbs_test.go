package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"reconciler.dev/reconciler/internal/runctest"
)

// apply makes a container wanted by the API, from a manifest that lies outside the manifests directory.
func (w *world) apply(name, bundle string) (said string) {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), name+".yaml")
	w.write(file, fmt.Sprintf("apiVersion: reconciler/v1alpha1\nkind: Container\nmetadata: {name: %s}\nspec:\n  bundle: %s\n"+
		"  stop: {gracePeriod: 0s}\n  restart: {backoff: {initial: 1ms, max: 1ms}}\n", name, bundle))
	return strings.TrimSpace(w.run("apply", "-f", file))
}

// A container of the API lives as one of a file does, over restarts of the controller, and goes by delete alone.
func TestApplyAndDelete(t *testing.T) {
	w := newWorld(t)
	w.start()
	bundle := w.bundle(forever, runctest.BundleOptions{})
	if said := w.apply("app", bundle); said != "app created" {
		t.Errorf("apply said %q", said)
	}
	w.run("wait", "app", "--for=phase=Running")
	pid := w.running("app", 0)
	if said := w.apply("app", bundle); said != "app unchanged" {
		t.Errorf("apply said %q", said)
	}
	w.restart()
	w.settled()
	if now := w.running("app", 0); now != pid {
		t.Errorf("the controller's restart replaced %d by %d", pid, now)
	}
	w.run("delete", "app")
	w.run("wait", "app", "--for=deleted")
	if alive(pid) {
		t.Errorf("pid %d lives still", pid)
	}
	w.settled()
}

// kill reaches the init, and its end is one that nobody asked for.
func TestKillVerb(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.apply("app", w.bundle(`trap 'echo usr1 >>/out/got' USR1; echo ready >>/out/got; while :; do sleep 0.05; done`, runctest.BundleOptions{}))
	pid := w.running("app", 0)
	w.until("it is ready", func() bool { return len(w.lines("got")) == 1 })
	w.run("kill", "-s", "USR1", "app")
	w.until("it got the signal", func() bool { return len(w.lines("got")) == 2 })
	w.run("kill", "app")
	w.running("app", pid)
	exits := w.exits("app")
	if len(exits) != 1 || exits[0].Signal == nil || *exits[0].Signal != 9 || exits[0].PID != pid {
		t.Errorf("exits %+v", exits)
	}
	if c := w.get("app"); c.Status.RestartCount != 1 {
		t.Errorf("restarts %d", c.Status.RestartCount)
	}
}

// Whoever stops the controller by a signal is told by its status, and on stderr that the containers run on.
func TestStoppedBySignal(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.manifest("web", w.bundle("exec sleep 100000", runctest.BundleOptions{}), "  stop: {gracePeriod: 0s}\n")
	pid := w.running("web", 0)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		w.must(w.daemon.Process.Signal(sig))
		_ = w.daemon.Wait()
		if status := w.daemon.ProcessState.ExitCode(); status != 128+int(sig) {
			t.Errorf("%v: status %d", sig, status)
		}
		said, err := os.ReadFile(filepath.Join(w.root, "daemon.log"))
		w.must(err)
		if lines := strings.Split(strings.TrimSpace(string(said)), "\n"); !strings.Contains(lines[len(lines)-1], "the containers run on") {
			t.Errorf("%v: the last it said is %s", sig, lines[len(lines)-1])
		}
		w.start()
		if now := w.running("web", 0); now != pid {
			t.Errorf("%v: %d is now %d", sig, pid, now)
		}
	}
}

// A node that is held stays so over a crash of the controller, and nothing of it runs until up.
func TestDownHoldsTheNode(t *testing.T) {
	w := newWorld(t)
	w.start()
	bundle := w.bundle("exec sleep 100000", runctest.BundleOptions{})
	w.manifest("web", bundle, "  stop: {gracePeriod: 0s}\n")
	w.apply("app", w.bundle("exec sleep 100000", runctest.BundleOptions{}))
	pids := []int{w.running("web", 0), w.running("app", 0)}
	w.run("down", "--reason", "a test")
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("down has returned, and %d lives", pid)
		}
	}
	w.restart()
	w.run("restart", "web")
	w.apply("late", w.bundle("exec sleep 100000", runctest.BundleOptions{}))
	w.settled()
	for _, name := range []string{"web", "app", "late"} {
		w.phase(name, "Stopped")
		if c := w.get(name); c.Status.Override != nil || c.Status.Conditions[0].Reason != "NodeDown" {
			t.Errorf("%s: %+v", name, c.Status)
		}
	}
	w.run("up")
	w.run("wait", "web", "app", "late", "--for=phase=Running")
	for _, name := range []string{"web", "app"} {
		if exits := w.exits(name); len(exits) != 1 || exits[0].Reason != "NodeDown" {
			t.Errorf("%s ended so: %+v", name, exits)
		}
	}
}
