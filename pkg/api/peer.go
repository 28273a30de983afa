package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

// peer is the process at the other end of a connection, as it was when it connected: SO_PEERCRED in unix(7). The zero
// value, with known false, may nothing.
type peer struct {
	known bool
	uid   uint32
	pid   int32 // for logs only: it may be somebody else's by now
}

func (p peer) root() bool { return p.known && p.uid == 0 }

// may says whether p may call a route. Who got a connection was let in by the socket's mode and group.
func (p peer) may(who access) bool { return p.root() || p.known && who == readers }

func (p peer) String() string {
	switch {
	case !p.known:
		return "unknown"
	case p.uid == 0:
		return "root"
	}
	return fmt.Sprintf("uid %d", p.uid)
}

func peerAt(c *net.UnixConn) (peer, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return peer{}, err
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) { cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err := errors.Join(err, credErr); err != nil {
		return peer{}, err
	}
	return peer{known: true, uid: cred.Uid, pid: cred.Pid}, nil
}

// peerConn is a connection that knows its peer, and counts as a guest's until it is closed if guests is set.
type peerConn struct {
	*net.UnixConn
	peer   peer
	guests *guests
	gone   sync.Once
}

func (c *peerConn) Close() error {
	if c.guests != nil {
		c.gone.Do(func() { c.guests.leave(c.peer.uid) })
	}
	return c.UnixConn.Close()
}

type peerKey struct{}

// withPeer is an http.Server's ConnContext.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	if pc, ok := c.(*peerConn); ok {
		return context.WithValue(ctx, peerKey{}, pc.peer)
	}
	return ctx
}

func peerOf(ctx context.Context) peer {
	p, _ := ctx.Value(peerKey{}).(peer)
	return p
}
