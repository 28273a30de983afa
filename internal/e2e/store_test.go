package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"reconciler.dev/reconciler/internal/runctest"
)

// stop ends the controller in order, the containers running on, and returns the snapshot of its store that it leaves.
func (w *world) stop() (snapshot []byte) {
	w.t.Helper()
	w.must(w.daemon.Process.Signal(syscall.SIGTERM))
	_ = w.daemon.Wait() // that it was told to end is an error of its own
	w.daemon = nil
	snapshot, err := os.ReadFile(filepath.Join(w.root, "state/reconciler.db.snapshot"))
	w.must(err)
	return snapshot
}

// damage spoils the store of a controller that does not run. Its snapshot is to be that one: on a slow machine there may be
// another by now.
func (w *world) damage(snapshot []byte) {
	w.t.Helper()
	w.must(os.WriteFile(filepath.Join(w.root, "state/reconciler.db.snapshot"), snapshot, 0o600))
	path := filepath.Join(w.root, "state/reconciler.db")
	b, err := os.ReadFile(path)
	w.must(err)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	w.must(err)
	defer f.Close()
	for at := 2 * 4096; at < len(b); at += 4096 { // whichever page is the root
		_, err = f.WriteAt([]byte(strings.Repeat("damaged ", 8)), int64(at))
		w.must(err)
	}
}

func (w *world) aside() []string {
	w.t.Helper()
	found, err := filepath.Glob(filepath.Join(w.root, "state/reconciler.db.corrupt-*"))
	w.must(err)
	return found
}

// runsOn waits until a controller that has just begun has found the container, and fails if it is not the process it was.
func (w *world) runsOn(name string, pid int) {
	w.t.Helper()
	w.running(name, 0)
	w.undisturbed(name, pid)
}

// complaints are what a verb says on stderr.
func (w *world) complaints(args ...string) string {
	var complaint bytes.Buffer
	cmd := exec.Command(filepath.Join(bin, "reconciler"), append([]string{"--root", w.root}, args...)...)
	cmd.Stderr = &complaint
	w.must(cmd.Run())
	return complaint.String()
}

// TestADamagedStoreComesBackFromItsSnapshot: nothing that runs is touched, whatever happened since the snapshot: a restart, a
// new name, a verb taken back, an exit. Numbers go on, and each exit that somebody saw is recorded once.
func TestADamagedStoreComesBackFromItsSnapshot(t *testing.T) {
	w := newWorld(t)
	w.start()
	quick := "  stop: {gracePeriod: 0s}\n"
	w.manifest("web", w.bundle(forever, runctest.BundleOptions{}), quick)
	w.manifest("off", w.bundle(forever, runctest.BundleOptions{}), quick)
	w.must(syscall.Mkfifo(filepath.Join(w.out, "go"), 0o600))
	w.manifest("job", w.bundle("read line </out/go; exit 7", runctest.BundleOptions{}), "  restart: {policy: Never}\n")
	web, job := w.running("web", 0), w.running("job", 0)
	w.running("off", 0)
	w.run("stop", "off")
	w.phase("off", "Stopped")
	w.settled()
	snapshot := w.stop()

	w.start()
	w.run("restart", "web")
	web = w.running("web", web)
	w.run("start", "off")
	off := w.running("off", 0)
	w.manifest("new", w.bundle(forever, runctest.BundleOptions{}), quick)
	fresh := w.running("new", 0)
	w.settled()
	w.kill()
	w.must(os.WriteFile(filepath.Join(w.out, "go"), []byte("\n"), 0))
	w.until("the job has ended", func() bool { return !alive(job) })
	w.damage(snapshot)

	w.start()
	w.told("node", "StoreRecovered")
	w.told("off", "InDoubt")
	w.told("node", "ManifestsRead")
	w.phase("job", "Failed")
	w.settled()
	for name, pid := range map[string]int{"web": web, "off": off, "new": fresh} {
		w.runsOn(name, pid)
	}
	if exits := w.oneEach("job", 1); *exits[0].ExitCode != 7 || exits[0].PID != job {
		t.Errorf("%+v", exits[0])
	}
	if len(w.aside()) != 1 {
		t.Errorf("set aside: %v", w.aside())
	}
	w.run("restart", "web")
	web = w.running("web", web)
	if c := w.get("web"); c.Status.Attempt != 3 {
		t.Errorf("attempt %d\n%s", c.Status.Attempt, w.state())
	}
	seen := map[int]bool{}
	for _, e := range w.exits("web") {
		if seen[e.Attempt] || e.Attempt > 2 {
			t.Errorf("%+v", e)
		}
		seen[e.Attempt] = true
	}
	// What is said again is done.
	w.run("stop", "off")
	w.phase("off", "Stopped")
	w.restart()
	w.settled()
	w.runsOn("web", web)
	if len(w.aside()) != 1 {
		t.Errorf("set aside: %v", w.aside())
	}
}

// TestADamagedStoreWithoutManifests: until they were read nothing is stopped because an old snapshot has another spec, and
// nothing begun because it has a name; a hold in it stops nothing either. All that is told.
func TestADamagedStoreWithoutManifests(t *testing.T) {
	w := newWorld(t)
	w.start()
	old, quick := w.bundle(forever, runctest.BundleOptions{}), "  stop: {gracePeriod: 0s}\n"
	w.manifest("web", old, quick)
	w.manifest("gone", old, quick)
	pid := w.running("web", 0)
	w.running("gone", 0)
	w.run("down", "--reason", "old")
	w.phase("web", "Stopped")
	w.phase("gone", "Stopped")
	w.settled()
	snapshot := w.stop()

	w.start()
	w.run("up")
	pid = w.running("web", pid)
	w.manifest("web", w.bundle(forever+" # another one", runctest.BundleOptions{}), quick)
	pid = w.running("web", pid)
	w.must(os.Remove(w.file("gone")))
	w.told("gone", "Removed") // nothing is left of it, too
	w.settled()
	w.kill()
	w.damage(snapshot)
	manifests := filepath.Join(w.root, "manifests")
	w.must(os.Rename(manifests, manifests+".away"))

	w.start()
	w.told("node", "StoreRecovered")
	w.told("node", "InDoubt")
	w.told("manifests", "SourceChanged")
	doubted := func() {
		t.Helper()
		for _, name := range []string{"web", "gone"} {
			w.until(name+" is shown", func() bool { return w.get(name) != nil })
		}
		w.until("get tells that the store is restored", func() bool {
			out := w.complaints("get")
			return strings.Contains(out, "manifests were not read") && strings.Contains(out, "restored store")
		})
		w.runsOn("web", pid)
		if c := w.get("gone"); c.Status.PID != nil {
			t.Errorf("it was started: %+v", c.Status)
		}
	}
	doubted()
	w.restart()
	doubted()
	w.run("up")
	w.settled()
	w.runsOn("web", pid)
	if c := w.get("gone"); c.Status.PID != nil || c.Status.Attempt > 2 {
		t.Errorf("it was started: %+v", c.Status)
	}
	w.must(os.RemoveAll(manifests)) // the empty one that the controller has made in its place
	w.must(os.Rename(manifests+".away", manifests))
	w.told("node", "ManifestsRead")
	w.until("gone is gone", func() bool { return w.get("gone") == nil })
	w.settled()
	w.runsOn("web", pid)
	if out := w.complaints("get"); strings.Contains(out, "restored") {
		t.Errorf("get still tells %q", out)
	}
}
