package subreaper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Keep keeps a pair alive until ctx ends, and leaves it running then: guard and reaper heal each other, and Keep
// starts a new pair when both are dead. Whether one lives is decided by the lock in the state directory alone. A pair
// of another build than the binary on disk is asked, once, to replace itself in place.
//
// Errors are logged and tried again with growing pauses; the error returned is that of ctx.
func (c *Client) Keep(ctx context.Context) error {
	const healthy = 100 * time.Millisecond // a pair that lived so long is no reason for a longer pause
	pause := pauses{first: 2 * time.Millisecond, most: time.Second}
	asked := "" // the pair's build when an upgrade was asked for: one that comes back unchanged is not asked again
	for ctx.Err() == nil {
		h, err := c.pair(ctx)
		if build := c.outdated(h); build != "" && build != asked {
			asked = build
			c.upgrade(h)
		}
		if err == nil {
			started := time.Now()
			err = c.untilDeath(ctx, h)
			if time.Since(started) > healthy {
				pause.last = 0
			}
		}
		if err := c.collect(); err != nil {
			c.config.Log("subreaper ended", "error", err)
		}
		if err == nil {
			continue // one of the two died: the next Hello tells who they are now
		}
		if !errors.Is(err, ErrNoPair) && ctx.Err() == nil {
			c.config.Log("subreaper does not answer", "error", err)
		}
		_ = pause.wait(ctx)
	}
	return context.Cause(ctx)
}

func (c *Client) upgrade(h Hello) {
	c.config.Log("subreaper is of another build, asking it to replace itself", "guard", h.Guard)
	if err := c.signalRole(h.Guard, unix.SIGHUP); err != nil {
		c.config.Log("subreaper could not be asked to replace itself", "guard", h.Guard, "error", err)
	}
}

// pair returns a living pair; it starts one if there is none.
func (c *Client) pair(ctx context.Context) (Hello, error) {
	if err := c.start(); err != nil {
		return Hello{}, err
	}
	h, err := c.Hello(ctx)
	if err == nil {
		c.mu.Lock()
		c.met = &h
		c.mu.Unlock()
	}
	return h, err
}

// start starts a guard unless a pair holds the lock. The lock is taken here and handed over, so of any number of
// callers one starts a guard, and there is no moment at which a pair is about to be and the lock is free.
func (c *Client) start() error {
	if err := os.MkdirAll(c.config.State, 0o700); err != nil {
		return err
	}
	if err := os.MkdirAll(string(c.config.Run), 0o711); err != nil {
		return err
	}
	lock, err := takeLock(c.config.State)
	if lock == nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	// A pair whose lock file was wiped with the state directory still holds its listener.
	if conn, err := dial(c.config.Run); err == nil {
		return conn.Close()
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = null.Close() }()
	stderr, err := os.OpenFile(c.config.Run.Log(), os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = stderr.Close() }()
	p, err := os.StartProcess(c.config.Binary, c.guardArgs(), &os.ProcAttr{
		Dir:   "/",
		Env:   guardEnv,
		Files: []*os.File{null, null, stderr, lock},
		Sys:   &syscall.SysProcAttr{Setsid: true}, // a Ctrl-C meant for us is not for it
	})
	if err != nil {
		return fmt.Errorf("start the subreaper: %w", err)
	}
	c.config.Log("subreaper started", "guard", p.Pid)
	c.mu.Lock()
	c.guards = append(c.guards, p.Pid)
	c.mu.Unlock()
	return p.Release()
}

// guardEnv keeps the Go runtime of guard and reaper small, and takes effect only at a start: it makes an allocator a
// processor, on a large machine more than all the rest, and where transparent huge pages are "always" its heap would
// take 2 MiB at the first touch. No PATH: the pair runs absolute paths only, with the environment of the launch.
var guardEnv = []string{"GOMAXPROCS=1", "GODEBUG=disablethp=1,asyncpreemptoff=1"}

func (c *Client) guardArgs() []string {
	const lockFD = "3" // the first of ProcAttr.Files behind stderr
	return []string{c.config.Binary, RoleGuard, "--run", string(c.config.Run), "--state", c.config.State, "--lock", lockFD}
}

// takeLock takes the pair's lock; the file is nil if a pair holds it.
func takeLock(state string) (*os.File, error) {
	f, err := os.OpenFile(LockPath(state), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, nil
		}
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return f, nil
}

// pairAlive asks the lock, and the listener in case the lock file was wiped.
func (c *Client) pairAlive() (bool, error) {
	f, err := takeLock(c.config.State)
	if f != nil {
		_ = f.Close()
	}
	if f == nil && err == nil {
		return true, nil
	}
	if conn, err := dial(c.config.Run); err == nil {
		return true, conn.Close()
	}
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return false, err
}

// collect waits for dead guards of ours, so that no zombie stays; the error says how they failed. Only pids that start
// put there are waited for: other children belong to os/exec.
func (c *Client) collect() (failed error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.guards = slices.DeleteFunc(c.guards, func(pid int) bool {
		var s syscall.WaitStatus
		got, err := syscall.Wait4(pid, &s, syscall.WNOHANG, nil)
		if got == pid && s != 0 {
			failed = errors.Join(failed, fmt.Errorf("guard %d: %s", pid, Describe(s)))
		}
		return got == pid || errors.Is(err, syscall.ECHILD)
	})
	return failed
}

// untilDeath returns when guard or reaper dies, and with the error of ctx when that ends first.
func (c *Client) untilDeath(ctx context.Context, h Hello) error {
	dead := make(chan error, 2)
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, pid := range []int{h.Guard, h.Reaper} {
		fd, err := c.openRole(pid)
		if err != nil {
			return nil // dead already
		}
		if err := unix.SetNonblock(fd, true); err != nil {
			_ = unix.Close(fd)
			return err
		}
		f := os.NewFile(uintptr(fd), "pidfd")
		defer func() { _ = f.Close() }() // ends its wait
		wg.Go(func() { dead <- awaitDeath(f) })
	}
	select {
	case err := <-dead:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// awaitDeath waits in the Go runtime's own poller. A blocking poll(2) here, just after a reply came through that
// poller, left it unattended for 10 ms and more: the launches that waited for the new pair did so for three times as
// long as the pair took to heal.
func awaitDeath(pidfd *os.File) error {
	conn, err := pidfd.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Read(func(fd uintptr) (done bool) {
		events, err := Poll(int(fd))
		failed = err
		return err != nil || events != 0
	})
	return errors.Join(err, failed)
}

// Build identifies the file of a program: no two have the same device, inode, size and time of change of contents.
func Build(path string) (string, error) {
	var s unix.Stat_t
	if err := unix.Stat(path, &s); err != nil {
		return "", &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return fmt.Sprintf("%x-%x-%x-%x.%x", s.Dev, s.Ino, s.Size, s.Mtim.Sec, s.Mtim.Nsec), nil
}

// outdated returns the pair's build if it is known and not that of the binary on disk, else "".
func (c *Client) outdated(h Hello) string {
	disk, err := Build(c.config.Binary)
	if err != nil || h.Build == disk {
		return ""
	}
	return h.Build
}

func findBinary(path string) (string, error) {
	const name = "reconciler-subreaper"
	if path != "" {
		return filepath.Abs(path)
	}
	candidates := filepath.SplitList(os.Getenv("PATH"))
	if self, err := os.Executable(); err == nil {
		candidates = append([]string{filepath.Dir(self)}, candidates...)
	}
	for _, dir := range candidates {
		p := filepath.Join(dir, name)
		s, err := os.Stat(p)
		if err == nil && s.Mode().IsRegular() && s.Mode()&0o111 != 0 && filepath.IsAbs(p) {
			return p, nil
		}
	}
	return "", fmt.Errorf("%s is neither beside this program nor in PATH (%s)", name, strings.Join(candidates, ":"))
}
