package subreaper

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Config says which pair a Client talks to and keeps alive.
type Config struct {
	Run    RunDir // absolute
	State  string // state directory, absolute
	Binary string // of the subreaper; empty: beside the running executable, else in PATH

	// Log takes a constant message and pairs of key and value; nil drops them.
	Log func(message string, keysAndValues ...any)
}

// Client is the controller's side of the pair. Its methods may be called at the same time.
type Client struct {
	config Config

	mu     sync.Mutex
	guards []int  // pids of guards started by us and not yet waited for
	met    *Hello // of the pair that Keep met last
}

// NewClient checks the configuration and finds the subreaper's binary; it starts nothing.
func NewClient(c Config) (*Client, error) {
	if !filepath.IsAbs(string(c.Run)) || !filepath.IsAbs(c.State) {
		return nil, fmt.Errorf("subreaper: run %q and state %q must be absolute paths", c.Run, c.State)
	}
	c.Run, c.State = RunDir(filepath.Clean(string(c.Run))), filepath.Clean(c.State)
	binary, err := findBinary(c.Binary)
	if err != nil {
		return nil, err
	}
	c.Binary = binary
	if c.Log == nil {
		c.Log = func(string, ...any) {}
	}
	return &Client{config: c}, nil
}

// Hello asks the pair who it is. It waits as long as ctx allows for a pair that is changing roles; the error is
// ErrNoPair if none is alive. With ErrProtocol the Hello is set as well.
func (c *Client) Hello(ctx context.Context) (Hello, error) {
	r, err := c.persist(ctx, Request{Protocol: ProtocolVersion}, false)
	return r.Hello, err
}

// TellsExits says whether the kernel tells how a process ended that was reaped by somebody else, as the pair that Keep
// met last found out; nil before it met one.
func (c *Client) TellsExits() *bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.met == nil {
		return nil
	}
	return new(c.met.TellsExits)
}

// Ready waits until a pair answers, also for one that is yet to be started.
func (c *Client) Ready(ctx context.Context) error {
	_, err := c.persist(ctx, Request{Protocol: ProtocolVersion}, true)
	return err
}

// Launch has l's command run as the reaper's child and returns the instance that it left. It is idempotent by l.ID:
// asked again, before or after a crash of anybody, it returns what was committed, waits for the command in flight, or
// fails with ErrLost; it never runs a second command for one id. Any other error but *LaunchError leaves open whether
// the launch took place; who asks again then, and be it in another life, sets l.Again. It waits for a pair as long as ctx
// allows.
func (c *Client) Launch(ctx context.Context, l Launch) (Instance, error) {
	r, err := c.persist(ctx, Request{Protocol: ProtocolVersion, Launch: &l}, true)
	switch {
	case err != nil:
		return Instance{}, fmt.Errorf("launch %s: %w", l.ID, err)
	case r.Failed != nil:
		return Instance{}, fmt.Errorf("launch %s: %w", l.ID, r.Failed)
	case r.Lost:
		return Instance{}, fmt.Errorf("launch %s: %w", l.ID, ErrLost)
	case r.Instance == nil:
		return Instance{}, fmt.Errorf("launch %s: the reply holds no instance", l.ID)
	}
	return *r.Instance, nil
}

// persist asks until somebody answers. Unless it shall wait for a pair, it fails with ErrNoPair when the lock is free.
func (c *Client) persist(ctx context.Context, q Request, await bool) (Reply, error) {
	pause := pauses{first: time.Millisecond, most: 20 * time.Millisecond}
	for {
		r, err := ask(ctx, c.config.Run, q)
		if err == nil || !transient(err) {
			return r, err
		}
		if b, _ := errors.AsType[broken](err); b.sent && q.Launch != nil {
			again := *q.Launch
			again.Again = true
			q.Launch = &again
		}
		if !await {
			// The lock decides whether there is anybody to wait for, never a time-out.
			alive, lockErr := c.pairAlive()
			if lockErr != nil {
				return Reply{}, lockErr
			}
			if !alive {
				return Reply{}, ErrNoPair
			}
		}
		if err := pause.wait(ctx); err != nil {
			return Reply{}, err
		}
	}
}

// Stop ends the pair and returns once its lock is free; no pair is no error. It fails with ErrBusy, and changes
// nothing, while the pair holds instances or launches. Keep must not be running, or it starts a new pair.
func (c *Client) Stop(ctx context.Context) error {
	pause := pauses{first: time.Millisecond, most: 20 * time.Millisecond}
	for {
		h, err := c.Hello(ctx)
		switch {
		case errors.Is(err, ErrNoPair):
			return c.collect()
		case err != nil:
			return fmt.Errorf("stop the subreaper: %w", err)
		case h.Held > 0:
			return fmt.Errorf("stop the subreaper: %w: %d", ErrBusy, h.Held)
		}
		// A guard that took on an instance since, or died, lets the next Hello tell.
		if err := c.signalRole(h.Guard, unix.SIGTERM); err != nil && !errors.Is(err, ErrGone) {
			return err
		}
		if err := pause.wait(ctx); err != nil {
			return err
		}
	}
}

// signalRole signals a guard or reaper of ours by a pidfd that was opened before its command line was read.
func (c *Client) signalRole(pid int, sig unix.Signal) error {
	fd, err := c.openRole(pid)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("signal %d to subreaper %d: %w", sig, pid, err)
	}
	return nil
}

func (c *Client) openRole(pid int) (pidfd int, err error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return -1, fmt.Errorf("subreaper %d: %w", pid, ErrGone)
	}
	if !IsRole(pid, c.config.Run) {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("subreaper %d: %w", pid, ErrGone)
	}
	return fd, nil
}

// pauses grow twofold between tries.
type pauses struct{ first, most, last time.Duration }

func (p *pauses) wait(ctx context.Context) error {
	p.last = min(max(p.first, 2*p.last), p.most)
	t := time.NewTimer(p.last)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
