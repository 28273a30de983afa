package runc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Process identifies a process for good: pids are used again, a pid with its start time is not within one boot.
type Process struct {
	PID       int    `json:"pid"`
	StartTime uint64 `json:"startTime"` // clock ticks since boot: proc_pid_stat(5), field 22
}

// ProcessInfo is a process of a container.
type ProcessInfo struct {
	Process
	Zombie    bool
	Command   []string // see CommandLine
	ByRuntime bool     // made by Create or Exec, and by none of the container's own
}

// SetSubreaper makes the calling process the parent of every orphan below it, containers' inits included: Container.Wait
// needs that. It holds until the process ends, over execve too, but not for its children.
//
// From then on orphans that nobody asked for arrive as well, such as processes of a container without a pid namespace of
// its own, and of a runtime killed at its time limit; it is for the caller to reap them. It must never do so with
// wait4(-1): that takes exit statuses from os/exec, whose Wait then fails with "no child processes", this package's calls
// included. Reap by pid, from /proc/self/task/*/children, what was not started here; while a Create or Exec is under way
// that may be what it is about to return.
func SetSubreaper() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become a subreaper: %w", err)
	}
	return nil
}

// CommandLine returns the arguments of a process, at most 128 KiB of them: none for a zombie, a kernel thread, and a
// process in the middle of execve. Between fork and execve they are still its parent's. The process itself chooses what
// stands there. The error is fs.ErrNotExist or ESRCH if there is no such process.
func CommandLine(pid int) ([]string, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	const most = 128 << 10
	b, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil || len(b) == 0 {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00"), nil
}

// vanished reports whether an error of reading /proc/<pid> says that the process is gone: ENOENT before the file was
// opened, ESRCH after.
func vanished(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) }

func identify(pid int) (Process, error) {
	s, err := readStat(pid)
	return Process{PID: pid, StartTime: s.start}, err
}

// inspect reads the start time before and after the command line, so that this is not of the pid's next owner.
func inspect(pid int) (ProcessInfo, error) {
	before, err := readStat(pid)
	if err != nil {
		return ProcessInfo{}, err
	}
	command, err := CommandLine(pid)
	if err != nil {
		return ProcessInfo{}, err
	}
	after, err := readStat(pid)
	if err != nil {
		return ProcessInfo{}, err
	}
	if before.start != after.start {
		return ProcessInfo{}, syscall.ESRCH
	}
	return ProcessInfo{Process: Process{pid, after.start}, Zombie: after.state == 'Z', Command: command}, nil
}

type stat struct {
	state byte
	start uint64
}

func readStat(pid int) (stat, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(b)
}

// parseStat counts fields from the last ")": the process names itself, with blanks and parentheses if it likes.
func parseStat(b []byte) (stat, error) {
	const state, start = 0, 19 // fields 3 and 22 of proc_pid_stat(5)
	_, after, _ := bytes.Cut(b[max(0, bytes.LastIndexByte(b, ')')):], []byte(" "))
	f := strings.Fields(string(after))
	if len(f) <= start || len(f[state]) != 1 {
		return stat{}, fmt.Errorf("stat of a process: %q", b)
	}
	ticks, err := strconv.ParseUint(f[start], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("stat of a process: start time: %w", err)
	}
	return stat{state: f[state][0], start: ticks}, nil
}
