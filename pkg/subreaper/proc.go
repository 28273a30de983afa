package subreaper

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/subreaper/internal/raw"
)

// BootID returns the kernel's random id of this boot.
func BootID() (string, error) { return bootID() }

var bootID = sync.OnceValues(func() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("boot id: %w", err)
	}
	return string(bytes.TrimSpace(b)), nil
})

// Stat is what /proc/<pid>/stat tells of a process.
type Stat struct {
	State     byte // R, S, D, Z ...
	Parent    int
	StartTime uint64             // clock ticks since boot
	Status    syscall.WaitStatus // raw wait status of a zombie, shown to root only; else 0
	Forked    bool               // between fork and exec: it still shows its parent's command line
}

// Fields of proc_pid_stat(5), counted from the state, which is field 3 there.
const (
	fieldState     = 0
	fieldParent    = 1
	fieldFlags     = 6
	fieldStartTime = 19
	fieldStatus    = 49

	flagForkNoExec = 0x40 // PF_FORKNOEXEC, include/linux/sched.h
)

// ParseStat parses /proc/<pid>/stat. The name in it is the process's own choice and may hold blanks, parentheses and
// newlines, so fields are counted from the LAST ") ".
func ParseStat(b []byte) (Stat, error) {
	i := bytes.LastIndex(b, []byte(") "))
	if i < 0 {
		return Stat{}, fmt.Errorf("stat %q: no name in it", b)
	}
	var s Stat
	n := 0
	for f := range bytes.FieldsSeq(b[i+2:]) {
		if err := s.set(n, string(f)); err != nil {
			return Stat{}, fmt.Errorf("stat %q: field %d: %w", b, n+3, err)
		}
		n++
	}
	if n <= fieldStatus {
		return Stat{}, fmt.Errorf("stat %q: only %d fields behind the name", b, n)
	}
	return s, nil
}

func (s *Stat) set(field int, value string) (err error) {
	switch field {
	case fieldState:
		if len(value) != 1 {
			err = errors.New("not a letter")
		}
		s.State = value[0]
	case fieldParent:
		s.Parent, err = strconv.Atoi(value)
	case fieldFlags:
		var flags uint64
		flags, err = strconv.ParseUint(value, 10, 64)
		s.Forked = flags&flagForkNoExec != 0
	case fieldStartTime:
		s.StartTime, err = strconv.ParseUint(value, 10, 64)
	case fieldStatus:
		var status uint64
		status, err = strconv.ParseUint(value, 10, 32)
		s.Status = syscall.WaitStatus(status)
	}
	return err
}

// ReadStat reads /proc/<pid>/stat. The error is ErrGone if there is no such process.
func ReadStat(pid int) (Stat, error) {
	var buf [1024]byte // the kernel's numbers and a name of 64 bytes at most take less
	b, err := raw.ReadFile("/proc/"+strconv.Itoa(pid)+"/stat", buf[:])
	// ESRCH: it was reaped between open and read.
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return Stat{}, fmt.Errorf("pid %d: %w", pid, ErrGone)
	}
	if err != nil {
		return Stat{}, err
	}
	return ParseStat(b)
}

// Open returns a pidfd of the process, which the caller closes. It is opened first and compared after: a pid that was
// reused in between shows another start time. The error is ErrGone if the process has been reaped.
func (p Process) Open() (pidfd int, err error) {
	boot, err := BootID()
	if err != nil {
		return -1, err
	}
	if p.BootID != boot {
		return -1, fmt.Errorf("pid %d of another boot: %w", p.PID, ErrGone)
	}
	fd, err := unix.PidfdOpen(p.PID, 0)
	switch {
	// EINVAL, on newer kernels ENOENT: the pid is a thread's by now, or never was one.
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT):
		return -1, fmt.Errorf("pid %d: %w", p.PID, ErrGone)
	case err != nil:
		return -1, fmt.Errorf("pidfd_open %d: %w", p.PID, err)
	}
	s, err := ReadStat(p.PID)
	if err == nil && s.StartTime != p.StartTime {
		err = fmt.Errorf("pid %d is another process by now: %w", p.PID, ErrGone)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// Signal sends sig by a verified pidfd, so never to a process that took over the pid. A zombie takes signals without
// effect; the error is ErrGone once it has been reaped.
func (p Process) Signal(sig syscall.Signal) error {
	fd, err := p.Open()
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	err = unix.PidfdSendSignal(fd, sig, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("pid %d: %w", p.PID, ErrGone)
	}
	return err
}

// IsRole reports whether pid is a living guard or reaper of this run directory.
func IsRole(pid int, run RunDir) bool {
	args, ok := roleArgs(pid)
	if !ok || args[1] != RoleGuard && args[1] != RoleReaper {
		return false
	}
	i := slices.Index(args, "--run")
	return i > 0 && i+1 < len(args) && filepath.Clean(args[i+1]) == filepath.Clean(string(run))
}

// roleArgs returns the command line of a living process that has one of at least two words.
func roleArgs(pid int) ([]string, bool) {
	// While the kernel sets up a new image the command line is empty, for longer on a busy machine, so some looks are
	// owed to a process that lives. One that was forked and has not called execve shows its parent's, not its own.
	const looks = 100
	var buf [4096]byte // more than the part of a role's command line that is looked at
	for range looks {
		s, err := ReadStat(pid)
		if err != nil || s.State == 'Z' || s.State == 'X' || s.Forked {
			return nil, false
		}
		b, err := raw.ReadFile("/proc/"+strconv.Itoa(pid)+"/cmdline", buf[:])
		if err != nil {
			return nil, false
		}
		if len(b) > 0 {
			args := strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
			return args, len(args) > 1
		}
		time.Sleep(time.Millisecond)
	}
	return nil, false
}
