package pair

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/subreaper"
)

// conn is one client's connection: one request, one reply.
type conn struct {
	fd    int // -1 once it is closed
	asked bool
}

// packet is where requests are read to; pages that no request ever needed cost nothing.
var packet [subreaper.MaxPacket + 1]byte

// accept takes every waiting connection, except that an upgrade lets them wait in the backlog for the next image.
func (r *routine) accept() {
	for r.acceptDue && !r.upgradeDue {
		fd, _, err := unix.Accept4(r.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case errors.Is(err, unix.EAGAIN):
			r.acceptDue = false
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED):
		case err != nil:
			r.acceptDue = false
			r.complain("accept", "accept: %v", err)
			r.retry()
		default:
			r.admit(fd)
		}
	}
}

// admit lets root in; the socket's mode says the same, but may be changed.
func (r *routine) admit(fd int) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err == nil && cred.Uid != 0 {
		err = fmt.Errorf("uid %d is not root", cred.Uid)
	}
	if err == nil {
		err = r.poll(fd, unix.EPOLLIN|unix.EPOLLRDHUP)
	}
	if err != nil {
		r.log("connection refused: %v", err)
		_ = unix.Close(fd)
		return
	}
	r.conns[fd] = &conn{fd: fd}
}

// receive reads the request of c. A client that has gone is not served: a controller that died long ago, in the
// backlog all the while, must not have a container made for it now.
func (r *routine) receive(c *conn, events uint32) {
	if events&(unix.EPOLLHUP|unix.EPOLLRDHUP|unix.EPOLLERR) != 0 || c.asked {
		r.hangUp(c)
		return
	}
	n, err := unix.Read(c.fd, packet[:])
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return
	}
	var q subreaper.Request
	if err == nil && n > subreaper.MaxPacket {
		err = errors.New("request too long")
	}
	if err == nil {
		err = json.Unmarshal(packet[:n], &q)
	}
	if err != nil {
		r.log("bad request: %v", err)
		r.hangUp(c)
		return
	}
	c.asked = true
	if q.Protocol != subreaper.ProtocolVersion || q.Launch == nil {
		r.reply(c, subreaper.Reply{}) // the Hello in it tells a stranger our version
		return
	}
	r.launch(c, *q.Launch)
}

func (r *routine) refuse(c *conn, err error) {
	r.reply(c, subreaper.Reply{Failed: &subreaper.LaunchError{Message: err.Error()}})
}

// reply ends the connection. A reply that does not arrive is asked for again.
func (r *routine) reply(c *conn, reply subreaper.Reply) {
	if c.fd < 0 {
		return
	}
	reply.Hello = r.hello()
	b, err := json.Marshal(reply)
	if err == nil {
		err = unix.Sendto(c.fd, b, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil)
	}
	if err != nil {
		r.log("reply: %v", err)
	}
	r.hangUp(c)
}

func (r *routine) hangUp(c *conn) {
	delete(r.conns, c.fd)
	_ = unix.Close(c.fd)
	c.fd = -1
}

func (r *routine) hello() subreaper.Hello {
	if r.build == "" {
		r.build, _ = subreaper.Build("/proc/self/exe") // of the file that runs, also when its path was replaced
	}
	return subreaper.Hello{
		Protocol: subreaper.ProtocolVersion, Build: r.build, Guard: r.guard, Reaper: r.pid,
		Held: len(r.watches) + len(r.launches), TellsExits: r.tells,
	}
}

// bind makes the listener. It is ours alone to make: the lock is held.
func bind(run subreaper.RunDir) (fd int, err error) {
	if err := removed(run.Socket()); err != nil {
		return -1, err
	}
	address, dir, err := subreaper.SocketAddress(run)
	if err != nil {
		return -1, err
	}
	defer func() { _ = unix.Close(dir) }()
	fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	old := unix.Umask(0o177) // bind(2) makes the file with all bits that the mask leaves
	err = unix.Bind(fd, address)
	unix.Umask(old)
	const backlog = 256 // connections wait here through a change of roles
	if err == nil {
		err = unix.Listen(fd, backlog)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, &os.PathError{Op: "listen", Path: run.Socket(), Err: err}
	}
	return fd, nil
}

// keepListener binds anew if the socket's path is no longer that of the listener: the run directory was wiped. The guard
// must not: it would bind the reaper's socket away. It lets go of its copy, since whoever waits at a socket with no path
// is hung up on, and asks again, only when the last copy is closed.
func (r *routine) keepListener() error {
	if r.listener >= 0 && bound(r.listener, r.run.Socket()) {
		return nil
	}
	if r.role == subreaper.RoleGuard && r.reaperPID != 0 {
		r.dropListener()
		return nil
	}
	fd, err := bind(r.run)
	if err != nil {
		return err
	}
	if r.listener >= 0 {
		r.log("the socket's path had vanished, it is bound again")
	}
	r.dropListener()
	r.listener = fd
	return r.pollListener()
}

func (r *routine) dropListener() {
	if r.listener >= 0 {
		_ = unix.Close(r.listener)
	}
	r.listener = -1
}

// bound reports whether path is the file that the listener was bound to. Where the kernel does not tell (before Linux
// 4.15) any file will do.
func bound(listener int, path string) bool {
	var there, bound unix.Stat_t
	if err := unix.Lstat(path, &there); err != nil {
		return !errors.Is(err, unix.ENOENT)
	}
	const siocUnixFile = 0x89e0 // SIOCUNIXFILE, linux/un.h: an O_PATH descriptor of the bound file
	fd, err := unix.IoctlRetInt(listener, siocUnixFile)
	if err != nil {
		return true
	}
	defer func() { _ = unix.Close(fd) }()
	err = unix.Fstat(fd, &bound)
	return err != nil || bound.Dev == there.Dev && bound.Ino == there.Ino
}
