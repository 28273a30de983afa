package runc

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What may come over a console socket from one who is not a runtime. No descriptor of it stays open: TestMain looks.
func TestConsoleSocketTakesOneTerminalOnly(t *testing.T) {
	master, slave := terminal(t)
	null, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	one, many := int(master.Fd()), make([]int, 100)
	for i := range many {
		many[i] = one
	}
	for _, c := range []struct {
		name string
		fds  []int
		data string
		want string // in the error; empty: it is taken
	}{
		{"one terminal", []int{one}, "/dev/pts/0", ""},
		{"a name of no end", []int{one}, strings.Repeat("x", 1<<16), ""},
		{"nothing", nil, "", "EOF"},
		{"no descriptor", nil, "/dev/pts/0", "0 descriptors"},
		{"two", []int{one, one}, "x", "2 descriptors"},
		{"a hundred", many, "x", "more than 16"},
		{"a file", []int{int(null.Fd())}, "x", "not the master of a terminal"},
		{"the other side of the terminal", []int{int(slave.Fd())}, "x", "not the master of a terminal"},
		{"junk", nil, string(blob(4096)), "0 descriptors"},
	} {
		s := listen(t)
		send(t, s, c.data, c.fds)
		f, err := s.Accept(t.Context())
		switch {
		case c.want == "" && err != nil, c.want != "" && (!errors.Is(err, ErrConsole) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v", c.name, err)
		}
		f.Close()
		s.Close()
	}
}

func TestConsoleSocketDoesNotWaitForEver(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), short)
	defer cancel()
	s := listen(t)
	if _, err := s.Accept(ctx); !errors.Is(err, ErrConsole) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody: %v", err)
	}
	s.Close()
	s = listen(t)
	defer s.Close()
	ctx, cancel = context.WithTimeout(t.Context(), short)
	defer cancel()
	silent, err := net.Dial("unix", s.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if _, err := s.Accept(ctx); !errors.Is(err, ErrConsole) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("somebody who says nothing: %v", err)
	}
}

func TestConsoleSocketsPath(t *testing.T) {
	dir := shortDir(t)
	fits := filepath.Join(dir, strings.Repeat("x", 107-len(dir)-1))
	s, err := ListenConsole(fits)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil || exists(fits) {
		t.Errorf("it is left: %v", err)
	}
	for path, want := range map[string]string{
		fits + "x": "108 bytes, at most 107", "relative": "absolute", filepath.Join(dir, "missing", "x"): "no such file",
	} {
		if _, err := ListenConsole(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

func listen(t *testing.T) *ConsoleSocket {
	t.Helper()
	s, err := ListenConsole(filepath.Join(shortDir(t), "tty"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// shortDir leaves room for a socket's name, which t.TempDir may not.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "tty")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// disturb sends junk to the console socket that a runtime is given, if one is.
func disturb(t *testing.T, r *Runtime) {
	var peer sync.WaitGroup
	peer.Go(func() {
		for ; t.Context().Err() == nil; time.Sleep(time.Millisecond) {
			if found, _ := filepath.Glob(r.stateDir + "/tty.*"); len(found) > 0 {
				if c, err := net.Dial("unix", found[0]); err == nil { // else it does not listen yet
					c.Write([]byte("junk"))
					c.Close()
					return
				}
			}
		}
	})
	t.Cleanup(peer.Wait)
}

func send(t *testing.T, s *ConsoleSocket, data string, fds []int) {
	t.Helper()
	c, err := net.Dial("unix", s.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if data == "" {
		return
	}
	var control []byte
	if len(fds) > 0 {
		control = unix.UnixRights(fds...)
	}
	if _, _, err := c.(*net.UnixConn).WriteMsgUnix([]byte(data), control, nil); err != nil {
		t.Fatal(err)
	}
}
