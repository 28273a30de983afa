package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/reconcile"
)

// LogOptions says which log of a container, and how much of it.
type LogOptions struct {
	Attempt  int  // 0: the current or last one that has a log
	Previous bool // the last ended one before the current or awaited one
	Tail     int  // this many lines from the end; 0: all of it
}

func (o LogOptions) check() error {
	switch {
	case o.Attempt < 0:
		return invalid("attempt %d: the first attempt is 1", o.Attempt)
	case o.Tail < 0:
		return invalid("tail %d: a number of lines is at least 1", o.Tail)
	case o.Previous && o.Attempt != 0:
		return invalid("an attempt and the previous one cannot both be asked for")
	}
	return nil
}

// Log is the output of one instance, up to what was written when it was opened. The caller closes it.
type Log struct {
	Instance string
	io.ReadCloser
}

// Logs implements Reading.
func (r *Reader) Logs(ctx context.Context, name string, o LogOptions) (*Log, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := r.known(name); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(r.LogDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noLog(name, o)
	}
	if err != nil {
		return nil, fmt.Errorf("logs of container %q: %w", name, err)
	}
	defer root.Close()
	attempt, err := r.logAttempt(ctx, root, name, o)
	if err != nil {
		return nil, err
	}
	o.Attempt = attempt
	file, err := openLog(root, name, o)
	if err != nil {
		return nil, err
	}
	content, err := content(file, o.Tail)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("logs of container %q: %w", name, err)
	}
	return &Log{observed.InstanceID(name, attempt), readCloser{content, file}}, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

func noLog(name string, o LogOptions) error {
	which := "container " + strconv.Quote(name)
	if o.Attempt != 0 {
		which = "instance " + observed.InstanceID(name, o.Attempt)
	}
	if o.Previous {
		which += " before the current instance"
	}
	return &Error{Reason: "NotFound", Message: "no log of " + which}
}

// logAttempt is the number of the attempt that is meant.
func (r *Reader) logAttempt(ctx context.Context, root *os.Root, name string, o LogOptions) (int, error) {
	switch {
	case o.Attempt != 0:
		return o.Attempt, nil
	case o.Previous:
		return r.previous(ctx, name)
	}
	newest := 0
	entries, err := fs.ReadDir(root.FS(), name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("logs of container %q: %w", name, err)
	}
	for _, e := range entries {
		if number, ok := strings.CutSuffix(e.Name(), ".log"); ok {
			if n, err := strconv.Atoi(number); err == nil {
				newest = max(newest, n)
			}
		}
	}
	if newest == 0 {
		return 0, noLog(name, o)
	}
	return newest, nil
}

// previous is the last attempt with an exit before the current one. While the next one is awaited that is the one which
// status shows as the last.
func (r *Reader) previous(ctx context.Context, name string) (int, error) {
	exits, err := r.DB.Exits(name)
	if err != nil {
		return 0, err
	}
	rec, err := r.DB.Record(name)
	if err != nil {
		return 0, err
	}
	current := rec.LastAttempt
	if c, err := r.Container(ctx, name); err == nil && awaited(c.Status.Phase) {
		current++
	}
	for i := len(exits) - 1; i >= 0; i-- {
		if exits[i].Attempt < current {
			return exits[i].Attempt, nil
		}
	}
	return 0, noLog(name, LogOptions{Previous: true})
}

// awaited: the next attempt is still to come.
func awaited(p reconcile.Phase) bool { return p == reconcile.BackOff || p == reconcile.Pending }

// openLog opens a log file. Its directory is ours alone; still nothing but a regular file in it is opened, and opening
// never blocks.
func openLog(root *os.Root, name string, o LogOptions) (*os.File, error) {
	path := fmt.Sprintf("%s/%d.log", name, o.Attempt)
	f, err := root.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noLog(name, o)
	}
	if err != nil {
		return nil, fmt.Errorf("logs of container %q: %w", name, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("logs of container %q: %w", name, err)
	}
	return f, nil
}

// content is the last lines of a file, or all of it for 0, up to its size now: what is written meanwhile would keep the
// reader of a chatty container for ever.
func content(f *os.File, lines int) (io.Reader, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size, from := info.Size(), int64(0)
	if lines > 0 {
		if from, err = tailOffset(f, size, lines); err != nil {
			return nil, err
		}
	}
	return io.NewSectionReader(f, from, size-from), nil
}

// tailOffset is where the last lines begin. A last line without its newline is a line.
func tailOffset(r io.ReaderAt, size int64, lines int) (int64, error) {
	block := make([]byte, 64<<10)
	end := size
	for end > 0 {
		begin := max(0, end-int64(len(block)))
		b := block[:end-begin]
		if _, err := r.ReadAt(b, begin); err != nil && err != io.EOF {
			return 0, err
		}
		if end == size && b[len(b)-1] == '\n' {
			b = b[:len(b)-1] // it ends the last line, and begins none
		}
		for i := bytes.LastIndexByte(b, '\n'); i >= 0; i = bytes.LastIndexByte(b[:i], '\n') {
			if lines--; lines == 0 {
				return begin + int64(i) + 1, nil
			}
		}
		end = begin
	}
	return 0, nil
}
