package pair

import (
	"errors"
	"io/fs"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/subreaper"
	"reconciler.dev/reconciler/pkg/subreaper/internal/raw"
)

// watch is one instance without an exit record, as far as this process knows.
type watch struct {
	id      string
	process subreaper.Process
	fd      int  // pidfd, opened before the process could be mistaken for another
	due     bool // something happened to it
	held    bool // dead, and its record could not be written: the zombie is kept until it can
}

// watch starts to watch a process by its pidfd and looks at it at once.
func (r *routine) watch(id string, p subreaper.Process, fd int) {
	w := &watch{id: id, process: p, fd: fd, due: true}
	// Edge-triggered: it fires at death and at the reap, and a level that stays up would spin.
	if err := r.poll(fd, unix.EPOLLIN|unix.EPOLLET); err != nil {
		r.complain(id, "watch instance %s: %v", id, err)
		r.retry()
	}
	r.watches[id], r.byFD[fd] = w, w
}

func (r *routine) forget(w *watch) {
	delete(r.watches, w.id)
	delete(r.byFD, w.fd)
	delete(r.logged, w.id)
	_ = unix.Close(w.fd) // leaves the epoll set with it: nobody else has this description
}

func (r *routine) settleDue() {
	for _, w := range r.watches {
		if w.due {
			w.due = false
			r.settle(w)
		}
	}
}

// settle closes the matter of w if its process is dead: the record first, and only then the reap. Until it is reaped
// the kernel keeps the status, so a crash or a full disk in between loses nothing.
func (r *routine) settle(w *watch) {
	if raw.Exists(r.run.Exit(w.id)) {
		r.close(w)
		return
	}
	status, dead, err := peek(unix.P_PIDFD, w.fd)
	switch {
	case errors.Is(err, unix.ECHILD):
		r.settleForeign(w)
	case err != nil:
		r.complain(w.id, "waitid %s: %v", w.id, err)
		r.retry()
	case dead:
		r.settleOwn(w, status)
	}
}

func (r *routine) settleOwn(w *watch, status syscall.WaitStatus) {
	err := r.commit(r.run.Exit(w.id), subreaper.Exit{
		Instance: w.id, Process: w.process, Status: status, Source: subreaper.SourceWaitid, FinishedAt: time.Now().UTC(),
	})
	if err != nil && !errors.Is(err, fs.ErrExist) {
		w.held = true
		r.complain(w.id, "the exit of %s cannot be recorded, its zombie is kept: %v", w.id, err)
		r.scanDue = r.scanDue || errors.Is(err, fs.ErrNotExist) // the directory was wiped
		r.retry()
		return
	}
	if w.held {
		r.log("the exit of %s is recorded", w.id)
	}
	r.close(w)
}

// settleForeign is for a process that is not my child. The reaper keeps its pidfd, for the day on which it is the
// guard. The guard asks the witnesses, but leaves to a living reaper what is the reaper's.
func (r *routine) settleForeign(w *watch) {
	seen, err := subreaper.Witness(w.fd, w.process)
	if err != nil {
		r.complain(w.id, "watch %s: %v", w.id, err)
		r.retry()
		return
	}
	exit := subreaper.Exit{
		Instance: w.id, Process: w.process, Status: seen.Status, Source: seen.Source, FinishedAt: time.Now().UTC(),
	}
	switch {
	case seen.Life == subreaper.Alive:
	case seen.Life == subreaper.Zombie && seen.Parent == r.pid:
		w.due = true // it has fallen to me since waitid was asked: waitid knows better
	case seen.Life == subreaper.Zombie && (seen.Parent == r.reaperPID || seen.Source == ""):
		// Fires again when it is reaped, or when the reaper dies. crun's init may still be a child of crun's.
	case r.role == subreaper.RoleReaper:
		if seen.Life == subreaper.Reaped {
			r.retry() // the record is about to be written by the guard, or was and is gone
			if !raw.Exists(r.run.Instance(w.id)) {
				r.forget(w)
			}
		}
	default:
		if exit.Source == "" {
			exit.Source, exit.Reason = subreaper.SourceUnknown, subreaper.ReasonForeignReap
		}
		if r.recordForeign(exit) {
			r.close(w)
		}
	}
}

// close reaps what is recorded, if it is mine, and forgets it.
func (r *routine) close(w *watch) {
	// ECHILD: not mine, or reaped already.
	_ = unix.Waitid(unix.P_PIDFD, w.fd, nil, unix.WEXITED|unix.WNOHANG, nil)
	r.forget(w)
}

// peek looks at a child without reaping it. The error is ECHILD if it is not a child of ours.
func peek(kind, id int) (status syscall.WaitStatus, dead bool, err error) {
	// The part of siginfo_t that waitid(2) fills in; x/sys names only its head.
	var info struct {
		signo, errno, code, _ int32
		pid, uid, status      int32
		_                     [100]byte
	}
	for {
		err = unix.Waitid(kind, id, (*unix.Siginfo)(unsafe.Pointer(&info)), unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil || info.pid == 0 {
		return 0, false, err
	}
	const exited, dumped, coreFlag = 1, 3, 0x80 // CLD_EXITED, CLD_DUMPED; CLD_KILLED is 2
	switch info.code {
	case exited:
		return syscall.WaitStatus(info.status&0xff) << 8, true, nil
	case dumped:
		return syscall.WaitStatus(info.status) | coreFlag, true, nil
	}
	return syscall.WaitStatus(info.status), true, nil
}

func deadChild(pid int) bool {
	_, dead, err := peek(unix.P_PID, pid)
	return err == nil && dead
}
