package subreaper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// SocketAddress returns an address of the socket below run that is short enough for sun_path (108 bytes) however deep
// run is: it goes through a descriptor of the directory, which the caller closes after bind or connect.
func SocketAddress(run RunDir) (address *unix.SockaddrUnix, dir int, err error) {
	dir, err = unix.Open(string(run), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, -1, &os.PathError{Op: "open", Path: string(run), Err: err}
	}
	name := fmt.Sprintf("/proc/self/fd/%d/%s", dir, filepath.Base(run.Socket()))
	return &unix.SockaddrUnix{Name: name}, dir, nil
}

// dial connects to the pair. Package net would do, but the subreaper links this package and must stay small.
func dial(run RunDir) (*os.File, error) {
	address, dir, err := SocketAddress(run)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(dir) }()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	if err := unix.Connect(fd, address); err != nil {
		_ = unix.Close(fd)
		return nil, &os.PathError{Op: "connect", Path: run.Socket(), Err: err}
	}
	return os.NewFile(uintptr(fd), run.Socket()), nil
}

// ask sends one request on a connection of its own and waits for the reply, for ever if ctx allows: a pair that is
// changing roles lets connections wait in the listener's backlog.
func ask(ctx context.Context, run RunDir, q Request) (Reply, error) {
	packet, err := json.Marshal(q)
	if err != nil {
		return Reply{}, err
	}
	if len(packet) > MaxPacket {
		return Reply{}, fmt.Errorf("request of %d bytes, at most %d are taken", len(packet), MaxPacket)
	}
	conn, err := dial(run)
	if err != nil {
		return Reply{}, err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	answer := make([]byte, MaxPacket)
	_, writeErr := conn.Write(packet)
	err = writeErr
	if err == nil {
		var n int
		n, err = conn.Read(answer)
		answer = answer[:n]
	}
	if ctx.Err() != nil {
		return Reply{}, context.Cause(ctx)
	}
	if err != nil {
		return Reply{}, broken{err, writeErr == nil}
	}
	var r Reply
	if err := json.Unmarshal(answer, &r); err != nil {
		return Reply{}, fmt.Errorf("reply of the subreaper: %w", err)
	}
	if r.Hello.Protocol != ProtocolVersion {
		return r, fmt.Errorf("%w: pair %d, we %d", ErrProtocol, r.Hello.Protocol, ProtocolVersion)
	}
	return r, nil
}

// broken is a connection that ended without a reply: whoever held its other end died or changed its role. A request that
// was sent may have been heard.
type broken struct {
	error
	sent bool
}

// transient reports whether asking again may help: nobody listens yet, or the one who did has gone.
func transient(err error) bool {
	if _, ok := errors.AsType[broken](err); ok {
		return true
	}
	for _, e := range []error{unix.ENOENT, unix.ECONNREFUSED, unix.EAGAIN, unix.ECONNRESET} {
		if errors.Is(err, e) {
			return true // EAGAIN: the backlog is full
		}
	}
	return false
}
