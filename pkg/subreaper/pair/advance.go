package pair

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/subreaper"
	"reconciler.dev/reconciler/pkg/subreaper/internal/raw"
)

// advance looks after every launch: has its command ended, is its time over, has its container become mine?
func (r *routine) advance() {
	r.inherit()
	for _, l := range r.launches {
		r.advanceOne(l)
	}
}

func (r *routine) advanceOne(l *launch) {
	if !l.exited {
		status, dead, err := reap(l.command)
		switch {
		case err != nil || dead && status != 0:
			r.fail(l, status, err)
			return
		case !dead:
			r.limit(l)
			return
		}
		l.exited = true
	}
	if l.inherited() {
		r.dropLaunch(l)
		return
	}
	in, fd, err := r.newInstance(l)
	switch {
	case errors.Is(err, errNotYet) && now() < l.deadline:
	case err != nil:
		r.fail(l, 0, err)
	default:
		r.commitLaunch(l, in, fd)
	}
}

// limit kills a command whose time is over.
func (r *routine) limit(l *launch) {
	if now() < l.deadline || l.killed {
		return
	}
	l.killed = true
	// Its leader is not reaped, so the group's id cannot have been given to another one.
	if err := syscall.Kill(-l.command, syscall.SIGKILL); err != nil {
		r.log("kill the command of launch %s, pid %d: %v", l.id, l.command, err)
	}
}

var errNotYet = errors.New("is not a child of the reaper")

// newInstance believes the command's pid file only if it names a child of mine that is nobody's yet.
func (r *routine) newInstance(l *launch) (in subreaper.Instance, fd int, err error) {
	pid, err := readPID(l.pidFile)
	if err != nil {
		return in, -1, err
	}
	fd, err = unix.PidfdOpen(pid, 0)
	if err != nil {
		return in, -1, fmt.Errorf("pid %d of the pid file: %w", pid, err)
	}
	s, err := subreaper.ReadStat(pid)
	if err == nil && s.Parent != r.pid {
		err = fmt.Errorf("pid %d of the pid file %w", pid, errNotYet)
	}
	if err == nil && (r.watchOf(pid) != nil || r.launchOf(pid) != nil) {
		err = fmt.Errorf("pid %d of the pid file is another instance's", pid)
	}
	if err != nil {
		_ = unix.Close(fd)
		return in, -1, err
	}
	process := subreaper.Process{PID: pid, StartTime: s.StartTime, BootID: r.bootID}
	return subreaper.Instance{ID: l.id, Process: process}, fd, nil
}

// commitLaunch makes the instance file, and only then replies.
func (r *routine) commitLaunch(l *launch, in subreaper.Instance, fd int) {
	if err := r.commit(r.run.Instance(l.id), in); err != nil {
		_ = unix.Close(fd)
		r.fail(l, 0, fmt.Errorf("commit: %w", err))
		return
	}
	r.watch(in.ID, in.Process, fd)
	for _, c := range l.waiters {
		r.reply(c, subreaper.Reply{Instance: &in})
	}
	r.dropLaunch(l)
}

// fail ends a launch without an instance. Its .launching file stays: the id is spent, the controller cleans up.
func (r *routine) fail(l *launch, status syscall.WaitStatus, cause error) {
	f := &subreaper.LaunchError{Status: status, TimedOut: l.killed}
	switch {
	case cause != nil:
		f.Message = cause.Error()
	case l.killed:
		f.Message = "the time limit was over, the command was killed"
	default:
		f.Message = "the command ended with " + subreaper.Describe(status)
	}
	r.log("launch %s failed: %s", l.id, f.Message)
	for _, c := range l.waiters {
		r.reply(c, subreaper.Reply{Failed: f})
	}
	r.dropLaunch(l)
}

func (r *routine) dropLaunch(l *launch) {
	delete(r.launches, l.id)
	if l.fd >= 0 {
		_ = unix.Close(l.fd)
	}
}

func (r *routine) launchOf(pid int) *launch {
	for _, l := range r.launches {
		if l.command == pid && !l.exited {
			return l
		}
	}
	return nil
}

// reap waits for a child if it is dead.
func reap(pid int) (status syscall.WaitStatus, dead bool, err error) {
	for {
		got, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil)
		if !errors.Is(err, syscall.EINTR) {
			return status, got == pid, err
		}
	}
}

func readPID(path string) (int, error) {
	var buf [32]byte
	b, err := raw.ReadFile(path, buf[:])
	if err != nil {
		return 0, fmt.Errorf("the command left no pid file: %w", err)
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(b)))
	if err != nil || pid <= 1 {
		return 0, fmt.Errorf("%s holds no pid: %q", path, b)
	}
	return pid, nil
}
