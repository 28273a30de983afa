package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"reconciler.dev/reconciler/internal/runctest"
	"reconciler.dev/reconciler/pkg/api"
	"reconciler.dev/reconciler/pkg/subreaper"
)

const forever = "echo start >>/out/web; exec sleep 100000"

// oneEach holds the exits of a name against the starts that its instances logged: one record each, attempts ascending,
// none doubled.
func (w *world) oneEach(name string, starts int) []api.Exit {
	w.t.Helper()
	exits := w.exits(name)
	if len(exits) != starts {
		w.t.Errorf("%d exit records for %d starts: %+v", len(exits), starts, exits)
	}
	for i := 1; i < len(exits); i++ {
		if exits[i].Attempt <= exits[i-1].Attempt {
			w.t.Errorf("attempts are not ascending: %d after %d", exits[i].Attempt, exits[i-1].Attempt)
		}
	}
	return exits
}

// killAtOnce kills processes that would heal each other if they were killed one after the other.
func (w *world) killAtOnce(pids ...int) {
	w.t.Helper()
	w.stopped(pids...)
	for _, pid := range pids {
		signalPID(w.t, pid, syscall.SIGKILL)
	}
	for _, pid := range pids {
		w.until("it is dead", func() bool { return !alive(pid) })
	}
}

// stopped has processes stand still, and returns when none of their threads moves any more.
func (w *world) stopped(pids ...int) {
	w.t.Helper()
	for _, pid := range pids {
		signalPID(w.t, pid, syscall.SIGSTOP)
	}
	for _, pid := range pids {
		w.until(fmt.Sprintf("%d stands still", pid), func() bool {
			threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
			for _, thread := range threads {
				b, err := os.ReadFile(thread)
				_, state, _ := strings.Cut(string(b), ") ")
				if err == nil && !strings.ContainsAny(state[:1], "TZX") {
					return false
				}
			}
			return true
		})
	}
}

// TestControllerKilledBetweenTwoEffects kills the controller at each point of a launch where an effect has been begun and
// its outcome is not on record, lets the effect finish late, and looks for a twin, a second start or a lost exit.
func TestControllerKilledBetweenTwoEffects(t *testing.T) {
	for _, gate := range []string{"create.before", "create.after", "start.before", "start.after"} {
		t.Run(gate, func(t *testing.T) {
			w := newWorld(t)
			w.start()
			w.shut(gate)
			w.manifest("web", w.bundle(forever, runctest.BundleOptions{}), "  stop: {gracePeriod: 1s}\n")
			w.reached(gate)
			w.kill()
			w.open(gate)
			w.start()
			pid := w.running("web", 0)
			w.settled()
			if n := len(w.lines("web")); n != 1 {
				t.Errorf("%d starts", n)
			}
			if c := w.get("web"); c.Status.Attempt != 1 || c.Status.RestartCount != 0 {
				t.Errorf("attempt %d, %d restarts", c.Status.Attempt, c.Status.RestartCount)
			}
			signalPID(t, pid, syscall.SIGKILL)
			w.running("web", pid)
			w.oneEach("web", 1)
		})
	}
}

// TestReaperKilledInALaunch: the attempt is spent, the next one runs, and what the late create leaves is removed.
func TestReaperKilledInALaunch(t *testing.T) {
	for _, gate := range []string{"create.before", "create.after"} {
		t.Run(gate, func(t *testing.T) {
			w := newWorld(t)
			w.start()
			_, reaper := w.pair()
			w.shut(gate)
			w.manifest("web", w.bundle(forever, runctest.BundleOptions{}), "  stop: {gracePeriod: 1s}\n")
			w.reached(gate)
			signalPID(t, reaper, syscall.SIGKILL)
			w.pair()
			w.open(gate)
			w.running("web", 0)
			w.settled()
			if n := len(w.lines("web")); n != 1 {
				t.Errorf("%d starts", n)
			}
			if exits := w.exits("web"); len(exits) != 0 {
				t.Errorf("exits of what never ran: %+v", exits)
			}
		})
	}
}

// TestBothKilledBetweenCreateAndStart: the created init is no longer a child of the pair, which would not see its end, so
// it must not be started whatever the launch replied.
func TestBothKilledBetweenCreateAndStart(t *testing.T) {
	w := newWorld(t)
	w.start()
	guard, reaper := w.pair()
	w.shut("create.after")
	w.manifest("web", w.bundle("echo start >>/out/web; sleep 0.2; exit 7", runctest.BundleOptions{}), "  restart: {policy: Never}\n")
	w.reached("create.after")
	w.kill()
	w.open("create.after")
	w.until("the launch is committed", func() bool {
		_, err := os.Stat(filepath.Join(w.root, "run/instances/web.1.json"))
		return err == nil
	})
	w.killAtOnce(guard, reaper)
	w.start()
	w.phase("web", "Failed")
	w.settled()
	if e := w.oneEach("web", 1)[0]; e.Attempt != 2 || e.Source != subreaper.SourceWaitid || e.ExitCode == nil || *e.ExitCode != 7 {
		t.Errorf("the first attempt was not given up: %+v", e)
	}
	if n := len(w.lines("web")); n != 1 {
		t.Errorf("%d starts", n)
	}
}

// TestExitWhileTheStartIsNotOnRecord: the container has come and gone before the controller knows that it was started.
func TestExitWhileTheStartIsNotOnRecord(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.shut("start.after")
	w.manifest("job", w.bundle("echo start >>/out/job; exit 7", runctest.BundleOptions{}), "  restart: {policy: Never}\n")
	w.reached("start.after")
	w.until("it has ended", func() bool {
		_, err := os.Stat(filepath.Join(w.root, "run/exits/job.1.json"))
		return err == nil
	})
	w.kill()
	w.open("start.after")
	w.start()
	w.phase("job", "Failed")
	exits := w.oneEach("job", 1)
	if e := exits[0]; e.ExitCode == nil || *e.ExitCode != 7 || e.Source != subreaper.SourceWaitid {
		t.Errorf("%+v", e)
	}
	if n := len(w.lines("job")); n != 1 {
		t.Errorf("%d starts", n)
	}
}

// TestStoppedInTheMiddle: the controller dies between the stop's intent and the end; the stop is finished by the next.
func TestStoppedInTheMiddle(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.manifest("web", w.bundle(`trap 'echo term >>/out/term' TERM; echo start >>/out/web; while :; do sleep 1; done`, runctest.BundleOptions{}),
		"  stop: {gracePeriod: 2s}\n")
	pid := w.running("web", 0)
	w.run("stop", "web")
	w.until("the signal has come", func() bool { return len(w.lines("term")) > 0 })
	w.restart()
	w.phase("web", "Stopped")
	if alive(pid) {
		t.Error("it lives")
	}
	e := w.oneEach("web", 1)[0]
	if e.Signal == nil || *e.Signal != 9 || !strings.Contains(e.Message, "grace period") {
		t.Errorf("%+v", e)
	}
	w.restart()
	w.settled()
	if c := w.get("web"); c.Status.Phase != "Stopped" || c.Status.Override == nil {
		t.Errorf("the override was forgotten: %+v", c.Status)
	}
	w.run("start", "web")
	w.running("web", pid)
}

// TestSharedPIDNamespaceIsEmptiedFirst: a process that outlives its init in a shared pid namespace would be a second
// live instance next to the new one. Each instance leaves such a survivor, and looks for the one before.
func TestSharedPIDNamespaceIsEmptiedFirst(t *testing.T) {
	w := newWorld(t)
	w.start()
	script := `survivor=$(cat /out/survivor 2>/dev/null)
if [ -n "$survivor" ] && kill -0 $survivor 2>/dev/null; then echo TWIN >>/out/seen; else echo free >>/out/seen; fi
sleep 100000 &
echo $! >/out/survivor.new; busybox mv /out/survivor.new /out/survivor
echo start >>/out/web; wait`
	w.manifest("web", w.bundle(script, runctest.BundleOptions{HostPID: true}), "  stop: {gracePeriod: 0s}\n  restart: {backoff: {initial: 1ms, max: 1ms}}\n")
	pid := 0
	for n := 1; n <= 5; n++ {
		w.until("its survivor lives", func() bool { return len(w.lines("web")) == n })
		if pid = w.running("web", pid); n < 5 {
			signalPID(t, pid, syscall.SIGKILL)
		}
	}
	for i, seen := range w.lines("seen") {
		if seen != "free" {
			t.Errorf("start %d beside a live process of the one before", i+1)
		}
	}
	w.oneEach("web", 4)
}

// TestStrangersAreNoAbsence: with the store lost, and the list of instances failing, nothing may be started beside what
// lives; once it can be listed it is taken back, and the next one comes under a number never used. One that carries
// nothing by which it could be told goes first.
func TestStrangersAreNoAbsence(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.manifest("web", w.bundle(forever, runctest.BundleOptions{}), "  stop: {gracePeriod: 0s}\n")
	first := w.running("web", 0)
	w.until("it has begun", func() bool { return len(w.lines("web")) == 1 })
	signalPID(t, first, syscall.SIGKILL)
	pid := w.running("web", first)
	w.until("it has begun again", func() bool { return len(w.lines("web")) == 2 })
	w.kill()
	w.must(os.Remove(filepath.Join(w.root, "state/reconciler.db")))
	// Executable as far as anybody can see, and it cannot be run.
	w.must(os.Rename(w.runtime, w.runtime+".good"))
	w.write(w.runtime, "#!/no/such/interpreter\n")
	w.must(os.Chmod(w.runtime, 0o700))
	w.start()
	w.phase("web", "Unknown")
	if n := len(w.lines("web")); n != 2 || !alive(pid) {
		t.Errorf("%d starts, the first one alive: %v", n, alive(pid))
	}
	w.must(os.Rename(w.runtime+".good", w.runtime))
	w.until("it is taken back", func() bool { return w.running("web", 0) == pid })
	signalPID(t, pid, syscall.SIGKILL)
	pid = w.running("web", pid)
	if c := w.get("web"); c.Status.Attempt != 3 {
		t.Errorf("attempt %d", c.Status.Attempt)
	}

	w.kill()
	w.must(os.Remove(filepath.Join(w.root, "state/reconciler.db")))
	w.must(os.Remove(filepath.Join(w.root, "run/bundles/web.3/config.json")))
	w.start()
	w.running("web", pid)
	if alive(pid) {
		t.Error("two live instances")
	}
	if c := w.get("web"); c.Status.Attempt != 4 {
		t.Errorf("attempt %d", c.Status.Attempt)
	}
}

// TestExitFilesGoOnlyAfterTheCommit: an exit file that the store refuses to take must not be deleted; here the controller
// dies while it is on its way.
func TestExitFilesGoOnlyAfterTheCommit(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.manifest("web", w.bundle("echo start >>/out/web; exit 5", runctest.BundleOptions{}), "  restart: {policy: Never}\n")
	w.shut("delete.before")
	w.reached("delete.before")
	// The remains are being removed, so the exit is on record, and its file is still there.
	if n := len(w.exits("web")); n != 1 {
		t.Errorf("%d exits on record", n)
	}
	if _, err := os.Stat(filepath.Join(w.root, "run/exits/web.1.json")); err != nil {
		t.Error(err)
	}
	w.kill()
	w.open("delete.before")
	w.start()
	w.phase("web", "Failed")
	w.settled()
	w.oneEach("web", 1)
}

// TestNoSignalToAStranger: a record that names a pid whose start time is another one is not about that process.
func TestNoSignalToAStranger(t *testing.T) {
	self, err := subreaper.ReadStat(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	boot, err := subreaper.BootID()
	if err != nil {
		t.Fatal(err)
	}
	stranger := subreaper.Process{PID: os.Getpid(), StartTime: self.StartTime - 1, BootID: boot}
	if err := stranger.Signal(syscall.SIGKILL); err == nil {
		t.Fatal("signalled, and this test lives by luck: pid " + strconv.Itoa(os.Getpid()))
	}
}

// TestDamagedRuntimeState: runc refuses to delete what it cannot read; the container is replaced all the same.
func TestDamagedRuntimeState(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.manifest("web", w.bundle(forever, runctest.BundleOptions{}), "  stop: {gracePeriod: 0s}\n")
	pid := w.running("web", 0)
	for _, file := range []string{"state.json", "status"} { // runc's, crun's
		if err := os.Truncate(filepath.Join(w.root, "run/runc/web.1", file), 10); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	signalPID(t, pid, syscall.SIGKILL)
	w.running("web", pid)
	w.settled()
	if _, err := os.Stat(filepath.Join(w.root, "run/runc/web.1")); err == nil {
		t.Error("its remains are still there")
	}
	w.oneEach("web", 1)
}

// TestAWipedStateDirectoryMakesNoSecondPair: the pair's lock is gone with it, its listener is not.
func TestAWipedStateDirectoryMakesNoSecondPair(t *testing.T) {
	w := newWorld(t)
	w.start()
	guard, reaper := w.pair()
	w.manifest("web", w.bundle(forever, runctest.BundleOptions{}), "  stop: {gracePeriod: 0s}\n")
	pid := w.running("web", 0)
	w.kill()
	w.must(os.RemoveAll(filepath.Join(w.root, "state")))
	w.start()
	if got := w.running("web", 0); got != pid {
		t.Errorf("pid %d became %d", pid, got)
	}
	w.settled()
	if g, r := w.pair(); g != guard || r != reaper {
		t.Errorf("guard %d and reaper %d, were %d and %d", g, r, guard, reaper)
	}
	if !alive(pid) || len(w.lines("web")) != 1 {
		t.Errorf("it lives: %v, starts: %d", alive(pid), len(w.lines("web")))
	}
}

// TestDownThatDidNotComeToBe: a controller that dies on the way has not stopped what it held.
func TestDownThatDidNotComeToBe(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.manifest("web", w.bundle("trap '' TERM; "+strings.Replace(forever, "exec", "", 1), runctest.BundleOptions{}), "  stop: {gracePeriod: 3s}\n")
	w.running("web", 0)
	w.until("it ignores TERM", func() bool { return len(w.lines("web")) == 1 })
	down := make(chan error, 1)
	go func() { _, err := w.try("down", "--exit"); down <- err }()
	w.phase("web", "Stopping")
	w.kill()
	if err := <-down; err == nil || !strings.Contains(err.Error(), "held") {
		t.Errorf("down says %v", err)
	}
	w.start()
	w.manifest("web", w.bundle(forever, runctest.BundleOptions{}), "  stop: {gracePeriod: 0s}\n")
}
