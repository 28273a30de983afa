package runc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// ExecProcess is a process that Exec started. It is safe for concurrent use.
type ExecProcess struct {
	streams
	c       *Container
	process Process
	h       handle

	ended chan struct{} // closed when it is reaped and status or err are known
	done  chan struct{} // closed when its streams are, too

	status ExitStatus
	err    error
}

// execs are the processes of a container whose end was not asked for yet.
type execs struct {
	mu  sync.Mutex
	set map[*ExecProcess]struct{}
}

func (e *execs) add(c *Container, p Process, h handle, s streams) *ExecProcess {
	x := &ExecProcess{streams: s, c: c, process: p, h: h, ended: make(chan struct{}), done: make(chan struct{})}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.set == nil {
		e.set = map[*ExecProcess]struct{}{}
	}
	e.set[x] = struct{}{}
	if r := x.relay(); r != nil {
		r.Start()
	}
	go x.follow()
	return x
}

func (e *execs) remove(x *ExecProcess) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.set, x)
}

func (e *execs) all() (all []*ExecProcess) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for x := range e.set {
		all = append(all, x)
	}
	return all
}

// follow sees the process to its end: reap, pass on what it wrote, close.
func (x *ExecProcess) follow() {
	defer close(x.done)
	defer x.c.execs.remove(x)
	x.err = x.h.death(context.Background())
	if x.err == nil {
		x.status, x.err = x.h.reap()
	}
	x.h.Close()
	known.Delete(x.process)
	close(x.ended)
	if r := x.relay(); r != nil {
		r.finish()
		r.drain(context.Background()) // ends: at the latest when a reader that has stopped reading is closed
	}
}

// PID returns its pid.
func (x *ExecProcess) PID() int { return x.process.PID }

// Process returns its identity.
func (x *ExecProcess) Process() Process { return x.process }

// Wait waits until the process has ended and what it wrote is passed on, and returns how it ended, then and whenever it
// is asked again. What children that it left behind write later is not waited for: the streams are closed.
//
// Errors: if ctx ends first ErrStillRunning, or ErrUndrained beside the status; ErrNotChild if it ended as somebody
// else's child.
func (x *ExecProcess) Wait(ctx context.Context) (ExitStatus, error) {
	select {
	case <-x.done:
	case <-ctx.Done():
		if !over(x.done) {
			return x.unfinished(ctx.Err())
		}
	}
	return x.status, x.error(x.err)
}

func (x *ExecProcess) unfinished(err error) (ExitStatus, error) {
	switch {
	case !over(x.ended):
		return ExitStatus{}, x.error(fmt.Errorf("%w: %w", ErrStillRunning, err))
	case x.err != nil:
		return ExitStatus{}, x.error(x.err)
	}
	return x.status, x.error(fmt.Errorf("%w: %w", ErrUndrained, err))
}

func over(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Kill sends the process a signal. Errors: ErrInvalidSignal, ErrNotRunning once it has ended. In a paused container it
// arrives when that is resumed.
//
// Exec returns an instant before the program is there. Until then a signal meets the runtime's own code in the process,
// and runc's ignores what Go does, such as SIGUSR1. SIGKILL always ends it.
func (x *ExecProcess) Kill(sig syscall.Signal) error {
	if err := validateSignal(sig); err != nil {
		return err
	}
	var err error
	closed := x.h.control(func(fd uintptr) { err = unix.PidfdSendSignal(int(fd), sig, nil, 0) })
	if closed != nil || errors.Is(err, unix.ESRCH) {
		return x.error(ErrNotRunning)
	}
	return x.error(err)
}

// Delete forgets the process, and removes the one file that is about it: nothing of the container. The error is
// ErrNotStopped while it has not ended.
func (x *ExecProcess) Delete() error {
	if !over(x.ended) {
		return x.error(ErrNotStopped)
	}
	return x.error(removeFile(x.c.r.execFile(x.c.id, x.process)))
}

func (x *ExecProcess) error(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("process %d of container %s: %w", x.process.PID, x.c.id, err)
}
