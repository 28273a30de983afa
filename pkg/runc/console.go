package runc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ConsoleSocket is where a runtime delivers the terminal of a process that it starts. Create and Exec see to it by
// themselves; a Command that somebody else runs needs one: see CreateOptions.ConsoleSocket.
type ConsoleSocket struct {
	path string
	l    *net.UnixListener
}

// ListenConsole makes the socket, which must not exist: at an absolute path shorter than the 108 bytes of unix(7). Whoever
// may enter its directory may deliver, so keep others out of there.
func ListenConsole(path string) (*ConsoleSocket, error) {
	if err := absolute("console socket", path); err != nil {
		return nil, err
	}
	if most := len(unix.RawSockaddrUnix{}.Path) - 1; len(path) > most {
		return nil, fmt.Errorf("console socket %s: its path has %d bytes, at most %d are possible", path, len(path), most)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("console socket: %w", err)
	}
	return &ConsoleSocket{path, l}, nil
}

// Path returns the path that the runtime is given.
func (s *ConsoleSocket) Path() string { return s.path }

// Close removes the socket.
func (s *ConsoleSocket) Close() error { return s.l.Close() }

// Accept returns the master of the terminal that the first to connect sends. That must be one descriptor in one message;
// a runtime that has reported success has sent it. Anything else, and nothing until ctx ends, is ErrConsole.
func (s *ConsoleSocket) Accept(ctx context.Context) (*os.File, error) {
	past := time.Unix(1, 0)
	defer context.AfterFunc(ctx, func() { s.l.SetDeadline(past) })()
	conn, err := s.l.AcceptUnix()
	if err != nil {
		return nil, consoleError(ctx, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(past) })()
	fd, err := receive(conn)
	if err != nil {
		return nil, consoleError(ctx, err)
	}
	master, err := openMaster(fd)
	if err != nil {
		return nil, consoleError(ctx, err)
	}
	return master, nil
}

func consoleError(ctx context.Context, err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("nobody sent one: %w", ctx.Err())
	}
	return fmt.Errorf("%w: %w", ErrConsole, err)
}

// receive reads one message, which says what the terminal is called, and takes the one descriptor that must be with it.
func receive(conn *net.UnixConn) (int, error) {
	const most = 16 // descriptors of a peer that errs; the kernel closes those beyond
	text, control := make([]byte, 4096), make([]byte, unix.CmsgSpace(most*4))
	_, n, flags, _, err := conn.ReadMsgUnix(text, control)
	if err != nil {
		return -1, err
	}
	fds, err := rights(control[:n])
	switch {
	case err != nil:
	case len(fds) == 1 && flags&unix.MSG_CTRUNC == 0:
		return fds[0], nil
	case flags&unix.MSG_CTRUNC != 0:
		err = fmt.Errorf("more than %d descriptors", most)
	default:
		err = fmt.Errorf("%d descriptors instead of one", len(fds))
	}
	for _, fd := range fds {
		unix.Close(fd)
	}
	return -1, err
}

// rights returns the descriptors of a control message, also if there is an error.
func rights(control []byte) (fds []int, err error) {
	messages, err := unix.ParseSocketControlMessage(control)
	for _, m := range messages {
		if m.Header.Level != unix.SOL_SOCKET || m.Header.Type != unix.SCM_RIGHTS {
			continue
		}
		more, e := unix.ParseUnixRights(&m)
		fds, err = append(fds, more...), errors.Join(err, e)
	}
	return fds, err
}
