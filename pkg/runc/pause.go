package runc

import "context"

// Pause freezes the container's processes until Resume. Errors: ErrNotExist, ErrPaused if it is paused already,
// ErrNotRunning if it is created or stopped.
//
// The state is looked at first: crun 1.8.1 reports success in every one but stopped. It does freeze a created container,
// whose state stays "created" and which can be started, to stay frozen; so no runtime is asked to do that.
func (c *Container) Pause(ctx context.Context) error {
	s, err := c.State(ctx)
	switch {
	case err != nil:
		return err
	case s.Status == Paused:
		return c.refuse("pause", s, ErrPaused)
	case s.Status != Running:
		return c.refuse("pause", s, ErrNotRunning)
	}
	_, err = c.r.call(ctx, "pause", c.id, c.id)
	return err
}

// Resume lets a paused container's processes run on. Errors: ErrNotExist, ErrNotPaused.
func (c *Container) Resume(ctx context.Context) error {
	s, err := c.State(ctx)
	if err != nil {
		return err
	}
	if s.Status != Paused { // crun 1.8.1 calls it a success
		return c.refuse("resume", s, ErrNotPaused)
	}
	_, err = c.r.call(ctx, "resume", c.id, c.id)
	return err
}

// refuse says that the container's state forbids a verb which the runtime was not called for.
func (c *Container) refuse(verb string, s State, err error) error {
	return c.r.command(verb, c.id, "").error("it is "+string(s.Status), err)
}
