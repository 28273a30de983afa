package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"reconciler.dev/reconciler/internal/runctest"
)

// cgroupFile reads a file of an instance's cgroup, whichever hierarchy has it.
func (w *world) cgroupFile(instance string, names ...string) string {
	w.t.Helper()
	for _, name := range names {
		for _, hierarchy := range []string{"/sys/fs/cgroup/*", "/sys/fs/cgroup"} {
			files, _ := filepath.Glob(filepath.Join(hierarchy, w.cgroup, instance, name))
			for _, file := range files {
				if b, err := os.ReadFile(file); err == nil {
					return strings.TrimSpace(string(b))
				}
			}
		}
	}
	return ""
}

// ticks counts what a container that writes a dot every few milliseconds has written.
func (w *world) ticks() int {
	b, _ := os.ReadFile(filepath.Join(w.out, "ticks"))
	return len(b)
}

const ticking = "while :; do printf . >>/out/ticks; usleep 2000; done"

func TestPaused(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.manifest("web", w.bundle(ticking, runctest.BundleOptions{}), "  state: Paused\n  stop: {gracePeriod: 0s}\n")
	w.phase("web", "Paused")
	pid := *w.get("web").Status.PID
	frozen := w.ticks()
	w.restart()
	w.phase("web", "Paused")
	w.settled()
	if got := w.ticks(); got != frozen {
		t.Errorf("it went on: %d ticks, then %d", frozen, got)
	}
	bundle := w.get("web").Spec.Bundle
	w.manifest("web", bundle, "  state: Running\n  stop: {gracePeriod: 0s}\n")
	w.phase("web", "Running")
	w.until("it goes on", func() bool { return w.ticks() > frozen })

	// By hand, past the controller: noticed and undone, more than once where the runtime has not yet done.
	w.direct("pause", "web.1")
	w.until("it is thawed", func() bool {
		out, err := w.try("events", "web")
		return err == nil && strings.Count(out, "Resumed") >= 2
	})
	now := w.ticks()
	w.until("it goes on", func() bool { return w.ticks() > now })
	if got := *w.get("web").Status.PID; got != pid {
		t.Errorf("pid %d became %d", pid, got)
	}

	w.manifest("web", bundle, "  state: Paused\n  stop: {gracePeriod: 0s}\n")
	w.phase("web", "Paused")
	signalPID(t, pid, syscall.SIGKILL) // stays pending in a frozen v1 cgroup, and may not come to be; stop must end it anyhow
	w.run("stop", "web")
	w.phase("web", "Stopped")
	w.oneEach("web", 1)
}

// TestEditsThatDisturbNothing: labels, annotations, restart, stop and log hold from now on.
func TestEditsThatDisturbNothing(t *testing.T) {
	w := newWorld(t)
	w.start()
	bundle := w.bundle(forever, runctest.BundleOptions{})
	w.manifest("web", bundle, "")
	pid := w.running("web", 0)
	text := "apiVersion: reconciler/v1alpha1\nkind: Container\nmetadata: {name: web, labels: {a: b}, annotations: {c: d}}\nspec:\n  bundle: " +
		bundle + "\n  restart: {policy: OnFailure, maxRetries: 7}\n  stop: {signal: SIGKILL, gracePeriod: 0s}\n  log: {maxSize: 1Mi}\n"
	w.write(w.file("web"), text)
	w.until("the edit is acted on", func() bool {
		c := w.get("web")
		return c != nil && c.Metadata.Generation == 2 && c.Status.ObservedGeneration == 2
	})
	c := w.get("web")
	if *c.Status.PID != pid || c.Metadata.Labels["a"] != "b" || c.Spec.Log.MaxSize != 1<<20 {
		t.Errorf("%+v", c)
	}
	w.run("stop", "web")
	w.phase("web", "Stopped")
	if exits := w.oneEach("web", 1); *exits[0].Signal != int(syscall.SIGKILL) {
		t.Errorf("the new stop signal does not hold: %+v", exits[0])
	}
}

func TestResourcesInPlace(t *testing.T) {
	w := newWorld(t)
	w.start()
	bundle := w.bundle(forever, runctest.BundleOptions{})
	with := func(resources string) {
		w.manifest("web", bundle, "  stop: {gracePeriod: 0s}\n  resources: "+resources+"\n")
	}
	limit := func(instance string) string { return w.cgroupFile(instance, "memory.limit_in_bytes", "memory.max") }
	with("{memory: {limit: 67108864}}")
	pid := w.running("web", 0)
	if got := limit("web.1"); got != "67108864" {
		t.Errorf("created with a limit of %q", got)
	}
	with("{memory: {limit: 33554432}, pids: {limit: 50}}")
	w.until("the limits are others", func() bool {
		return limit("web.1") == "33554432" && w.cgroupFile("web.1", "pids.max") == "50"
	})
	w.settled()
	if got := *w.get("web").Status.PID; got != pid {
		t.Errorf("pid %d became %d", pid, got)
	}
	w.restart()
	w.settled()

	// What no update can take back, and what the kernel refuses: another instance has it.
	with("{memory: {limit: 33554432}}")
	next := w.running("web", pid)
	if got := w.cgroupFile("web.2", "pids.max"); got == "50" {
		t.Errorf("pids.max is still %s", got)
	}
	with("{memory: {limit: 33554432}, cpu: {cpus: \"4000\"}}")
	w.until("the refusal is told, and the container tried anew", func() bool {
		out, err := w.try("events", "web")
		return err == nil && strings.Contains(out, "web update instance=web.2") && strings.Contains(out, "LaunchFailed")
	})
	with("{memory: {limit: 33554432}, cpu: {cpus: \"0\"}}")
	w.running("web", next)
	w.oneEach("web", 2)
}

// TestALostStoreIsNoRestart: what runs is taken back by its annotations, also a job that ended meanwhile.
func TestALostStoreIsNoRestart(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.manifest("web", w.bundle(forever, runctest.BundleOptions{}), "  stop: {gracePeriod: 0s}\n")
	w.manifest("job", w.bundle("read line </out/go; exit 7", runctest.BundleOptions{}), "  restart: {policy: Never}\n")
	w.must(syscall.Mkfifo(filepath.Join(w.out, "go"), 0o600))
	pid := w.running("web", 0)
	w.run("restart", "web") // its counter is lost with the store
	pid = w.running("web", pid)
	job := w.running("job", 0)
	w.settled()
	w.kill()
	w.must(os.WriteFile(filepath.Join(w.out, "go"), []byte("\n"), 0))
	w.until("the job has ended", func() bool { return !alive(job) })
	w.must(os.Remove(filepath.Join(w.root, "state/reconciler.db")))
	w.start()
	w.settled()
	if got := w.running("web", 0); got != pid {
		t.Errorf("web was restarted: pid %d became %d\n%s", pid, got, w.state())
	}
	if c := w.get("web"); c.Status.Attempt != 2 {
		t.Errorf("attempt %d", c.Status.Attempt)
	}
	w.phase("job", "Failed")
	if exits := w.oneEach("job", 1); *exits[0].ExitCode != 7 || exits[0].PID != job {
		t.Errorf("%+v", exits[0])
	}
	w.run("restart", "web")
	w.running("web", pid)
	if exits := w.exits("web"); len(exits) != 1 || exits[0].Attempt != 2 {
		t.Errorf("%+v", exits)
	}
}

// TestPrune removes what is nobody's, and nothing while it cannot be known whose it is.
func TestPrune(t *testing.T) {
	w := newWorld(t)
	w.start("--prune")
	w.manifest("web", w.bundle(forever, runctest.BundleOptions{}), "  stop: {gracePeriod: 0s}\n")
	pid := w.running("web", 0)
	w.write(w.file("bad"), "kind: Container\n")
	w.until("the bad manifest is told", func() bool {
		out, err := w.try("sources")
		return err == nil && strings.Contains(out, "bad.yaml")
	})
	w.create(w.bundle("exec sleep 100000", runctest.BundleOptions{CgroupsPath: w.cgroup + "-orphan"}), "mine.1")
	defer sweep(t, w.cgroup+"-orphan")
	w.until("it is told, and left alone", func() bool {
		out, err := w.try("events", "mine.1")
		return err == nil && strings.Contains(out, "left alone while 1 manifest")
	})
	w.direct("state", "mine.1")
	get := exec.Command(filepath.Join(bin, "reconciler"), "--root", w.root, "get")
	if out, err := get.CombinedOutput(); err != nil || !strings.Contains(string(out), "mine.1 is in our runtime root") {
		t.Errorf("get does not tell of it: %v %s", err, out)
	}
	w.must(os.Remove(w.file("bad")))
	w.until("it is pruned", func() bool {
		out, err := w.try("events", "mine.1")
		return err == nil && strings.Contains(out, "Pruned")
	})
	if _, err := os.Stat(filepath.Join(w.root, "run/runc/mine.1")); err == nil {
		t.Error("the runtime still knows it")
	}
	if got := w.running("web", 0); got != pid {
		t.Errorf("pid %d became %d", pid, got)
	}
}

// TestPausedAndUnreadable: the runtime can resume nothing whose state it cannot read; stop ends it all the same.
func TestPausedAndUnreadable(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.manifest("web", w.bundle(forever, runctest.BundleOptions{}), "  state: Paused\n  stop: {gracePeriod: 1s}\n")
	w.phase("web", "Paused")
	for _, file := range []string{"state.json", "status"} { // runc's, crun's
		if err := os.Truncate(filepath.Join(w.root, "run/runc/web.1", file), 10); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	w.run("stop", "web")
	w.phase("web", "Stopped")
	w.oneEach("web", 1)
}
