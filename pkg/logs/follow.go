package logs

import (
	"errors"
	"io/fs"

	"reconciler.dev/reconciler/pkg/logs/cri"
)

// outlook is what comes after a file that was read to its end.
type outlook int

const (
	more    outlook = iota // to be read at once
	nothing                // yet
	over                   // the attempt wrote no more
)

// goOn opens what comes next.
func (r *Reader) goOn() (outlook, error) {
	for len(r.moved) > 0 {
		next := r.moved[0]
		r.moved = r.moved[1:]
		f, err := r.dir.open(next)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nothing, err
		}
		return more, r.read(newFile(f))
	}
	switch {
	case r.live != nil && (r.file == nil || r.file.File != r.live):
		return more, r.read(newFile(r.live))
	case !r.options.Follow:
		return over, nil
	case r.live != nil && r.dir.is(r.live, cri.File{Attempt: r.attempt}):
		return r.nextAttempt()
	}
	return r.nextFile()
}

// read makes f what is read.
func (r *Reader) read(f *file) error {
	if f.File == r.live && !r.options.Follow { // a chatty container would keep its reader for ever
		f.limit = r.size
	}
	if r.file != nil {
		_ = r.file.Close()
	}
	r.file = f
	return f.skipIfOlder(r.options.Since)
}

// nextFile goes on with what took the place of a file that was moved, once what was written before that is read, too.
// Its own name tells where that is; if it was removed meanwhile, what had been moved before it does.
func (r *Reader) nextFile() (outlook, error) {
	files, err := r.dir.list()
	if err != nil {
		return nothing, err
	}
	after := r.highest
	for _, f := range files {
		if f.Attempt == r.attempt && r.live != nil && r.dir.is(r.live, f) {
			after = f.Generation
		}
	}
	r.live = nil // it is the file that was read
	switch err := r.begin(after); {
	case errors.Is(err, fs.ErrNotExist):
		r.highest = after
		return r.nextAttempt()
	case err != nil:
		return nothing, err
	}
	return more, nil
}

// nextAttempt finds the next one that has a log. This one is over if nothing more has come of it since.
func (r *Reader) nextAttempt() (outlook, error) {
	files, err := r.dir.list()
	if err != nil {
		return nothing, err
	}
	for _, f := range files {
		if f.Attempt > r.attempt {
			if r.later != 0 {
				return over, nil
			}
			r.later = f.Attempt
			break
		}
	}
	return nothing, nil
}

// enter goes on with another attempt.
func (r *Reader) enter(attempt int) error {
	r.attempt, r.later = attempt, 0
	err := r.begin(0)
	if errors.Is(err, fs.ErrNotExist) { // removed meanwhile: there may be others
		r.live, r.moved, r.highest, err = nil, nil, 0, nil
	}
	return err
}
