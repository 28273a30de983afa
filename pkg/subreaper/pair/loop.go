package pair

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/subreaper"
)

// floor is how often the directories are scanned without a cause: that another file system was mounted over one, or that
// one above was moved away, is told by no event.
const floor = 5 * time.Second

// retryPause is how long a failed effect (no room on disk, no memory for a fork) waits for another try of everything.
const retryPause = 250 * time.Millisecond

// loop runs until the pair has nothing to hold and was asked to end.
func (r *routine) loop() error {
	events := make([]unix.EpollEvent, 64)
	for {
		if r.pass() {
			return nil
		}
		n, err := r.wait(events)
		if err != nil {
			return err
		}
		r.untidy += min(n, 1)
		for _, e := range events[:n] {
			r.note(int(e.Fd), e.Events)
		}
	}
}

// pass looks at all that is due until nothing is; done ends the program. It is idempotent: an event seen twice, or
// for something settled meanwhile, costs a system call.
func (r *routine) pass() (done bool) {
	if r.lookAt != 0 && now() >= r.lookAt {
		r.lookAtAll()
	}
	r.scanDue = r.scanDue || now() >= r.seenAt+floor
	for again := true; again; again = r.due() {
		// The order matters: a zombie is taken for a stranger only after every launch that ended is committed and
		// every instance file is known.
		r.advance()
		r.scan()
		r.settleDue()
		r.reapOthers()
	}
	if r.role == subreaper.RoleGuard {
		return r.guardStep()
	}
	return r.reaperStep()
}

// lookAtAll makes everything due, as at the start: after the death of the other one, and when a retry is due.
func (r *routine) lookAtAll() {
	r.lookAt = 0
	r.scanDue, r.childrenDue, r.acceptDue, r.heirDue = true, true, true, true
	for _, w := range r.watches {
		w.due = true
	}
}

func (r *routine) due() bool {
	if r.scanDue || r.childrenDue {
		return true
	}
	for _, w := range r.watches {
		if w.due {
			return true
		}
	}
	return false
}

// retry has everything looked at again after a pause.
func (r *routine) retry() { r.lookIn(retryPause) }

func (r *routine) lookIn(pause time.Duration) {
	if at := now() + pause; r.lookAt == 0 || at < r.lookAt {
		r.lookAt = at
	}
}

// note turns one event into what is due.
func (r *routine) note(fd int, events uint32) {
	switch fd {
	case r.signals.fd:
		r.signals.drain()
		r.childrenDue = r.signals.child.Swap(false) || r.childrenDue
	case r.inotify:
		r.scanDue = r.filesChanged() || r.scanDue
	case r.listener:
		r.acceptDue = true
	case r.guardFD:
		r.guardDied = true
	case r.reaperFD:
		r.childrenDue = true
	default:
		// A descriptor closed in this very batch may have been given out again: at worst somebody looks in vain.
		if w := r.byFD[fd]; w != nil {
			w.due = true
		}
		if c := r.conns[fd]; c != nil {
			r.receive(c, events)
		}
		// Else it is the pidfd of a launch: each pass asks after all of them.
	}
}

// wait blocks until something happens or is due.
func (r *routine) wait(events []unix.EpollEvent) (int, error) {
	if r.untidy == 0 {
		return r.epollWait(events, r.timeout())
	}
	const (
		calm = 20 * time.Millisecond // a death and the launch that answers it are closer together than this
		most = 8                     // wake-ups of a busy time
	)
	n, err := 0, error(nil)
	if r.untidy < most {
		n, err = r.epollWait(events, min(r.timeout(), calm))
	}
	if n == 0 && err == nil {
		// Go gives memory back late, and a memory limit made a collector of this size thrash. It takes a millisecond or
		// two on a busy machine, so not while somebody waits for a launch.
		debug.FreeOSMemory()
		r.untidy = 0
	}
	return n, err
}

// timeout is how long nothing is due by itself.
func (r *routine) timeout() time.Duration { return max(0, r.nextWake()-now()) }

func (r *routine) epollWait(events []unix.EpollEvent, timeout time.Duration) (int, error) {
	ms := int((timeout + time.Millisecond - 1) / time.Millisecond) // rounded up, else it spins for the last part
	n, err := unix.EpollWait(r.epoll, events, ms)
	if errors.Is(err, unix.EINTR) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("epoll wait: %w", err)
	}
	return n, nil
}

// nextWake is the earliest time at which something is due by itself.
func (r *routine) nextWake() time.Duration {
	at := r.seenAt + floor
	if r.lookAt != 0 {
		at = min(at, r.lookAt)
	}
	for _, l := range r.launches {
		if t := l.wakeAt(); t != 0 {
			at = min(at, t)
		}
	}
	return at
}

// filesChanged drains inotify and reports whether a file that counts was among the events. The files that this
// program writes aside, and .launching, do not.
func (r *routine) filesChanged() bool {
	changed := false
	var buf [4096]byte
	for {
		n, err := unix.Read(r.inotify, buf[:])
		if n <= 0 || err != nil {
			return changed
		}
		for b := buf[:n]; len(b) >= unix.SizeofInotifyEvent; {
			length := int(b[12]) | int(b[13])<<8 | int(b[14])<<16 | int(b[15])<<24 // inotify_event.len
			name := strings.TrimRight(string(b[unix.SizeofInotifyEvent:unix.SizeofInotifyEvent+length]), "\x00")
			b = b[unix.SizeofInotifyEvent+length:]
			// No name: the directory itself went away, or the queue overflowed.
			changed = changed || name == "" || name[0] != '.' && !strings.HasSuffix(name, ".launching")
		}
	}
}

// now is CLOCK_MONOTONIC: it means the same to every image and process of this boot, and nobody can step it.
func now() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // cannot fail: the clock exists and the pointer is good
	return time.Duration(t.Nano())
}
