package runc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
)

// Wait waits until the container's init has ended, reaps it, and returns how it ended, then and whenever it is asked again
// of this Container. It works for one whose init is the caller's child: see SetSubreaper. It deletes nothing.
//
// Init comes first, then what is left: all that it wrote is passed on to its Connections, which are closed, and those that
// Exec started end. Without a pid namespace of its own the container's other processes are killed for that, which they are
// not if there is neither a relay nor such a process: see KillAll.
//
// Errors: if ctx ends first ErrStillRunning, or ErrUndrained beside the status; ErrNotChild if init has ended as somebody
// else's child; ErrNotExist or ErrNotRunning if it is not known which process init was.
func (c *Container) Wait(ctx context.Context) (ExitStatus, error) {
	select {
	case c.wait <- struct{}{}:
		defer func() { <-c.wait }()
	case <-ctx.Done():
		return ExitStatus{}, c.waitError(fmt.Errorf("%w: %w", ErrStillRunning, ctx.Err()))
	}
	var status ExitStatus
	var err error
	if c.exit != nil {
		status = *c.exit
	} else if status, err = c.waitInit(ctx); err == nil {
		c.exit = &status
	} else if !errors.Is(err, ErrNotChild) { // which has ended, too
		return ExitStatus{}, err
	}
	if !c.settled {
		if e := c.settle(ctx); e != nil {
			return status, errors.Join(err, c.waitError(e))
		}
		c.settled = true
	}
	return status, err
}

func (c *Container) waitInit(ctx context.Context) (ExitStatus, error) {
	p := c.init
	if p == (Process{}) {
		var err error
		if p, err = c.Init(ctx); err != nil {
			return ExitStatus{}, err
		}
	}
	status, err := end(ctx, p)
	if err == nil || errors.Is(err, ErrNotChild) {
		known.Delete(p)
	}
	if err != nil {
		return ExitStatus{}, c.waitError(err)
	}
	return status, nil
}

func (c *Container) waitError(err error) error {
	return fmt.Errorf("wait for container %s: %w", c.id, err)
}

// settle sees to what a container leaves when its init has ended: other processes, what was written, those of Exec.
func (c *Container) settle(ctx context.Context) error {
	left := c.execs.all()
	alive := func(x *ExecProcess) bool { return !over(x.ended) }
	if !c.ownsPIDs && (c.relay() != nil || slices.ContainsFunc(left, alive)) {
		if err := c.killLeft(ctx); err != nil {
			return err
		}
	}
	if r := c.relay(); r != nil {
		if err := r.drain(ctx); err != nil {
			return err
		}
	}
	for _, x := range left {
		if _, err := x.Wait(ctx); errors.Is(err, ErrStillRunning) || errors.Is(err, ErrUndrained) {
			return err
		}
	}
	return nil
}

// killLeft kills what holds the streams open. A container that was deleted has nothing left, and its id may be another
// one's by now.
func (c *Container) killLeft(ctx context.Context) error {
	if p, err := c.r.readInit(c.id); err == nil && c.init != (Process{}) && p != c.init || !c.r.has(c.id) {
		return nil
	}
	if err := c.KillAll(ctx, syscall.SIGKILL); err != nil && !errors.Is(err, ErrNotExist) {
		return err
	}
	return nil
}
