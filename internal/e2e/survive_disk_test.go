package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/internal/runctest"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// disk mounts a small file system of the world's own; fill leaves no room on it, until room is called.
func (w *world) disk(dir, mode string) (fill, room func()) {
	w.t.Helper()
	path := filepath.Join(w.root, dir)
	w.must(os.MkdirAll(path, 0o700))
	w.must(unix.Mount("none", path, "tmpfs", 0, "size=4m,mode="+mode))
	w.after = append(w.after, func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
	ballast := filepath.Join(path, ".ballast")
	fill = func() {
		w.t.Helper()
		f, err := os.Create(ballast)
		w.must(err)
		defer f.Close()
		for err == nil {
			_, err = f.Write(make([]byte, 4096))
		}
		if !errors.Is(err, unix.ENOSPC) {
			w.t.Fatal(err)
		}
	}
	return fill, func() { w.must(os.Remove(ballast)) }
}

// restarting is a manifest whose restarts have no pause to speak of.
const restarting = held + "  restart: {backoff: {initial: 1ms, max: 1ms}}\n"

// TestSurvivesFullState: what runs goes on; an exit that cannot be put on record waits in its file, and what follows from
// it waits too.
func TestSurvivesFullState(t *testing.T) {
	w := newWorld(t)
	fill, room := w.disk("state", "700")
	w.start()
	job := w.job("job")
	w.manifest("web", w.bundle(forever, runctest.BundleOptions{}), restarting)
	pid := w.running("web", 0)
	fill()
	refused := func() bool {
		log, err := os.ReadFile(filepath.Join(w.root, "daemon.log"))
		return err == nil && strings.Contains(string(log), "action is not on record")
	}
	for !refused() { // there may be free pages within the store
		signalPID(t, pid, syscall.SIGKILL)
		w.until("it is started again, or that is refused", func() bool {
			if c := w.get("web"); c != nil && c.Status.Phase == "Running" && c.Status.PID != nil && *c.Status.PID != pid {
				pid = *c.Status.PID
				return true
			}
			return refused()
		})
	}
	w.undisturbed("job", job)
	room()
	w.running("web", 0)
	w.settled()
	w.until("it has begun", func() bool { return len(w.lines("web")) > len(w.exits("web")) })
	for _, e := range w.oneEach("web", len(w.lines("web"))-1) {
		if e.Source != subreaper.SourceWaitid || *e.Signal != 9 {
			t.Errorf("%+v", e)
		}
	}
	w.tell()
	w.ended("job", subreaper.SourceWaitid)
}

// TestSurvivesFullRun: what cannot be recorded is held as a zombie, whose status the kernel keeps.
func TestSurvivesFullRun(t *testing.T) {
	w := newWorld(t)
	fill, room := w.disk("run", "711")
	w.start()
	pid := w.job("job")
	w.manifest("web", w.bundle(forever, runctest.BundleOptions{}), held)
	web := w.running("web", 0)
	fill()
	w.tell()
	w.until("its exit is awaited", func() bool {
		out, err := w.try("get", "job", "-o", "json")
		return err == nil && strings.Contains(out, "ExitPending")
	})
	if s, err := subreaper.ReadStat(pid); err != nil || s.State != 'Z' {
		t.Errorf("its zombie is not held: %+v, %v", s, err)
	}
	w.undisturbed("web", web)
	room()
	w.ended("job", subreaper.SourceWaitid)
	w.until("it is reaped", func() bool { _, err := subreaper.ReadStat(pid); return err != nil })
	w.undisturbed("web", web)
}

// TestSurvivesFullLogs: containers come and go as ever. What they say meanwhile has no place.
func TestSurvivesFullLogs(t *testing.T) {
	w := newWorld(t)
	fill, room := w.disk("logs", "700")
	w.start()
	job := w.job("job")
	w.manifest("web", w.bundle("echo hello; "+forever, runctest.BundleOptions{}), restarting)
	pid := w.running("web", 0)
	w.until("it has begun", func() bool { return len(w.lines("web")) == 1 })
	fill()
	pid = w.watched("web", pid, 2)
	w.undisturbed("job", job)
	room()
	w.watched("web", pid, 3)
	w.until("its output is kept again", func() bool { return strings.Contains(w.run("logs", "web"), "hello") })
	w.tell()
	w.ended("job", subreaper.SourceWaitid)
}
