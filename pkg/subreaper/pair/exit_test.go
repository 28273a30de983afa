package pair_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/subreaper"
)

func TestExitStatuses(t *testing.T) {
	w := startWorld(t)
	for i, row := range []struct {
		line string
		want syscall.WaitStatus
	}{
		{"exit 0", code(0)},
		{"exit 1", code(1)},
		{"exit 137", code(137)}, // not a signal
		{"exit 255", code(255)},
		{"kill -TERM $(exec sh -c 'echo $PPID')", 15},
		{"kill -KILL $(exec sh -c 'echo $PPID')", 9},
		{"kill -42 $(exec sh -c 'echo $PPID')", 42},
		{"cd $DIR; ulimit -c unlimited; kill -ABRT $(exec sh -c 'echo $PPID')", 6 | 0x80},
		{"ulimit -c 0; kill -SEGV $(exec sh -c 'echo $PPID')", 11},
	} {
		id := fmt.Sprintf("exits.%d", i+1)
		p := w.launch(w.request(id))
		if h := w.hello(); parent(p.PID) != h.Reaper {
			t.Errorf("%s is a child of %d, not of the reaper %d", id, parent(p.PID), h.Reaper)
		}
		w.tell(id, row.line)
		w.expect(id, row.want)
		w.reaped(p)
	}
	if h := w.hello(); h.Held != 0 {
		t.Errorf("%d instances are held, all have ended", h.Held)
	}
}

// TestHoldsZombieWhileNoRoom: the record comes before the reap, and a look at the status takes nothing away.
func TestHoldsZombieWhileNoRoom(t *testing.T) {
	w := newWorld(t)
	if err := os.MkdirAll(w.run.ExitsDir(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", w.run.ExitsDir(), "tmpfs", 0, "size=64k,nr_inodes=64"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(w.run.ExitsDir(), unix.MNT_DETACH) })
	w.start()
	p := w.launch(w.request("full.1"))
	q := w.launch(w.request("full.2"))
	ballast := filepath.Join(w.run.ExitsDir(), "ballast")
	w.must(os.WriteFile(ballast, nil, 0o600))
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
	w.tell("full.1", "exit 11")
	w.eventually("the failure is logged", func() bool { return strings.Contains(w.log(), "cannot be recorded") })
	zombie := func(p subreaper.Process, parent int) {
		t.Helper()
		s, err := subreaper.ReadStat(p.PID)
		if err != nil || s.State != 'Z' || s.Parent != parent {
			t.Fatalf("the zombie was not kept by %d: %+v, %v", parent, s, err)
		}
	}
	before := w.hello()
	zombie(p, before.Reaper)

	// An unknown child's zombie waits for no disk.
	marker := filepath.Join(w.dir, "marker")
	w.launch(w.script("full.3", `(echo x >"$DIR/marker") & sleep 1000 & echo $! >"$PIDFILE"`))
	w.eventually("the stranger ran", func() bool { _, err := os.Stat(marker); return err == nil })
	w.eventually("the stranger is reaped", func() bool { return len(childrenOf(before.Reaper)) == 3 })

	// The heir holds it as well.
	kill(before.Reaper)
	after := w.whole(before)
	zombie(p, before.Guard)
	w.tell("full.2", "exit 12")
	w.eventually("the second one died", func() bool { s, err := subreaper.ReadStat(q.PID); return err == nil && s.State == 'Z' })
	zombie(p, after.Guard)
	zombie(q, after.Guard)
	if left, _ := filepath.Glob(filepath.Join(w.run.ExitsDir(), "*.json")); len(left) > 0 {
		t.Fatalf("records on a full disk: %v", left)
	}
	w.must(os.Remove(ballast))
	w.expect("full.1", code(11))
	w.expect("full.2", code(12))
	w.reaped(p)
	w.reaped(q)
}

func childrenOf(pid int) []string {
	out, _ := exec.Command("sh", "-c", fmt.Sprintf("cat /proc/%d/task/*/children", pid)).Output()
	return strings.Fields(string(out))
}

// TestReusedPID: a process that only took over the pid of an instance is neither watched nor signalled nor believed.
func TestReusedPID(t *testing.T) {
	w := startWorld(t)
	p := w.launch(w.request("real.1"))
	impostor, rebooted := p, p
	impostor.StartTime--
	rebooted.BootID = "00000000-0000-0000-0000-000000000000"
	for id, row := range map[string]struct {
		process subreaper.Process
		reason  string
	}{
		"reused.1":   {impostor, subreaper.ReasonUnseen},
		"gone.1":     {subreaper.Process{PID: 1 << 22, StartTime: 1, BootID: p.BootID}, subreaper.ReasonUnseen},
		"rebooted.1": {rebooted, subreaper.ReasonHostRebooted},
	} {
		w.plant(subreaper.Instance{ID: id, Process: row.process})
		e := w.exit(id)
		if e.Source != subreaper.SourceUnknown || e.Reason != row.reason || e.Process != row.process {
			t.Errorf("%s: %+v, want unknown because of %s", id, e, row.reason)
		}
	}
	w.tell("real.1", "exit 21")
	w.expect("real.1", code(21))
}

// plant makes an instance file behind the pair's back.
func (w *world) plant(in subreaper.Instance) {
	w.Helper()
	aside := filepath.Join(w.run.InstancesDir(), ".planted")
	w.must(os.WriteFile(aside, fmt.Appendf(nil, `{"id":%q,"process":{"pid":%d,"startTime":%d,"bootID":%q}}`,
		in.ID, in.Process.PID, in.Process.StartTime, in.Process.BootID), 0o600))
	w.must(os.Rename(aside, w.run.Instance(in.ID)))
}

// TestForeignProcess: the end of an instance that is a child of neither, as after the death of both.
func TestForeignProcess(t *testing.T) { onEachKernel(t, foreignProcess) }

func foreignProcess(t *testing.T, w *world) {
	process := func(id string) (*exec.Cmd, subreaper.Process) {
		t.Helper()
		cmd := exec.Command("sleep", "1000")
		w.must(cmd.Start())
		s, err := subreaper.ReadStat(cmd.Process.Pid)
		w.must(err)
		boot, err := subreaper.BootID()
		w.must(err)
		p := subreaper.Process{PID: cmd.Process.Pid, StartTime: s.StartTime, BootID: boot}
		w.plant(subreaper.Instance{ID: id, Process: p})
		w.remember(subreaper.Instance{ID: id, Process: p})
		w.eventually("it is watched", func() bool { return w.hello().Held == 1 })
		return cmd, p
	}
	t.Run("zombie", func(t *testing.T) {
		cmd, p := process("foreign.1")
		w.must(p.Signal(syscall.SIGTERM))
		w.expect("foreign.1", 15, subreaper.SourceProcstat) // nobody has reaped it yet
		_ = cmd.Wait()
	})
	t.Run("reaped while nobody could look", func(t *testing.T) {
		cmd, p := process("foreign.2")
		guard := w.hello().Guard
		w.eventually("the guard watches it", func() bool { return hasPidfdOf(guard, p.PID) })
		w.must(syscall.Kill(guard, syscall.SIGSTOP))
		w.must(p.Signal(syscall.SIGTERM))
		_ = cmd.Wait()
		w.must(syscall.Kill(guard, syscall.SIGCONT))
		w.expectReaped("foreign.2", 15)
	})
	t.Run("reaped over an upgrade", func(t *testing.T) {
		cmd, p := process("foreign.3")
		guard := w.hello().Guard
		w.eventually("the guard watches it", func() bool { return hasPidfdOf(guard, p.PID) })
		w.must(syscall.Kill(guard, syscall.SIGHUP))
		w.eventually("the guard hands its pidfd on", func() bool {
			b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", guard))
			return strings.Contains(string(b), "foreign.3=")
		})
		w.must(p.Signal(syscall.SIGTERM))
		_ = cmd.Wait()
		w.expectReaped("foreign.3", 15, subreaper.SourceProcstat)
	})
	w.eventually("nothing is held", func() bool { return w.hello().Held == 0 })
}

func hasPidfdOf(holder, pid int) bool {
	out, _ := exec.Command("sh", "-c", fmt.Sprintf("cat /proc/%d/fdinfo/*", holder)).Output()
	return strings.Contains(string(out), fmt.Sprintf("Pid:\t%d\n", pid))
}

// TestUnknownZombiesWaitForAWholeScan: what could not be read may be about the zombie. Here it is no file at all.
func TestUnknownZombiesWaitForAWholeScan(t *testing.T) {
	w := startWorld(t)
	unreadable := w.run.Instance("odd.1")
	w.must(os.Mkdir(unreadable, 0o700))
	pidFile := filepath.Join(w.dir, "orphan")
	w.launch(w.script("some.1", `sleep 0.3 & echo $! >"`+pidFile+`"; sleep 1000 & echo $! >"$PIDFILE"`))
	b, err := os.ReadFile(pidFile)
	w.must(err)
	orphan, err := strconv.Atoi(strings.TrimSpace(string(b)))
	w.must(err)
	w.eventually("the orphan is a zombie", func() bool {
		s, err := subreaper.ReadStat(orphan)
		return err == nil && s.State == 'Z'
	})
	w.launch(w.script("some.2", `sleep 1000 & echo $! >"$PIDFILE"`)) // a reason to look at the children once more
	if s, err := subreaper.ReadStat(orphan); err != nil || s.State != 'Z' {
		t.Errorf("the orphan was reaped: %v", err)
	}
	w.must(os.Remove(unreadable))
	w.eventually("the orphan is reaped", func() bool {
		_, err := subreaper.ReadStat(orphan)
		return errors.Is(err, subreaper.ErrGone)
	})
}
