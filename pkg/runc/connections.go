package runc

import (
	"io"
	"reflect"
	"sync"
)

// Connections are where the streams of a process lead, on the side of whoever looks after it: connections of net, ends of
// pipes, anything with these methods. Nil is as /dev/null: nothing to read, and what is written is thrown away. A terminal
// has no standard error of its own, so Stderr is not used then.
//
// A stream that ends does not end the others. Where a connection has CloseRead or CloseWrite, as those of net have, half
// of it is closed; else it is closed when no stream uses it any more. So one connection may serve two or three streams.
// Close must end a Read or Write under way, as it does for all of these.
type Connections struct {
	Stdin          io.ReadCloser
	Stdout, Stderr io.WriteCloser
}

// endpoint is a connection with the count of streams in each direction that use it.
type endpoint struct {
	io.Closer

	mu               sync.Mutex
	readers, writers int
	closed           bool
}

// endpoints returns the three endpoints, nil for nil: the same one for the same connection.
func (c Connections) endpoints() (in, out, err *endpoint) {
	if c.Stdin != nil {
		in = &endpoint{Closer: c.Stdin, readers: 1}
	}
	writer := func(w io.WriteCloser, others ...*endpoint) *endpoint {
		if w == nil {
			return nil
		}
		for _, e := range others {
			if e != nil && same(e.Closer, w) {
				e.writers++
				return e
			}
		}
		return &endpoint{Closer: w, writers: 1}
	}
	out = writer(c.Stdout, in)
	return in, out, writer(c.Stderr, in, out)
}

// same does not panic where values cannot be compared.
func same(a, b io.Closer) bool {
	return reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

// doneReading ends a stream that reads from the connection.
func (e *endpoint) doneReading() {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.readers--
	if half, ok := e.Closer.(interface{ CloseRead() error }); ok {
		half.CloseRead()
		return
	}
	e.closeUnused()
}

// doneWriting ends a stream that writes to the connection.
func (e *endpoint) doneWriting() {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.writers--; e.writers > 0 {
		return
	}
	if half, ok := e.Closer.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
		return
	}
	e.closeUnused()
}

// closeUnused needs mu. What was closed already may be closed by its owner as well: that error tells nothing.
func (e *endpoint) closeUnused() {
	if e.readers <= 0 && e.writers <= 0 && !e.closed {
		e.closed = true
		e.Closer.Close()
	}
}

// Close closes the connection, once, whoever uses it.
func (e *endpoint) Close() {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.readers, e.writers = 0, 0
	e.closeUnused()
}
