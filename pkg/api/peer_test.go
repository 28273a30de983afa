package api

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/internal/runctest"
	"reconciler.dev/reconciler/pkg/desired"
)

const nobody = 65534

// dialAs connects as another user. Credentials belong to a thread for the kernel, so one is spent on it: it is never
// unlocked, and ends with its goroutine.
func dialAs(uid, gid int, path string) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread()
		for _, call := range [][4]uintptr{
			{unix.SYS_SETGROUPS},
			{unix.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid)},
			{unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)},
		} {
			if _, _, errno := unix.RawSyscall(call[0], call[1], call[2], call[3]); errno != 0 {
				done <- result{err: errno}
				return
			}
		}
		conn, err := net.Dial("unix", path)
		done <- result{conn, err}
	}()
	r := <-done
	return r.conn, r.err
}

func clientAs(t *testing.T, uid, gid int, path string) *Client {
	c := client(t, path)
	c.http.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
		return dialAs(uid, gid, path)
	}
	return c
}

func TestWhoMayCallWhat(t *testing.T) {
	runctest.Require(t, runctest.Root)
	w := newWorld(t)
	w.want("web", func(s *desired.Spec) {
		s.Process.Env = map[string]*string{"TOKEN": new("sesame"), "GONE": nil}
	})
	w.ran("web", 1, 0, "")
	w.log("web", 1, "hello\n")
	path := serve(t, w)
	asRoot, guest := client(t, path), clientAs(t, nobody, 0, path) // the socket's group is root's here, or Group
	if gid, ok := groupID(); ok {
		guest = clientAs(t, nobody, gid, path)
	}
	for _, r := range routes {
		if r.method != http.MethodGet && r.who != rootOnly {
			t.Errorf("%s %s changes something, and is for %s", r.method, r.path, r.who)
		}
		url := strings.ReplaceAll(r.path, "{name}", "web")
		_, err := guest.do(t.Context(), r.method, url, nil)
		if forbidden := errors.Is(err, ErrForbidden); forbidden != (r.who == rootOnly) {
			t.Errorf("%s %s by a guest, for %s: %v", r.method, r.path, r.who, err)
		}
		answer, err := asRoot.do(t.Context(), r.method, url, nil)
		if refused, ok := errors.AsType[*Error](err); ok && refused.Reason != "Forbidden" && refused.Reason != "Internal" {
			continue // by what the container does
		}
		if err != nil {
			t.Errorf("%s %s by root: %v", r.method, r.path, err)
			continue
		}
		answer.Body.Close()
	}
	list, err := guest.Containers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	single, err := guest.Container(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*Container{&list.Items[0], single} {
		env := c.Spec.Process.Env
		if v, there := env["GONE"]; *env["TOKEN"] != hidden || v != nil || !there {
			t.Errorf("a guest sees %q and %v", *env["TOKEN"], v)
		}
		if c.Status.SpecHash != hidden {
			t.Errorf("a guest sees the hash %q", c.Status.SpecHash)
		}
	}
	if c, err := asRoot.Container(t.Context(), "web"); err != nil || *c.Spec.Process.Env["TOKEN"] != "sesame" {
		t.Errorf("root does not see the environment: %+v, %v", c, err)
	}
}

func TestStrangersMayNotConnect(t *testing.T) {
	runctest.Require(t, runctest.Root)
	path := serve(t, newWorld(t))
	_, err := clientAs(t, nobody, nobody, path).Version(t.Context())
	if !errors.Is(err, ErrPermission) || !strings.Contains(err.Error(), Group) {
		t.Errorf("got %v", err)
	}
}

func TestAnUnknownPeerMayNothing(t *testing.T) {
	if p := (peer{}); p.may(readers) || p.may(rootOnly) {
		t.Error("the zero peer may call something")
	}
}

// Guests that hold connections neither keep root out nor use up the daemon's descriptors.
func TestGuestsAreLimited(t *testing.T) {
	runctest.Require(t, runctest.Root)
	path := serve(t, newWorld(t))
	gid, _ := groupID()
	dialAs := func(uid int) net.Conn {
		c, err := dialAs(uid, gid, path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	dial := func() net.Conn { return dialAs(nobody) }
	var first net.Conn
	for i := range maxGuestsUID {
		c := dial()
		if i == 0 {
			first = c
		}
	}
	if !hungUp(t, dial()) {
		t.Error("there is no limit to one guest's connections")
	}
	for i := range maxGuests - maxGuestsUID {
		if c := dialAs(nobody - 1 - i%3); !answers(c) {
			t.Errorf("guest %d is kept out by another one", i)
		}
	}
	if !hungUp(t, dialAs(nobody-4)) {
		t.Error("there is no limit to guests")
	}
	if _, err := client(t, path).Version(t.Context()); err != nil {
		t.Error("root is kept out:", err)
	}
	first.Close()
	for deadline := time.Now().Add(30 * time.Second); ; { // until the server has seen it go
		if answers(dial()) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a guest that left makes no room")
		}
	}
}

// answers says whether there is an answer, to a request after which the connection stays.
func answers(c net.Conn) bool {
	if _, err := io.WriteString(c, "GET /v1/version HTTP/1.1\r\nHost: reconciler\r\n\r\n"); err != nil {
		return false
	}
	_, err := c.Read(make([]byte, 1))
	return err == nil
}

func hungUp(t *testing.T, c net.Conn) bool {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err := c.Read(make([]byte, 1))
	return errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET)
}
