package relay

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/logs/cri"
)

const (
	// atOnce bounds what one pass takes from a stream, so that a container which floods delays nobody for long. It is what
	// a FIFO holds by default.
	atOnce = 64 << 10

	// freeable is how much of a journal may be in the log before it is given back to the file system.
	freeable = 32 << 10

	windowSize = 64 << 10  // what is looked at together: at least the longest line
	chunkSize  = 128 << 10 // a pass of ordinary lines, with their prefixes
)

// pass takes what there is of an output, up to a bound, and brings it into the log. It returns how many bytes it took
// and whether the output is complete. After an error nothing is lost, and nothing more is taken until it is gone.
func (r *relay) pass(o *output) (taken int64, over bool, err error) {
	if o.gap {
		if err := r.mend(o); err != nil {
			return 0, false, err
		}
	}
	// A batch in progress is one that could not be written; its journals must stay as they are until it is.
	pending := o.state.time != 0
	if !pending && !o.state.last {
		if err := o.restart(); err != nil {
			return 0, false, err
		}
		if taken, err = o.take(); err != nil {
			// What is full may be so of journals, this one's among them.
			return taken, false, errors.Join(err, r.write(o, false), o.free(1))
		}
	}
	if err := r.write(o, o.state.last); err != nil {
		return taken, false, err
	}
	if o.ending && taken == 0 && !pending && !o.state.last {
		if err := r.write(o, true); err != nil {
			return 0, false, err
		}
		return 0, true, nil
	}
	return taken, o.state.last, o.free(freeable)
}

// take moves what is in the FIFOs to the end of the journals, without a copy in this process.
func (o *output) take() (taken int64, err error) {
	for i := range o.streams {
		s := &o.streams[i]
		if s.armed {
			continue // epoll has not told of any
		}
		most := int64(atOnce)
		if o.ending {
			most = min(most, s.left)
		}
		for most > 0 {
			at := s.size
			n, err := unix.Splice(s.fifo, nil, s.journal, &at, int(most), unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil && !errors.Is(err, unix.EAGAIN) {
				return taken, fmt.Errorf("take from its FIFO: %w", err)
			}
			s.size += max(n, 0)
			s.left -= max(n, 0)
			taken += max(n, 0)
			break
		}
	}
	return taken, nil
}

// write brings what was taken into the log, one batch in chunks of whole lines; an unfinished line waits in its journal
// unless it is the last. The order of effects is what makes it repeatable: see doc.go.
func (r *relay) write(o *output, last bool) error {
	for {
		size, err := r.readyLog(o)
		if err != nil {
			return err
		}
		next, full, err := r.fill(o, size, last)
		if err != nil {
			return err
		}
		if len(r.chunk.bytes) == 0 && full {
			if err := r.rotate(o); err != nil {
				return err
			}
			continue
		}
		if err := r.put(o, next, full, last); err != nil || !full {
			return err
		}
	}
}

// put writes a chunk and commits it. The batch's time is in the state before anything of it is in the log; it stays
// there while more chunks are to come.
func (r *relay) put(o *output, next state, more, last bool) error {
	if len(r.chunk.bytes) > 0 {
		if o.state.time == 0 {
			begun := o.state
			begun.time, begun.last = next.time, last
			if err := o.commit(begun); err != nil {
				return err
			}
		}
		if err := writeAt(o.logFD, r.chunk.bytes, o.state.log); err != nil {
			return fmt.Errorf("write its log: %w", err)
		}
	}
	next.log += int64(len(r.chunk.bytes))
	next.last = last
	if !more {
		next.time = 0
	}
	if next == o.state {
		return nil
	}
	return o.commit(next)
}

// fill formats what fits into one chunk: stdout's lines, then stderr's. It returns the state after it, and whether there
// was no room for more of the batch. A log of size bytes may hold some of it already.
func (r *relay) fill(o *output, size int64, last bool) (next state, full bool, err error) {
	next = o.state
	if next.time == 0 {
		next.time = max(1, r.now())
	}
	prefixes := r.prefixes.at(next.time)
	r.chunk = chunk{bytes: r.chunk.bytes[:0], room: o.bound.MaxSize - o.state.log, cover: size - o.state.log}
	for i := range o.streams {
		s := &o.streams[i]
		for end := false; !end; {
			b := r.window[:min(int64(len(r.window)), max(0, s.size-next.read[i]))]
			n, err := unix.Pread(s.journal, b, next.read[i])
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil {
				return next, false, fmt.Errorf("read its journal: %w", err)
			}
			if n < len(b) || s.size < next.read[i] {
				return next, false, o.journalCut(i)
			}
			end = next.read[i]+int64(n) == s.size
			k, noRoom := r.chunk.lines(&prefixes[i], b, last && end)
			next.read[i] += int64(k)
			if noRoom {
				return next, true, nil
			}
		}
	}
	return next, false, nil
}

// journalCut is for a journal that somebody else made shorter: what was in it and not in the log is gone.
func (o *output) journalCut(i int) error {
	s := &o.streams[i]
	size, err := sizeOf(s.journal)
	if err != nil {
		return err
	}
	lost := s.size - max(size, o.state.read[i])
	s.size, s.freed = size, min(s.freed, size)
	next := o.state
	next.read[i] = min(next.read[i], size)
	if err := o.commit(next); err != nil {
		return err
	}
	return fmt.Errorf("its journal of %s was cut by somebody else, %d bytes of output are lost", cri.Streams[i], max(0, lost))
}

// free gives back what of a journal is in the log, if it is at least so many bytes. In the middle of a batch it does
// nothing.
func (o *output) free(least int64) (err error) {
	if o.state.time != 0 {
		return nil
	}
	next := o.state
	for i := range o.streams {
		s := &o.streams[i]
		read := o.state.read[i]
		switch {
		case read-s.freed < least:
		case read == s.size:
			// A successor that finds it empty, and read up to somewhere, reads on from the start.
			if e := unix.Ftruncate(s.journal, 0); e != nil {
				err = fmt.Errorf("empty its journal: %w", e)
				continue
			}
			s.size, s.freed, next.read[i] = 0, 0, 0
		default:
			// Not every file system can; there it waits until nothing is unfinished.
			_ = unix.Fallocate(s.journal, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, read)
			s.freed = read
		}
	}
	if next != o.state { // before anything is taken again
		err = errors.Join(err, o.commit(next))
	}
	return err
}

// restart commits that a journal was emptied, if free could not: what is taken next lies at its start.
func (o *output) restart() error {
	next := o.state
	for i := range o.streams {
		next.read[i] = min(next.read[i], o.streams[i].size)
	}
	if next == o.state {
		return nil
	}
	return o.commit(next)
}

// writeAt writes all of b or fails.
func writeAt(fd int, b []byte, at int64) error {
	for len(b) > 0 {
		n, err := unix.Pwrite(fd, b, at)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case n == 0:
			return unix.ENOSPC
		default:
			b, at = b[n:], at+int64(n)
		}
	}
	return nil
}
