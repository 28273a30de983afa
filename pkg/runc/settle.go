package runc

import (
	"context"
	"errors"
	"slices"
	"syscall"
)

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
