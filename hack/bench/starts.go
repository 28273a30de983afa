package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// starts tells when a container ran its first instruction, by what it wrote to the FIFO.
type starts struct {
	fifo *os.File
	seen chan start
}

type start struct {
	name string
	at   time.Time
}

func listen(path string) (*starts, error) {
	if err := unix.Mkfifo(path, 0o600); err != nil {
		return nil, err
	}
	fifo, err := os.OpenFile(path, os.O_RDWR, 0) // never at its end: we are a writer too
	if err != nil {
		return nil, err
	}
	s := &starts{fifo, make(chan start, 2*many)}
	go func() {
		defer close(s.seen)
		for lines := bufio.NewScanner(fifo); lines.Scan(); {
			s.seen <- start{lines.Text(), time.Now()}
		}
	}()
	return s, nil
}

func (s *starts) Close() error { return s.fifo.Close() }

// next waits for n starts of containers for which want holds and returns the last one's time. Any other start is an
// error: something runs that this arm did not ask for.
func (s *starts) next(ctx context.Context, n int, want func(name string) bool) (at time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for ; n > 0; n-- {
		select {
		case st, ok := <-s.seen:
			if !ok || !want(st.name) {
				return at, fmt.Errorf("an unexpected start of %q", st.name)
			}
			at = st.at
		case <-ctx.Done():
			return at, fmt.Errorf("%d starts not seen: %w", n, ctx.Err())
		}
	}
	return at, nil
}

// one waits for the start of one container.
func (s *starts) one(ctx context.Context, name string) (time.Time, error) {
	return s.next(ctx, 1, func(n string) bool { return n == name })
}
