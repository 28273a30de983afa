package e2e

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"reconciler.dev/reconciler/internal/runctest"
)

// TestOrphansAreLeftAlone: what somebody runs by hand in our runtime root is told of, and not touched: not by its own
// events, not by a resync, not by the next controller.
func TestOrphansAreLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.start()
	bundle := w.bundle("exec sleep 100000", runctest.BundleOptions{CgroupsPath: w.cgroup + "-orphan/mine.1"})
	w.create(bundle, "mine.1")
	defer func() {
		w.direct("delete", "--force", "mine.1")
		sweep(t, w.cgroup+"-orphan")
	}()
	// By the name of a container of ours, and not made by us.
	w.create(w.bundle("exec sleep 100000", runctest.BundleOptions{CgroupsPath: w.cgroup + "-orphan/web.9"}), "web.9")
	defer w.direct("delete", "--force", "web.9")
	told := func(id string) {
		w.until(id+" is told", func() bool {
			out, err := w.try("events", id)
			return err == nil && strings.Contains(out, "Orphan")
		})
	}
	told("mine.1")
	// Two lists later, whose order a manifest that comes and goes makes sure of, and in the next controller's life.
	for range 2 {
		w.manifest("web", w.bundle(forever, runctest.BundleOptions{}), "  stop: {gracePeriod: 0s}\n")
		pid := w.running("web", 0)
		signalPID(t, pid, syscall.SIGKILL)
		w.running("web", pid)
		w.restart()
		w.settled()
	}
	told("web.9")
	for _, id := range []string{"mine.1", "web.9"} {
		if out := w.direct("state", id); !strings.Contains(out, "running") {
			t.Errorf("%s was touched: %s", id, out)
		}
	}
	if c := w.get("mine"); c != nil {
		t.Errorf("it became a container of ours: %+v", c)
	}
}

// sweep removes an empty cgroup in every hierarchy.
func sweep(t *testing.T, path string) {
	t.Helper()
	dirs, err := filepath.Glob("/sys/fs/cgroup/*" + path)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range append(dirs, "/sys/fs/cgroup"+path) {
		_ = syscall.Rmdir(dir)
	}
}

// TestAPausedContainerCanBeStopped: SIGKILL stays pending in a frozen v1 cgroup.
func TestAPausedContainerCanBeStopped(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.manifest("web", w.bundle(forever, runctest.BundleOptions{}), "  stop: {gracePeriod: 100ms}\n")
	pid := w.running("web", 0)
	w.direct("pause", "web.1")
	w.run("stop", "web")
	w.phase("web", "Stopped")
	if alive(pid) {
		t.Error("it lives")
	}
	w.oneEach("web", 1)
}
