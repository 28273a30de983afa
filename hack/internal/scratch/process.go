package scratch

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrGone says that a process has ended.
var ErrGone = errors.New("the process is gone")

// Process is one process for good: a pid alone may be another's by now.
type Process struct {
	PID   int
	Start uint64 // clock ticks since boot: proc_pid_stat(5), field 22
}

// Find identifies the process that has pid now.
func Find(pid int) (Process, error) {
	s, err := readStat(pid)
	return Process{pid, s.start}, err
}

// Signal sends a signal by pidfd. It is ErrGone if the process had ended before, as a zombie too.
func (p Process) Signal(sig unix.Signal) error {
	fd, err := p.send(sig)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// send signals and returns the pidfd.
func (p Process) send(sig unix.Signal) (pidfd int, err error) {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		return -1, ErrGone
	}
	// The pidfd is open: a pid whose start time fits now is the one that the signal goes to.
	if !p.Alive() || unix.PidfdSendSignal(fd, sig, nil, 0) != nil {
		unix.Close(fd)
		return -1, ErrGone
	}
	return fd, nil
}

// Kill sends SIGKILL by pidfd and waits until the process has ended. It is ErrGone if it had before, as a zombie too.
func (p Process) Kill() error {
	fd, err := p.send(unix.SIGKILL)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 60_000)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return fmt.Errorf("wait for the end of process %d: %w", p.PID, err)
		case n == 0:
			return fmt.Errorf("process %d lives on after SIGKILL", p.PID)
		default:
			return nil
		}
	}
}

// Alive says whether it runs: a zombie does not.
func (p Process) Alive() bool {
	s, err := readStat(p.PID)
	return err == nil && s.start == p.Start && s.state != 'Z'
}

// stat is what proc_pid_stat(5) says.
type stat struct {
	state  byte
	parent int
	start  uint64
}

func readStat(pid int) (stat, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, ErrGone
	}
	// The command's name, in brackets, may hold brackets and blanks: what follows the last one counts.
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 20 {
		return stat{}, fmt.Errorf("/proc/%d/stat: too short: %q", pid, b)
	}
	parent, err1 := strconv.Atoi(string(fields[1]))
	start, err2 := strconv.ParseUint(string(fields[19]), 10, 64)
	return stat{fields[0][0], parent, start}, errors.Join(err1, err2)
}

// Zombies lists the unreaped children of p.
func (p Process) Zombies() []int {
	var zombies []int
	for _, pid := range pids() {
		if s, err := readStat(pid); err == nil && s.parent == p.PID && s.state == 'Z' {
			zombies = append(zombies, pid)
		}
	}
	return zombies
}

// Descriptors lists what its file descriptors are open on.
func (p Process) Descriptors() []string {
	dir := fmt.Sprintf("/proc/%d/fd", p.PID)
	entries, _ := os.ReadDir(dir) // none when it is gone
	var open []string
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil {
			open = append(open, to)
		}
	}
	slices.Sort(open)
	return open
}

// Usage is what a process takes of the machine.
type Usage struct{ Resident, Descriptors, Threads int } // KiB; numbers

// Usage of p; zero when it is gone.
func (p Process) Usage() (u Usage) {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID))
	for line := range strings.Lines(string(b)) {
		_, _ = fmt.Sscanf(line, "VmRSS: %d kB", &u.Resident) // another line is no error
		_, _ = fmt.Sscanf(line, "Threads: %d", &u.Threads)
	}
	u.Descriptors = len(p.Descriptors())
	return u
}

// pids lists all processes.
func pids() []int {
	entries, _ := os.ReadDir("/proc")
	var all []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			all = append(all, pid)
		}
	}
	return all
}

// argv of a process; nil when it is a zombie or gone.
func argv(pid int) []string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if len(b) == 0 {
		return nil
	}
	return strings.Split(strings.TrimRight(string(b), "\x00"), "\x00")
}

// Role lists the processes of this world's pair that say they have the role, guard or reaper.
func (w *World) Role(role string) []Process {
	var found []Process
	for _, pid := range pids() {
		args := argv(pid)
		if len(args) < 2 || args[1] != role || !w.owns(args) {
			continue
		}
		if p, err := Find(pid); err == nil {
			found = append(found, p)
		}
	}
	return found
}

// owns says whether a command line names this world's run directory, as each process of the pair does.
func (w *World) owns(args []string) bool {
	i := slices.Index(args, "--run")
	return i >= 0 && i+1 < len(args) && args[i+1] == w.Run || slices.Contains(args, "--run="+w.Run)
}

// Pair is a guard and the reaper below it.
type Pair struct{ Guard, Reaper Process }

// Pair is the pair if it is whole: one guard, one reaper that is its child and watches each living instance. Only then
// is the loss of one of them a first loss.
func (w *World) Pair() (Pair, error) {
	guards, reapers := w.Role("guard"), w.Role("reaper")
	if len(guards) != 1 || len(reapers) != 1 {
		return Pair{}, fmt.Errorf("%d guards and %d reapers", len(guards), len(reapers))
	}
	pair := Pair{guards[0], reapers[0]}
	if s, err := readStat(pair.Reaper.PID); err != nil || s.parent != pair.Guard.PID {
		return pair, errors.New("the reaper is not the guard's child")
	}
	for _, p := range []Process{pair.Guard, pair.Reaper} {
		var watched int
		for _, fd := range p.Descriptors() {
			if strings.HasPrefix(fd, "pidfd:") || fd == "anon_inode:[pidfd]" {
				watched++
			}
		}
		if living := w.unrecorded(); watched < living+1 { // and each watches the other
			return pair, fmt.Errorf("process %d watches %d of %d", p.PID, watched, living+1)
		}
	}
	return pair, nil
}

// unrecorded counts the instances that have an instance file and no exit record.
func (w *World) unrecorded() int {
	files, _ := filepath.Glob(filepath.Join(w.Run, "instances", "*.json"))
	var n int
	for _, f := range files {
		if _, err := os.Stat(filepath.Join(w.Run, "exits", filepath.Base(f))); err != nil {
			n++
		}
	}
	return n
}
