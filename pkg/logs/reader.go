package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"reconciler.dev/reconciler/pkg/logs/cri"
)

// Options say which lines are read.
type Options struct {
	Attempt int       // 0: the newest that has a log
	Tail    int       // at most so many lines from the end of that attempt; 0: all
	Since   time.Time // none that are older; of logs without times a whole file counts as written at its last change
	Follow  bool      // wait for more, and go on to the next attempts
}

// Line is one line of a container, or a piece of one.
type Line struct {
	Attempt int
	Time    time.Time // when its first byte was taken; zero in logs without times
	Stream  string    // stdout or stderr; empty in logs without streams
	Text    []byte    // without newline; good until the next call of Next
	Ended   bool      // by a newline. Else it goes on in the next piece, or was the last and had none
}

// Reader reads the logs of one container. It is not for use by several goroutines at the same time.
type Reader struct {
	dir     dir
	options Options

	attempt int
	moved   []cri.File // still to be read before live
	live    *os.File   // what is, or was, written; nil while there is none
	size    int64      // of live, when it was opened
	highest int        // generation of the newest file that had been moved when live was opened
	file    *file      // being read; nil before the first
	joins   joins
	drop    int // lines that come before the tail

	later int // another attempt that was there when live was last read to its end; 0 for none
}

// poll is how often a follower looks.
const poll = 100 * time.Millisecond

// Open opens the logs of a container below the directory of all logs, up to what is there now unless they are followed.
// The error is fs.ErrNotExist if the attempt, or any, has none. The caller closes the Reader.
func Open(logs, name string, o Options) (*Reader, error) {
	r := &Reader{dir: dir{logs, name}, options: o, attempt: o.Attempt}
	if r.attempt == 0 {
		files, err := r.dir.list()
		if err != nil {
			return nil, r.wrap(err)
		}
		if len(files) > 0 {
			r.attempt = files[len(files)-1].Attempt
		}
	}
	err := r.begin(0)
	if err == nil && o.Tail > 0 {
		err = r.skipToTail(o.Tail)
	}
	if err != nil {
		r.Close()
		return nil, r.wrap(err)
	}
	return r, nil
}

// Attempt is that of what is read.
func (r *Reader) Attempt() int { return r.attempt }

// Close gives back the files.
func (r *Reader) Close() {
	if r.file != nil && r.file.File != r.live {
		_ = r.file.Close()
	}
	if r.live != nil {
		_ = r.live.Close()
	}
	r.file, r.live = nil, nil
}

// Next returns the next line. The error is io.EOF after the last one of a log that is not followed, and that of ctx when
// it ends while more is waited for.
func (r *Reader) Next(ctx context.Context) (Line, error) {
	for {
		l, ok, err := r.next()
		if ok || err != nil {
			return l, r.wrap(err)
		}
		what, err := r.goOn()
		switch {
		case err != nil:
			return Line{}, r.wrap(err)
		case what == nothing:
			if err := wait(ctx); err != nil {
				return Line{}, err
			}
		case what == over:
			if l, ok := r.rest(); ok {
				return l, nil
			}
			if !r.options.Follow {
				return Line{}, io.EOF
			}
			if err := r.enter(r.later); err != nil {
				return Line{}, r.wrap(err)
			}
		}
	}
}

func (r *Reader) wrap(err error) error {
	if err != nil {
		err = fmt.Errorf("logs of container %q: %w", r.dir.name, err)
	}
	return err
}

// next is the next line of what is being read, false at its end.
func (r *Reader) next() (Line, bool, error) {
	if r.file == nil {
		return Line{}, false, nil
	}
	for {
		l, err := r.file.line()
		if errors.Is(err, io.EOF) {
			return Line{}, false, nil
		}
		if err != nil {
			return Line{}, false, err
		}
		r.later = 0
		if l, ok := r.joins.add(l); ok && r.wanted(l) {
			l.Attempt = r.attempt
			return l, true, nil
		}
	}
}

// rest is what an attempt wrote behind its last newline, a stream at a time.
func (r *Reader) rest() (Line, bool) {
	l, ok := r.joins.rest()
	if !ok && r.file != nil {
		l, ok = r.file.rest()
	}
	l.Attempt = r.attempt
	return l, ok && r.wanted(l)
}

// wanted reports whether a line is neither before the tail nor too old.
func (r *Reader) wanted(l Line) bool {
	if r.drop > 0 {
		if l.Ended {
			r.drop--
		}
		return false
	}
	return l.Time.IsZero() || !l.Time.Before(r.options.Since)
}

func wait(ctx context.Context) error {
	t := time.NewTimer(poll)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// begin opens what is written of the present attempt and lists what was moved out of its way after a generation. The
// two belong together: what was opened still has its name after the listing.
func (r *Reader) begin(after int) error {
	current := cri.File{Attempt: r.attempt}
	for {
		live, err := r.dir.open(current)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		files, err := r.dir.list()
		if err != nil {
			return err
		}
		if !r.dir.is(live, current) {
			if live != nil {
				_ = live.Close()
			}
			continue // moved meanwhile, or made
		}
		r.live, r.moved, r.highest = live, nil, after
		if live != nil {
			info, err := live.Stat()
			if err != nil {
				return err
			}
			r.size = info.Size()
		}
		for _, f := range files {
			if f.Attempt == r.attempt && f.Generation > after {
				r.moved, r.highest = append(r.moved, f), f.Generation
			}
		}
		if live == nil && len(r.moved) == 0 {
			return fs.ErrNotExist
		}
		return nil
	}
}
