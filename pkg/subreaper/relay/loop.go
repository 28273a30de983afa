package relay

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// A container that writes little at a time is left alone for a while after each pass, for a longer one each time: many
	// small passes cost more than all the bytes in them. A full FIFO, 64 KiB of it, ends that.
	shortest = time.Millisecond
	longest  = 16 * time.Millisecond
	little   = 8 << 10 // bytes

	// calm is how long nothing happens, in milliseconds, before memory is given back; in a busy time it is after so many
	// outputs that began or ended.
	calm       = 20
	mostUntidy = 50

	// retryPause is how long a pass that failed, for want of room as a rule, waits for another try.
	retryPause = 250 * time.Millisecond
)

// step passes every output that is due, once, and then takes in what has happened. If it may block it waits for that.
func (r *relay) step(block bool) error {
	if r.scanDue || r.scanAt != 0 && monotonic() >= r.scanAt {
		r.scan()
	}
	if r.lookDue {
		r.lookAtAll()
	}
	r.wake()
	due := len(r.ready)
	for _, o := range r.ready {
		o.place = quiet
		r.serve(o)
	}
	// Those that serve put back stand behind those it was called for.
	r.ready = slices.Delete(r.ready, 0, due)
	return r.wait(block)
}

// serve makes one pass of an output and decides when the next one is due.
func (r *relay) serve(o *output) {
	taken, over, err := r.pass(o)
	switch {
	case err != nil:
		r.complain(o.label, err)
		r.leave(o, monotonic()+retryPause)
	case over:
		r.finish(o)
	case o.ending, taken >= little:
		delete(r.failures, o.label)
		o.interval = 0
		r.enqueue(o)
	case taken > 0:
		o.interval = min(max(shortest, 2*o.interval), longest)
		// All that wait wake at multiples of their interval, and so together.
		r.leave(o, (monotonic()/o.interval+1)*o.interval)
	default:
		r.arm(o)
	}
}

// enqueue has an output passed at the next step.
func (r *relay) enqueue(o *output) {
	if o.place == quiet {
		o.place = ready
		r.ready = append(r.ready, o)
	}
}

// leave has an output left alone until a time.
func (r *relay) leave(o *output, until time.Duration) {
	o.place, o.wakeAt = waiting, until
	r.waiting = append(r.waiting, o)
}

// wake makes ready those whose time has come.
func (r *relay) wake() {
	if len(r.waiting) == 0 {
		return
	}
	now := monotonic()
	r.waiting = slices.DeleteFunc(r.waiting, func(o *output) bool {
		if o.wakeAt > now {
			return false
		}
		o.place = quiet
		r.enqueue(o)
		return true
	})
}

// arm has epoll tell, once, when there is something in a FIFO. It is level-triggered: what is there already counts,
// else a FIFO that one write filled would never be told of.
func (r *relay) arm(o *output) {
	delete(r.failures, o.label)
	for i := range o.streams {
		s := &o.streams[i]
		if s.armed {
			continue
		}
		e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT, Fd: int32(s.fifo)}
		if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_MOD, s.fifo, &e); err != nil {
			r.complain(o.label, fmt.Errorf("wait for its output: %w", err))
			r.leave(o, monotonic()+retryPause)
			return
		}
		s.armed = true
	}
}

// wait takes in what has happened, or waits for something to happen or to be due.
func (r *relay) wait(block bool) error {
	timeout := r.timeout(block)
	if r.untidy > 0 && (timeout < 0 || timeout > calm) {
		timeout = calm
	}
	n, err := unix.EpollWait(r.epoll, r.events[:], timeout)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("epoll: %w", err)
	}
	if r.untidy > 0 && n == 0 && block || r.untidy >= mostUntidy {
		// Go gives memory back late, and what was needed to begin and end outputs is not needed again soon.
		debug.FreeOSMemory()
		r.untidy = 0
	}
	for _, e := range r.events[:max(n, 0)] {
		if int(e.Fd) == r.inotify {
			r.filesChanged()
			continue
		}
		if s := r.byFD[int(e.Fd)]; s != nil {
			s.armed = false
			r.enqueue(s.of)
		}
	}
	return nil
}

// timeout is how long nothing is due by itself, in milliseconds; -1 for ever.
func (r *relay) timeout(block bool) int {
	if !block || len(r.ready) > 0 || r.scanDue || r.lookDue {
		return 0
	}
	at := r.scanAt
	for _, o := range r.waiting {
		if at == 0 || o.wakeAt < at {
			at = o.wakeAt
		}
	}
	if at == 0 {
		return -1
	}
	return int((max(0, at-monotonic()) + time.Millisecond - 1) / time.Millisecond) // up, else it spins for the last part
}

// monotonic is a clock that nobody can step.
func monotonic() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // cannot fail: the clock exists and the pointer is good
	return time.Duration(t.Nano())
}
