package runc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// relay copies between connections and this side's ends of a process's streams. It is safe for concurrent use.
type relay struct {
	in   *os.File   // what the process reads
	outs []*os.File // what it writes: standard output and error, or the terminal alone, which is in as well
	tty  bool

	mu      sync.Mutex // guards what follows
	conns   Connections
	ends    []*endpoint // of conns, once started
	started bool
	closed  bool
	copied  chan struct{} // closed when all that the process wrote has been passed on
}

func newRelay(c Connections, in *os.File, outs ...*os.File) relay {
	return relay{conns: c, in: in, outs: outs, tty: in == outs[0], copied: make(chan struct{})}
}

// Replace binds the streams to other connections and returns the earlier ones, which are the caller's again. It can be
// done until the relay starts or is closed; then the error is ErrRelaying.
func (r *relay) Replace(c Connections) (earlier Connections, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.started || r.closed {
		return Connections{}, ErrRelaying
	}
	earlier, r.conns = r.conns, c
	return earlier, nil
}

// Start begins to copy, once; Container.Start and Exec do it. From now on the connections are the relay's to close.
//
// A connection that ends is the end of the process's standard input, but not of a terminal's. One that can no longer be
// written is to the process a pipe without a reader, or a terminal that hung up.
func (r *relay) Start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.started || r.closed {
		return
	}
	r.started = true
	in, out, err := r.conns.endpoints()
	r.ends = []*endpoint{in, out, err}
	if r.tty {
		err.doneWriting()
	}
	go r.copyIn(r.conns.Stdin, in)
	var copying sync.WaitGroup
	copying.Go(func() { r.copyOut(r.outs[0], r.conns.Stdout, out) })
	if !r.tty {
		copying.Go(func() { r.copyOut(r.outs[1], r.conns.Stderr, err) })
	}
	go func() {
		copying.Wait()
		close(r.copied)
	}()
}

// Close closes the connections and the process's streams, at any time: before the start, too. What the process wrote and
// is not passed on yet is lost. Waiting for the process ends with it.
func (r *relay) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.closed = true
	if !r.started {
		in, out, err := r.conns.endpoints()
		r.ends = []*endpoint{in, out, err}
		close(r.copied)
	}
	for _, e := range r.ends {
		e.Close()
	}
	r.closeFiles()
}

func (r *relay) closeFiles() {
	r.in.Close()
	for _, f := range r.outs {
		f.Close()
	}
}

// drain waits until all that the process wrote is passed on, and closes. It starts what was not started: that is how it
// is when a start failed but had its effect. ctx ends the wait, not the copying.
func (r *relay) drain(ctx context.Context) error {
	r.Start()
	select {
	case <-r.copied:
		r.Close()
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUndrained, ctx.Err())
	}
}

// finish has the copying end with what the process has written until now, whoever holds its streams open: for one that
// has ended and may have left children.
func (r *relay) finish() {
	for _, f := range r.outs {
		f.SetReadDeadline(time.Unix(1, 0))
	}
}

// chunk is what is copied at once, in bytes.
const chunk = 32 << 10

func (r *relay) copyIn(from io.Reader, e *endpoint) {
	if from != nil {
		io.CopyBuffer(onlyWriter{r.in}, onlyReader{from}, make([]byte, chunk))
		e.doneReading()
	}
	if !r.tty {
		r.in.Close()
	}
}

// These hide methods by which io.Copy would go other ways: what it read must be told from what it could not write.
type (
	onlyWriter struct{ io.Writer }
	onlyReader struct{ io.Reader }
)

func (r *relay) copyOut(from *os.File, to io.Writer, e *endpoint) {
	if to == nil {
		to = io.Discard
	}
	buf := make([]byte, chunk)
	for {
		n, err := from.Read(buf)
		if n > 0 && write(to, buf[:n]) != nil {
			break
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			rest(from, to, buf)
			break
		}
		if err != nil { // io.EOF of a pipe; EIO of a terminal that nobody else has open
			break
		}
	}
	from.Close()
	e.doneWriting()
}

func write(to io.Writer, b []byte) error {
	n, err := to.Write(b)
	if err == nil && n < len(b) {
		return io.ErrShortWrite
	}
	return err
}

// rest passes on what is there at this moment. A process that has ended left no more than a pipe or a terminal holds; all
// of it comes before what its children go on to write.
func rest(from *os.File, to io.Writer, buf []byte) {
	from.SetReadDeadline(time.Time{})
	conn, err := from.SyscallConn()
	if err != nil {
		return
	}
	const most = 1 << 20 // bytes: /proc/sys/fs/pipe-max-size as it is by default; a terminal holds less
	for passed := 0; passed < most; {
		var n int
		// True: do not wait. The file is not blocking, so nothing there is EAGAIN.
		if conn.Read(func(fd uintptr) bool { n = readNow(fd, buf); return true }) != nil || n <= 0 || write(to, buf[:n]) != nil {
			return
		}
		passed += n
	}
}

// readNow polls first: only that makes a terminal hand over what is on its way (n_tty.c).
func readNow(fd uintptr, buf []byte) int {
	if events, err := poll(fd); err != nil || events&unix.POLLIN == 0 {
		return 0
	}
	for {
		n, err := unix.Read(int(fd), buf)
		if !errors.Is(err, unix.EINTR) {
			return n
		}
	}
}
