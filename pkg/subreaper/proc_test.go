package subreaper

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/internal/runctest"
)

// statLine is /proc/<pid>/stat of a zombie with the given name.
func statLine(name string) string {
	return "4711 (" + name + ") Z 42 4711 42 0 -1 4227084 99 0 0 0 0 0 0 0 20 0 1 0 123456789 0 0 18446744073709551615 " +
		"0 0 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 35584\n"
}

func TestParseStat(t *testing.T) {
	for _, name := range []string{"init", "a) R (b", "x) Z 1 (", "new\nline", "", "(", ")", ") ", "\xff\xfe"} {
		s, err := ParseStat([]byte(statLine(name)))
		if err != nil {
			t.Errorf("name %q: %v", name, err)
			continue
		}
		want := Stat{State: 'Z', Parent: 42, StartTime: 123456789, Status: 139 << 8}
		if s != want {
			t.Errorf("name %q: got %+v, want %+v", name, s, want)
		}
	}
	forked := strings.Replace(statLine("x"), "4227084", "4227148", 1)
	if s, err := ParseStat([]byte(forked)); err != nil || !s.Forked {
		t.Errorf("a process before its execve: %+v, %v", s, err)
	}
	for _, bad := range []string{"", "1", "1 (x", "1 (x) ", "1 (x) Z 1 2", strings.Replace(statLine("x"), "123456789", "-1", 1)} {
		if _, err := ParseStat([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	for _, name := range []string{"a) R (b", "x) Z 1 (", "new\nline", ""} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		// A name cannot move the fields behind it, whatever it is made of.
		if s, err := ParseStat([]byte(statLine(name))); err != nil || s.StartTime != 123456789 || s.Parent != 42 {
			t.Errorf("name %q: %+v, %v", name, s, err)
		}
		_, _ = ParseStat([]byte(name))
	})
}

func TestReadStatOfThisProcess(t *testing.T) {
	s, err := ReadStat(os.Getpid())
	if err != nil || s.Parent != os.Getppid() || s.StartTime == 0 || s.Forked {
		t.Fatalf("got %+v, %v; want parent %d", s, err, os.Getppid())
	}
	if _, err := ReadStat(1 << 30); !errors.Is(err, ErrGone) {
		t.Fatalf("stat of a pid that cannot be: %v", err)
	}
}

// child starts a process that lives until it is killed.
func child(t *testing.T) (*exec.Cmd, Process) {
	t.Helper()
	runctest.Require(t, runctest.Pidfd)
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	s, err := ReadStat(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	boot, err := BootID()
	if err != nil {
		t.Fatal(err)
	}
	return cmd, Process{PID: cmd.Process.Pid, StartTime: s.StartTime, BootID: boot}
}

func TestSignalNeedsTheVeryProcess(t *testing.T) {
	_, p := child(t)
	stranger, rebooted := p, p
	stranger.StartTime-- // as if the pid had been reused
	rebooted.BootID = "00000000-0000-0000-0000-000000000000"
	for _, wrong := range []Process{stranger, rebooted, {PID: 0, BootID: p.BootID}, {PID: 1 << 30, BootID: p.BootID}} {
		if err := wrong.Signal(syscall.SIGKILL); !errors.Is(err, ErrGone) {
			t.Errorf("signal to %+v: %v, want ErrGone", wrong, err)
		}
		if fd, err := wrong.Open(); !errors.Is(err, ErrGone) {
			t.Errorf("open %+v: %d, %v, want ErrGone", wrong, fd, err)
		}
	}
	if s, err := ReadStat(p.PID); err != nil || s.State == 'Z' {
		t.Fatalf("the process was hit: %+v, %v", s, err)
	}
	if err := p.Signal(0); err != nil {
		t.Fatalf("the right process: %v", err)
	}
}

func TestWitness(t *testing.T) {
	runctest.Require(t, runctest.Root)
	cmd, p := child(t)
	fd, err := p.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	if s, err := Witness(fd, p); err != nil || s.Life != Alive {
		t.Fatalf("alive: %+v, %v", s, err)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if _, err := unix.Poll(fds, -1); err != nil {
		t.Fatal(err)
	}
	want := Sighting{Life: Zombie, Parent: os.Getpid(), Status: syscall.WaitStatus(syscall.SIGTERM), Source: SourceProcstat}
	if s, err := Witness(fd, p); err != nil || s != want {
		t.Fatalf("zombie: %+v, %v; want %+v", s, err, want)
	}
	_ = cmd.Wait()
	s, err := Witness(fd, p)
	if err != nil || s.Life != Reaped {
		t.Fatalf("reaped: %+v, %v", s, err)
	}
	switch s.Source {
	case "": // a kernel older than 6.15
	case SourcePidfd:
		if s.Status != syscall.WaitStatus(syscall.SIGTERM) {
			t.Fatalf("reaped: status %#x", s.Status)
		}
	default:
		t.Fatalf("reaped: source %q", s.Source)
	}
	if _, err := p.Open(); !errors.Is(err, ErrGone) {
		t.Fatalf("open after the reap: %v", err)
	}
}

func TestValidID(t *testing.T) {
	for id, want := range map[string]bool{
		"web.1": true, "a": true, "A-b_c.9": true, "": false, ".hidden": false, "..": false, "a/b": false, "a b": false,
		"a\x00": false, "a,b": false, "a=1": false, strings.Repeat("a", 128): true, strings.Repeat("a", 129): false,
	} {
		if got := ValidID(id); got != want {
			t.Errorf("ValidID(%q) = %v", id, got)
		}
	}
}

func TestIsRoleRefusesStrangers(t *testing.T) {
	_, p := child(t)
	for _, pid := range []int{os.Getpid(), p.PID, 0, 1 << 30} {
		if IsRole(pid, "/run/reconciler") {
			t.Errorf("pid %d is taken for a guard or reaper", pid)
		}
	}
}
