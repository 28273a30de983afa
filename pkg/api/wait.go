package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is the process that listens on the client's socket, as a pidfd in the runtime's poller. The caller closes it.
func (c *Client) process(ctx context.Context) (*os.File, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", c.socket)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	defer conn.Close()
	listening, err := peerAt(conn.(*net.UnixConn)) // to a client SO_PEERCRED names who called listen(2)
	if err != nil {
		return nil, err
	}
	fd, err := unix.PidfdOpen(int(listening.pid), unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("pidfd_open of the daemon's process %d: %w", listening.pid, err)
	}
	return os.NewFile(uintptr(fd), "pidfd"), nil
}

// ended waits until the process of a pidfd has ended, or ctx has.
func ended(ctx context.Context, pidfd *os.File) error {
	raw, err := pidfd.SyscallConn()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = pidfd.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var pollErr error
	err = raw.Read(func(fd uintptr) bool {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(p, 0)
		if errors.Is(err, syscall.EINTR) {
			return false
		}
		pollErr = err
		return err != nil || n > 0
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.Join(err, pollErr)
}
