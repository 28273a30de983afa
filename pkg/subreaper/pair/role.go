package pair

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/subreaper"
	"reconciler.dev/reconciler/pkg/subreaper/internal/raw"
)

var errLocked = errors.New("another pair holds the lock")

// takeRole does what only one of the roles needs at its start.
func (r *routine) takeRole() error {
	if err := r.closeStrays(); err != nil {
		return err
	}
	var err error
	if r.null, err = unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
		return &os.PathError{Op: "open", Path: os.DevNull, Err: err}
	}
	if err := r.takeLock(); err != nil {
		return err
	}
	if r.role == subreaper.RoleGuard {
		r.log("guard of %s", r.run)
		r.keepReaper()
		return nil
	}
	return errors.Join(r.watchGuard(), r.pollListener())
}

// watchGuard opens a pidfd of the guard first and looks at the parent after: a guard that died before has left us to
// somebody else, and one that dies later makes the pidfd readable. PDEATHSIG cannot do this: it fires when the forking
// thread ends, and is lost by an execve.
func (r *routine) watchGuard() error {
	fd, err := unix.PidfdOpen(r.guard, 0)
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("watch guard %d: %w", r.guard, err) // not to be mistaken for its death: two guards
	}
	if err != nil || os.Getppid() != r.guard {
		r.guardDied = true
		return nil
	}
	r.guardFD = fd
	return r.poll(fd, unix.EPOLLIN|unix.EPOLLET)
}

// closeStrays closes what the caller left open by mistake, which containers would inherit, and makes the rest of the
// inherited descriptors ours alone: a runtime that inherited the lock would hold it for as long as it lives. What this
// image has opened itself is close-on-exec, so the flag tells one from the other.
func (r *routine) closeStrays() error {
	mine := map[int]bool{0: true, 1: true, 2: true, r.lock: true, r.listener: true, r.inotify: true, r.spare: true}
	for _, fd := range r.held {
		mine[fd] = true
	}
	for name, err := range raw.Names("/proc/self/fd") {
		if err != nil {
			return err
		}
		fd, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		switch {
		case err != nil || flags&unix.FD_CLOEXEC != 0: // gone: it was that of the listing
		case !mine[fd]:
			_ = unix.Close(fd)
		case fd > 2:
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

// takeLock takes the lock, or makes sure that the inherited one is held: it is of the description that all copies of
// the descriptor share, so asking again costs nothing.
func (r *routine) takeLock() error {
	if r.lock < 0 {
		if err := os.MkdirAll(r.state, 0o700); err != nil {
			return err
		}
		path := subreaper.LockPath(r.state)
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return &os.PathError{Op: "open", Path: path, Err: err}
		}
		r.lock = fd
	}
	err := unix.Flock(r.lock, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("%s: %w", subreaper.LockPath(r.state), errLocked)
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", subreaper.LockPath(r.state), err)
	}
	return nil
}

// pollListener has the reaper told of connections; the guard only keeps the listener for the next reaper.
func (r *routine) pollListener() error {
	if r.role != subreaper.RoleReaper {
		return nil
	}
	r.acceptDue = true
	return r.poll(r.listener, unix.EPOLLIN|unix.EPOLLET)
}

// idle reports whether ending loses nothing.
func (r *routine) idle() bool { return len(r.watches) == 0 && len(r.launches) == 0 }

// reaperStep serves clients and changes the role or the image when that is due. A change of role comes first, and what
// an upgrade wanted is done by it or forgotten: two execves in a row, one of them of a role that is over, made twins.
func (r *routine) reaperStep() (done bool) {
	if r.guardDied {
		r.log("guard %d is dead: becoming the guard", r.guard)
		next := r.args
		next.role, next.reaper, next.upgraded = subreaper.RoleGuard, 0, false
		r.exec("/proc/self/exe", next) // the file that is known to work, also if its path was replaced
		return false
	}
	if r.signals.hangup.Swap(false) {
		r.upgradeDue = true
	}
	if r.upgradeDue && len(r.launches) == 0 {
		r.upgradeDue = false
		r.exec(r.program, r.args)
		r.acceptDue = true
	}
	if r.signals.terminate.Swap(false) {
		if r.idle() {
			return true
		}
		r.log("asked to end, but %d instances and %d launches are held", len(r.watches), len(r.launches))
	}
	r.accept()
	return false
}

// guardStep ends the pair or replaces the image if asked to, and else sees to it that there is a reaper.
func (r *routine) guardStep() (done bool) {
	if r.signals.terminate.Swap(false) {
		switch {
		case !r.idle():
			r.log("asked to end, but %d instances and %d launches are held", len(r.watches), len(r.launches))
		case r.reaperPID == 0:
			r.ending = true
		default:
			// It ends with status 0 if it holds nothing either. Not reaped, so the pid is its own.
			_ = syscall.Kill(r.reaperPID, syscall.SIGTERM)
		}
	}
	if r.ending && r.idle() {
		_ = removed(r.run.Socket())
		r.log("nothing is held: ending")
		return true
	}
	r.ending = false
	if r.signals.hangup.Swap(false) {
		next := r.args
		next.reaper, next.upgraded = r.reaperPID, true
		r.exec(r.program, next)
	}
	if r.reaperPID == 0 {
		r.startReaper()
	}
	return false
}

// keepReaper takes over the reaper that an image of mine before this one started: the lock keeps out strangers, not a
// twin of our own. A child that has not been reaped keeps its pid, so the number is proof enough.
func (r *routine) keepReaper() {
	if r.reaper == 0 {
		return
	}
	if _, _, err := peek(unix.P_PID, r.reaper); err != nil {
		r.log("reaper %d is not ours: %v", r.reaper, err)
		return
	}
	r.setReaper(r.reaper)
	if r.upgraded {
		// Passed on by the new image, which is known to work by now, and not by the old one.
		_ = syscall.Kill(r.reaper, syscall.SIGHUP)
	}
}

// startReaper starts a reaper from the file that this process runs.
func (r *routine) startReaper() {
	const apart = 20 * time.Millisecond // bounds the rate of starts if reapers die as they get up
	if pause := r.reaperAt + apart - now(); pause > 0 {
		r.lookIn(pause)
		return
	}
	r.reaperAt = now()
	if err := r.keepListener(); err != nil {
		r.log("listener: %v", err)
		r.retry()
		return
	}
	const lock, listener, inotify, spare = 3, 4, 5, 6 // places in Files
	next := r.args
	next.role, next.guard, next.lock, next.listener = subreaper.RoleReaper, r.pid, lock, listener
	next.inotify, next.spare, next.held = inotify, spare, nil
	pid, err := syscall.ForkExec("/proc/self/exe", next.argv(), &syscall.ProcAttr{
		Dir: "/", Env: os.Environ(),
		Files: []uintptr{
			uintptr(r.null), uintptr(r.null), 2,
			uintptr(r.lock), uintptr(r.listener), uintptr(r.spare), uintptr(r.inotify),
		},
	})
	if err != nil {
		r.log("start a reaper: %v", err)
		r.retry()
		return
	}
	r.setReaper(pid)
	r.log("started reaper %d", pid)
}

func (r *routine) setReaper(pid int) {
	r.reaperPID = pid
	fd, err := unix.PidfdOpen(pid, 0)
	if err == nil {
		r.reaperFD = fd
		err = r.poll(fd, unix.EPOLLIN|unix.EPOLLET)
	}
	if err != nil {
		r.log("watch reaper %d, SIGCHLD must do: %v", pid, err)
	}
}

// reaperDied takes over what the reaper held: its children are mine by now.
func (r *routine) reaperDied() {
	status, _, _ := reap(r.reaperPID)
	r.ending = status == 0 // it was asked to end and held nothing
	r.log("reaper %d ended with %s", r.reaperPID, subreaper.Describe(status))
	if r.reaperFD >= 0 {
		_ = unix.Close(r.reaperFD)
	}
	r.reaperPID, r.reaperFD = 0, -1
	r.lookAtAll()
}

// exec replaces this process's image: pid, children, zombies, lock, listener and the pidfds of other people's children
// stay. It returns only if that failed; then all is as before.
func (r *routine) exec(path string, next args) {
	next.lock, next.listener, next.inotify, next.spare = r.lock, r.listener, r.inotify, r.spare
	next.held = r.foreign()
	keep := []int{r.lock, r.listener, r.inotify, r.spare}
	for _, fd := range next.held {
		keep = append(keep, fd)
	}
	r.signals.ignoreHangup()
	syscall.ForkLock.Lock()
	for _, fd := range keep {
		_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0)
	}
	err := syscall.Exec(path, next.argv(), os.Environ())
	for _, fd := range keep {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.Unlock()
	r.signals.catchHangup()
	r.log("execve %s as %s, going on as before: %v", path, next.role, err)
	r.retry()
}

// foreign returns the pidfds of watched processes that are not my children. They must be handed on: once a stranger
// has reaped such a process its pid cannot be opened any more, but the pidfd still tells how it ended.
func (r *routine) foreign() map[string]int {
	held := map[string]int{}
	for id, w := range r.watches {
		if _, _, err := peek(unix.P_PIDFD, w.fd); errors.Is(err, unix.ECHILD) {
			held[id] = w.fd
		}
	}
	return held
}
