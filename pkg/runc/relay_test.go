package runc

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// pair returns two ends of a connection.
func pair(t *testing.T) (near, far *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var conns [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "socket")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = c.(*net.UnixConn)
		t.Cleanup(func() { c.Close() })
	}
	return conns[0], conns[1]
}

// memory is a connection that keeps what is written.
type memory struct {
	bytes.Buffer
	closed bool
}

func (m *memory) Close() error { m.closed = true; return nil }

// pipes makes a relay with the process's ends.
func pipes(t *testing.T, c Connections) (p *PipeRelay, in, out, err *os.File) {
	t.Helper()
	p, theirs, e := newPipeRelay(c)
	if e != nil {
		t.Fatal(e)
	}
	t.Cleanup(func() {
		p.Close()
		closeAll(theirs[:]...)
	})
	return p, theirs[0], theirs[1], theirs[2]
}

func drained(t *testing.T, r *relay) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	if err := r.drain(ctx); err != nil {
		t.Fatal(err)
	}
}

func blob(size int) []byte {
	b := make([]byte, size)
	rand.Read(b) // never fails
	return b
}

func TestRelayPassesEveryByteOn(t *testing.T) {
	near, far := pair(t)
	sent, stderr := blob(4<<20), &memory{}
	p, in, out, errOut := pipes(t, Connections{Stdin: near, Stdout: near, Stderr: stderr})
	p.Start()
	var process sync.WaitGroup
	process.Go(func() { // cat, which says something on the side
		errOut.Write([]byte("\x00\xff"))
		io.Copy(out, in)
		closeAll(in, out, errOut)
	})
	process.Go(func() {
		far.Write(sent)
		far.CloseWrite() // else cat would not end
	})
	got, err := io.ReadAll(far)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d bytes of %d came back, or others: %v", len(got), len(sent), err)
	}
	process.Wait()
	drained(t, &p.relay)
	if stderr.String() != "\x00\xff" || !stderr.closed {
		t.Errorf("standard error: %q, closed: %v", stderr.String(), stderr.closed)
	}
	if _, err := near.Write(nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the connection is not closed: %v", err)
	}
}

// The ends of one connection are two things: standard output may end long before standard input.
func TestRelayClosesHalves(t *testing.T) {
	near, far := pair(t)
	p, in, out, _ := pipes(t, Connections{Stdin: near, Stdout: near})
	p.Start()
	out.Close()
	if b, err := io.ReadAll(far); err != nil || len(b) > 0 {
		t.Fatalf("%q, %v", b, err)
	}
	if _, err := far.Write([]byte("still")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	if _, err := io.ReadFull(in, b); err != nil || string(b) != "still" {
		t.Fatalf("%q, %v", b, err)
	}
	in.Close() // now the process does not read any more
	eventually(t, "a write fails", func() bool { _, err := far.Write(b); return errors.Is(err, syscall.EPIPE) })
}

// What two streams share is closed when the last of them ends, and not before: whole, or a half of it.
func TestRelayClosesWhatIsShared(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	near, far := pair(t)
	for _, c := range []struct {
		near io.WriteCloser
		far  io.Reader
	}{{writer, reader}, {near, far}} {
		p, _, out, errOut := pipes(t, Connections{Stdout: c.near, Stderr: c.near})
		p.Start()
		out.Write([]byte("a"))
		out.Close()
		b := make([]byte, 1)
		if _, err := io.ReadFull(c.far, b); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the relay has seen that", func() bool { _, err := p.outs[0].Stat(); return err != nil })
		errOut.Write([]byte("b"))
		errOut.Close()
		if b, err := io.ReadAll(c.far); string(b) != "b" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
	}
}

// As in a shell's pipe: who writes to a reader that is gone learns it.
func TestRelayWithoutAReader(t *testing.T) {
	near, far := pair(t)
	p, _, out, _ := pipes(t, Connections{Stdout: near})
	p.Start()
	far.CloseRead()
	eventually(t, "a write fails", func() bool { _, err := out.Write([]byte("x")); return errors.Is(err, syscall.EPIPE) })
}

func TestRelayOfNothingIsAsDevNull(t *testing.T) {
	p, in, out, errOut := pipes(t, Connections{})
	p.Start()
	if b, err := io.ReadAll(in); len(b) > 0 || err != nil {
		t.Errorf("read %q, %v", b, err)
	}
	for _, f := range []*os.File{out, errOut} {
		if n, err := f.Write(make([]byte, 1<<20)); n != 1<<20 || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
		f.Close()
	}
	drained(t, &p.relay)
}

func TestConnectionsAreReplacedUntilTheStart(t *testing.T) {
	first, second := &memory{}, &memory{}
	p, _, out, errOut := pipes(t, Connections{Stdout: first})
	out.Write([]byte("early"))
	if got, err := p.Replace(Connections{Stdout: second}); err != nil || got.Stdout != first {
		t.Fatalf("%v, %v", got, err)
	}
	p.Start()
	if _, err := p.Replace(Connections{}); !errors.Is(err, ErrRelaying) {
		t.Errorf("after the start: %v", err)
	}
	out.Write([]byte(" and late"))
	closeAll(out, errOut)
	drained(t, &p.relay)
	if first.Len() > 0 || first.closed || second.String() != "early and late" || !second.closed {
		t.Errorf("%q, %v; %q, %v", first, first.closed, second, second.closed)
	}
}

func TestRelayIsClosedBeforeTheStart(t *testing.T) {
	near, far := pair(t)
	p, in, out, _ := pipes(t, Connections{Stdin: near, Stdout: near})
	p.Close()
	p.Start() // too late
	if b, err := io.ReadAll(in); len(b) > 0 || err != nil {
		t.Errorf("the process reads %q, %v", b, err)
	}
	if _, err := out.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("the process writes: %v", err)
	}
	if b, err := io.ReadAll(far); len(b) > 0 || err != nil {
		t.Errorf("the other side reads %q, %v", b, err)
	}
	if _, err := p.Replace(Connections{}); !errors.Is(err, ErrRelaying) {
		t.Errorf("%v", err)
	}
	drained(t, &p.relay)
}

// A reader that is slow gets all of it, and one that has stopped holds nobody up whose context ends.
func TestDrainWaitsForTheReader(t *testing.T) {
	near, far := pair(t)
	sent := blob(1 << 20)
	p, _, out, errOut := pipes(t, Connections{Stdout: near})
	p.Start()
	var process sync.WaitGroup
	process.Go(func() {
		out.Write(sent)
		closeAll(out, errOut)
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.drain(ctx); !errors.Is(err, ErrUndrained) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	var got bytes.Buffer
	for b := make([]byte, 4096); ; {
		n, err := far.Read(b)
		got.Write(b[:n])
		if err != nil {
			break
		}
	}
	process.Wait()
	drained(t, &p.relay)
	if !bytes.Equal(got.Bytes(), sent) {
		t.Errorf("%d bytes of %d, or others", got.Len(), len(sent))
	}
}

// What stands in the pipe when the process ends is passed on, then it is over, although somebody else could write on.
func TestFinishEndsWithWhatIsThere(t *testing.T) {
	for _, quiet := range []bool{true, false} {
		near, far := pair(t)
		p, _, out, errOut := pipes(t, Connections{Stdout: near})
		sent := blob(64 << 10) // what a pipe holds
		out.Write(sent)
		var flood sync.WaitGroup
		if !quiet { // a child that never stops writing
			flood.Go(func() {
				for {
					if _, err := out.Write(make([]byte, 4096)); err != nil {
						return
					}
				}
			})
		}
		p.Start()
		p.finish()
		got, err := io.ReadAll(far)
		if err != nil || !bytes.HasPrefix(got, sent) {
			t.Errorf("quiet %v: %d bytes, or others: %v", quiet, len(got), err)
		}
		flood.Wait()
		drained(t, &p.relay)
		if _, err := errOut.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("quiet %v: standard error is open: %v", quiet, err)
		}
	}
}

// A child may write faster than anybody reads.
func TestRestIsBounded(t *testing.T) {
	zero, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	defer zero.Close()
	to := &limited{most: 2 << 20}
	rest(zero, to, make([]byte, chunk))
	if to.written != 1<<20 {
		t.Errorf("%d bytes", to.written)
	}
}

// limited refuses more than most bytes.
type limited struct{ written, most int }

func (l *limited) Write(b []byte) (int, error) {
	if l.written += len(b); l.written > l.most {
		return 0, io.ErrShortWrite
	}
	return len(b), nil
}

func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if master, err = openMaster(fd); err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAll(master, slave) })
	return master, slave
}

func TestTerminalEndsWithItsLastUser(t *testing.T) {
	master, slave := terminal(t)
	stdout := &memory{}
	r := newTtyRelay(Connections{Stdout: stdout}, master)
	r.Start()
	slave.Write([]byte("last words\n"))
	slave.Close() // the master's next read is EIO
	drained(t, &r.relay)
	if stdout.String() != "last words\r\n" || !stdout.closed {
		t.Errorf("%q, closed: %v", stdout, stdout.closed)
	}
	if err := r.Resize(80, 24); err != nil {
		t.Errorf("resize after the end: %v", err)
	}
}

func TestFinishOfATerminal(t *testing.T) {
	master, slave := terminal(t)
	stdout := &memory{}
	r := newTtyRelay(Connections{Stdout: stdout}, master)
	slave.Write(bytes.Repeat([]byte("x"), 2000))
	r.Start()
	r.finish() // slave is open, as a child would have it
	drained(t, &r.relay)
	if stdout.Len() != 2000 {
		t.Errorf("%d bytes", stdout.Len())
	}
	if _, err := slave.Write([]byte("x")); !errors.Is(err, syscall.EIO) {
		t.Errorf("it did not hang up: %v", err)
	}
}

func TestResize(t *testing.T) {
	master, slave := terminal(t)
	r := newTtyRelay(Connections{}, master)
	defer r.Close()
	if err := r.Resize(132, 43); err != nil {
		t.Fatal(err)
	}
	size, err := unix.IoctlGetWinsize(int(slave.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col != 132 || size.Row != 43 {
		t.Errorf("%+v, %v", size, err)
	}
}
