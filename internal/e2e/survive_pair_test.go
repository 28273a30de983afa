package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"reconciler.dev/reconciler/internal/runctest"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// child waits until a process is a child of another one.
func (w *world) child(pid, parent int) {
	w.t.Helper()
	w.until(fmt.Sprintf("%d is a child of %d", pid, parent), func() bool {
		s, err := subreaper.ReadStat(pid)
		return err == nil && s.Parent == parent
	})
}

// TestSurvivesFirstLossOfReaper: its children fall to the guard.
func TestSurvivesFirstLossOfReaper(t *testing.T) {
	w := newWorld(t)
	w.start()
	guard, reaper := w.pair()
	pid := w.job("job")
	signalPID(t, reaper, syscall.SIGKILL)
	w.child(pid, guard)
	if g, _ := w.pair(); g != guard {
		t.Errorf("the guard was %d and is %d", guard, g)
	}
	w.tell()
	w.ended("job", subreaper.SourceWaitid)
}

// TestSurvivesFirstLossOfGuard: the reaper takes its place and keeps its children.
func TestSurvivesFirstLossOfGuard(t *testing.T) {
	w := newWorld(t)
	w.start()
	guard, reaper := w.pair()
	pid := w.job("job")
	signalPID(t, guard, syscall.SIGKILL)
	w.until("it is dead", func() bool { return !alive(guard) })
	if g, _ := w.pair(); g != reaper {
		t.Errorf("the guard is %d, not the old reaper %d", g, reaper)
	}
	w.child(pid, reaper)
	w.tell()
	w.ended("job", subreaper.SourceWaitid)
}

// TestSurvivesSecondLoss in the run of one container: it has no parent of ours any more.
func TestSurvivesSecondLoss(t *testing.T) {
	w := newWorld(t)
	w.start()
	tells := w.tells()
	guard, reaper := w.pair()
	pid := w.job("job")
	signalPID(t, reaper, syscall.SIGKILL)
	w.child(pid, guard)
	w.pair()
	signalPID(t, guard, syscall.SIGKILL)
	w.until("it is another's child", func() bool {
		s, err := subreaper.ReadStat(pid)
		return err == nil && s.Parent != guard
	})
	w.pair()
	w.undisturbed("job", pid)
	w.tell()
	w.endedForeign("job", tells)
}

// TestSurvivesGuardAndReaper at once: the controller starts a new pair.
func TestSurvivesGuardAndReaper(t *testing.T) {
	w := newWorld(t)
	w.start()
	tells := w.tells()
	guard, reaper := w.pair()
	pid := w.job("job")
	w.killAtOnce(guard, reaper)
	if g, r := w.pair(); g == guard || r == reaper {
		t.Errorf("the pair is %d and %d, as before", g, r)
	}
	w.undisturbed("job", pid)
	w.tell()
	w.endedForeign("job", tells)
	w.manifest("web", w.bundle(forever, runctest.BundleOptions{}), held)
	web := w.running("web", 0)
	signalPID(t, web, syscall.SIGKILL)
	w.running("web", web)
	if e := w.oneEach("web", 1)[0]; e.Source != subreaper.SourceWaitid {
		t.Errorf("what was started since has a parent of ours: %+v", e)
	}
}

// TestSurvivesUpgradeOfPair in place, five times, while containers come and go: none is disturbed, no exit lost.
func TestSurvivesUpgradeOfPair(t *testing.T) {
	const runs = 8
	w := newWorld(t)
	w.bin = t.TempDir()
	for _, program := range []string{"reconciler", "reconciler-subreaper"} {
		w.install(program)
	}
	w.start("--resync", "1h")
	guard, reaper := w.pair()
	pid := w.job("job")
	names := []string{"a", "b", "c"}
	for _, name := range names {
		script := fmt.Sprintf("echo start >>/out/%[1]s; [ $(wc -l </out/%[1]s) -le %[2]d ] && exit 5; exec sleep 100000", name, runs)
		w.manifest(name, w.bundle(script, runctest.BundleOptions{}), held+"  restart: {backoff: {initial: 10ms, max: 10ms}}\n")
	}
	for range 5 {
		w.install("reconciler-subreaper")
		signalPID(t, guard, syscall.SIGHUP)
		for _, p := range []int{guard, reaper} {
			w.until(fmt.Sprintf("%d is of the new build", p), func() bool {
				now, err1 := os.Stat(fmt.Sprintf("/proc/%d/exe", p))
				new_, err2 := os.Stat(filepath.Join(w.bin, "reconciler-subreaper"))
				return err1 == nil && err2 == nil && os.SameFile(now, new_)
			})
		}
	}
	for _, name := range names {
		w.until(name+" is through", func() bool { return len(w.lines(name)) > runs })
		for _, e := range w.oneEach(name, runs) {
			if e.Source != subreaper.SourceWaitid || e.ExitCode == nil || *e.ExitCode != 5 {
				t.Errorf("%+v", e)
			}
		}
	}
	if g, r := w.pair(); g != guard || r != reaper {
		t.Errorf("the pair was %d and %d, and is %d and %d", guard, reaper, g, r)
	}
	w.undisturbed("job", pid)
	w.tell()
	w.ended("job", subreaper.SourceWaitid)
}

// install puts a new file of a program where the controller finds it.
func (w *world) install(program string) {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(bin, program))
	w.must(err)
	path := filepath.Join(w.bin, program)
	w.must(os.WriteFile(path+".new", b, 0o755))
	w.must(os.Rename(path+".new", path))
}
