package pair

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/internal/runctest"
	"reconciler.dev/reconciler/pkg/subreaper"
	"reconciler.dev/reconciler/pkg/subreaper/internal/raw"
)

// TestStrangersAreMatchedWithFilesFirst: an heir finds the zombie of an instance whose file it has not read yet, since
// the reaper was killed just after the commit. No test from outside can hit that moment.
func TestStrangersAreMatchedWithFilesFirst(t *testing.T) {
	runctest.Require(t, runctest.Root, runctest.Pidfd)
	r := idleGuard(t)
	known, stranger := zombie(t, "exit 9"), zombie(t, "exit 1")
	s, err := subreaper.ReadStat(known)
	if err != nil {
		t.Fatal(err)
	}
	in := subreaper.Instance{ID: "heir.1", Process: subreaper.Process{PID: known, StartTime: s.StartTime, BootID: r.bootID}}
	if err := r.commit(r.run.Instance(in.ID), in); err != nil {
		t.Fatal(err)
	}
	r.childrenDue = true
	r.reapOthers()
	if _, dead, err := peek(unix.P_PID, known); err != nil || !dead {
		t.Fatalf("the instance's zombie: %v, %v; want it kept until it is recorded", dead, err)
	}
	if _, _, err := peek(unix.P_PID, stranger); !errors.Is(err, unix.ECHILD) {
		t.Errorf("the stranger's zombie: %v, want it reaped", err)
	}
	r.settleDue()
	e, err := subreaper.ReadExit(r.run, in.ID)
	if err != nil || e.Source != subreaper.SourceWaitid || e.Status.ExitStatus() != 9 || e.Process != in.Process {
		t.Errorf("exit %+v, %v", e, err)
	}
	if _, _, err := peek(unix.P_PID, known); !errors.Is(err, unix.ECHILD) {
		t.Errorf("after the record: %v, want it reaped", err)
	}
	if len(r.watches) != 0 {
		t.Errorf("still watched: %v", r.watches)
	}
}

// TestFallsToMeMeanwhile: the reaper dies between the guard's waitid, which says "not yours", and its look at /proc.
func TestFallsToMeMeanwhile(t *testing.T) {
	runctest.Require(t, runctest.Root, runctest.Pidfd)
	r := idleGuard(t)
	pid := zombie(t, "exit 7")
	s, err := subreaper.ReadStat(pid)
	if err != nil {
		t.Fatal(err)
	}
	in := subreaper.Instance{ID: "fell.1", Process: subreaper.Process{PID: pid, StartTime: s.StartTime, BootID: r.bootID}}
	if err := r.commit(r.run.Instance(in.ID), in); err != nil {
		t.Fatal(err)
	}
	fd, err := in.Process.Open()
	if err != nil {
		t.Fatal(err)
	}
	r.watch(in.ID, in.Process, fd)
	w := r.watches[in.ID]
	w.due = false
	r.settleForeign(w)
	if raw.Exists(r.run.Exit(in.ID)) || !w.due {
		t.Fatalf("recorded as a stranger's; due again: %v", w.due)
	}
	r.settleDue()
	if e, err := subreaper.ReadExit(r.run, in.ID); err != nil || e.Source != subreaper.SourceWaitid || e.Status.ExitStatus() != 7 {
		t.Errorf("exit %+v, %v; want it known by waitid", e, err)
	}
}

// idleGuard is a guard without a loop, signals or a socket, in directories of its own.
func idleGuard(t *testing.T) *routine {
	t.Helper()
	boot, err := subreaper.BootID()
	if err != nil {
		t.Fatal(err)
	}
	r := &routine{
		args: args{role: subreaper.RoleGuard, run: subreaper.RunDir(t.TempDir()), lock: -1, listener: -1, inotify: -1, spare: -1, held: map[string]int{}},
		pid:  os.Getpid(), bootID: boot, reaperPID: -1, // the socket is somebody else's affair
		watches: map[string]*watch{}, byFD: map[int]*watch{}, launches: map[string]*launch{}, logged: map[string]bool{},
	}
	var err1, err2 error
	r.epoll, err1 = unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	r.inotify, err2 = unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err := errors.Join(err1, err2, r.prepareDirectories()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(r.epoll); _ = unix.Close(r.inotify) })
	return r
}

// zombie returns the pid of a child that has ended.
func zombie(t *testing.T, script string) int {
	t.Helper()
	cmd := exec.Command("sh", "-c", script)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	_ = cmd.Process.Release() // it is reaped by pid
	return pid
}

func TestArgsRoundTrip(t *testing.T) {
	for _, a := range []args{
		{program: "/bin/x", role: "guard", run: "/run/r", state: "/var/s", lock: -1, listener: -1, inotify: -1, spare: -1, held: map[string]int{}},
		{program: "x", role: "guard", run: "/r", state: "/s", lock: 3, listener: 4, inotify: 5, spare: 6, reaper: 77, upgraded: true, held: map[string]int{"a.1": 9, "b.2": 10}},
		{program: "x", role: "reaper", run: "/r r", state: "/s", guard: 12, lock: 3, listener: 4, inotify: 5, spare: 6, held: map[string]int{}},
	} {
		got, err := parseArgs(a.argv())
		if err != nil || !slices.Equal(got.argv(), a.argv()) || fmt.Sprint(got) != fmt.Sprint(a) {
			t.Errorf("%q: %+v, %v", a.argv(), got, err)
		}
	}
}
