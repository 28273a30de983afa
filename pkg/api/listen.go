package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Group is the group whose members may read status without being root, if the system has it.
const Group = "reconciler"

// Connections that others than root may have together, and each user of them: they must not use up the daemon's
// descriptors, nor one user the others' share.
const (
	maxGuests    = 64
	maxGuestsUID = 16
)

// Listen makes the API's socket at path, mode 0660, of root and of Group if that exists; whatever socket was there before
// is replaced in one step. Only one process may call it for a path: the caller holds a lock that says so. Closing the
// listener removes the socket.
func Listen(path string) (*Listener, error) {
	l := &Listener{path: path}
	if _, err := l.Keep(); err != nil {
		return nil, err
	}
	return l, nil
}

// bind makes the socket, aside and then in its place.
func bind(path string) (*bound, error) {
	// Bound under another name, which is no longer than the wanted one, and renamed once it is as it should be.
	aside := filepath.Join(filepath.Dir(path), ".new.sock")
	if err := os.Remove(aside); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	config := net.ListenConfig{Control: closedToOthers}
	nl, err := config.Listen(context.Background(), "unix", aside)
	if errors.Is(err, syscall.EINVAL) && len(path) >= maxSocketPath {
		err = errPathTooLong
	}
	if err != nil {
		return nil, err
	}
	ul := nl.(*net.UnixListener)
	ul.SetUnlinkOnClose(false)
	info, err := publish(aside, path)
	if err != nil {
		return nil, errors.Join(err, ul.Close(), os.Remove(aside))
	}
	return &bound{UnixListener: ul, file: info}, nil
}

// closedToOthers runs between socket and bind. Linux gives the file the mode of the descriptor, so that there is no
// instant at which others could connect, whatever the umask is.
func closedToOthers(_, _ string, c syscall.RawConn) error {
	var err error
	return errors.Join(c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) }), err)
}

func publish(aside, path string) (os.FileInfo, error) {
	if gid, ok := groupID(); ok {
		if err := os.Chown(aside, -1, gid); err != nil {
			return nil, err
		}
	}
	if err := os.Chmod(aside, 0o660); err != nil {
		return nil, err
	}
	if err := os.Rename(aside, path); err != nil {
		return nil, err
	}
	return os.Lstat(path)
}

func groupID() (int, bool) {
	g, err := user.LookupGroup(Group)
	if err != nil {
		return 0, false
	}
	gid, err := strconv.Atoi(g.Gid)
	return gid, err == nil
}

// maxSocketPath is the size of sun_path, whose last byte is a NUL: unix(7).
const maxSocketPath = 108

var errPathTooLong = fmt.Errorf("a socket's path must be shorter than %d bytes", maxSocketPath)

// Listener is the API's socket. It tells every connection who is at its other end, and can be bound anew without a break
// for those who are connected.
type Listener struct {
	path   string
	guests guests

	mu     sync.Mutex
	now    *bound
	closed bool
}

// guests counts the connections of others than root. Its methods may be called from several goroutines.
type guests struct {
	sync.Mutex
	all int
	of  map[uint32]int // by uid; none is 0
}

// come counts one more, if there is room for it.
func (g *guests) come(uid uint32) bool {
	g.Lock()
	defer g.Unlock()
	if g.all >= maxGuests || g.of[uid] >= maxGuestsUID {
		return false
	}
	if g.of == nil {
		g.of = map[uint32]int{}
	}
	g.all++
	g.of[uid]++
	return true
}

func (g *guests) leave(uid uint32) {
	g.Lock()
	defer g.Unlock()
	g.all--
	if g.of[uid]--; g.of[uid] == 0 {
		delete(g.of, uid)
	}
}

// bound is a listening socket, and the file by which it is found.
type bound struct {
	*net.UnixListener
	file os.FileInfo
}

// there says whether path still leads to the socket.
func (b *bound) there(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && os.SameFile(info, b.file)
}

// Keep binds the socket again, and says so, if its path does not lead to it any more: it was removed, or the directory it
// was in is another one. Whoever waited at the old one unserved is hung up on.
func (l *Listener) Keep() (again bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.now != nil && l.now.there(l.path) {
		return false, nil
	}
	next, err := bind(l.path)
	if err != nil {
		return false, fmt.Errorf("listen for the API on %s: %w", l.path, err)
	}
	old := l.now
	l.now = next
	if old != nil {
		_ = old.Close() // ends its Accept, which goes on with the next
	}
	return true, nil
}

func (l *Listener) current() *bound {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now
}

// Accept returns a *peerConn. Guests for whom there is no room are hung up on; root never is.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		at := l.current()
		c, err := at.AcceptUnix()
		if err != nil && l.current() != at {
			continue
		}
		if err != nil {
			return nil, err
		}
		peer, err := peerAt(c)
		if err != nil {
			c.Close()
			continue
		}
		if peer.root() {
			return &peerConn{UnixConn: c, peer: peer}, nil
		}
		if !l.guests.come(peer.uid) {
			c.Close()
			continue
		}
		return &peerConn{UnixConn: c, peer: peer, guests: &l.guests}, nil
	}
}

// Addr is where clients find it, not where it was bound.
func (l *Listener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close closes the listener and removes the socket, unless another one has taken its place.
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	err := l.now.Close()
	if l.now.there(l.path) {
		err = errors.Join(err, os.Remove(l.path))
	}
	return err
}
