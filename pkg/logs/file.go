package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"

	"reconciler.dev/reconciler/pkg/logs/cri"
)

// dir is where one container's logs are. It is opened anew each time: it may be removed and made again.
type dir struct{ logs, name string }

// open opens a log. Nothing but a regular file is opened, nothing outside the directory of all logs is reached, and
// nothing is waited for.
func (d dir) open(f cri.File) (*os.File, error) {
	root, err := os.OpenRoot(d.logs)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	path := d.name + "/" + f.String()
	file, err := root.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// list returns the container's logs as they were written; none is no error.
func (d dir) list() ([]cri.File, error) {
	root, err := os.OpenRoot(d.logs)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), d.name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var files []cri.File
	for _, e := range entries {
		if f, ok := cri.ParseName(e.Name()); ok && e.Type().IsRegular() {
			files = append(files, f)
		}
	}
	slices.SortFunc(files, cri.Compare)
	return files, nil
}

// is reports whether an open file has that name now; nil is one that is not there.
func (d dir) is(file *os.File, f cri.File) bool {
	root, err := os.OpenRoot(d.logs)
	if err != nil {
		return file == nil
	}
	defer root.Close()
	there, err := root.Lstat(d.name + "/" + f.String())
	if err != nil || file == nil {
		return err != nil && file == nil
	}
	info, err := file.Stat()
	return err == nil && os.SameFile(info, there)
}

// file is a log that is being read.
type file struct {
	*os.File
	limit  int64 // where reading ends
	at     int64 // of buf[end:]
	buf    []byte
	from   int // what of buf is still to be returned
	end    int
	format format
	time   time.Time // of the last line
}

type format int

const (
	unknown format = iota // there is no whole line yet
	spelled               // by package cri
	raw                   // the container's bytes
)

// bufferSize is several times the longest line of a log; one that is longer was not written by the relay.
const bufferSize = 64 << 10

func newFile(f *os.File) *file {
	return &file{File: f, limit: 1<<63 - 1, buf: make([]byte, bufferSize)}
}

// piece is a line of a log: part of a container's line, unless that fits.
type piece struct {
	time   time.Time
	stream string
	text   []byte
	ended  bool
}

// line returns the next line, or of a long one without format a piece. The error is io.EOF where there is no more yet.
func (f *file) line() (piece, error) {
	for {
		b := f.buf[f.from:f.end]
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			f.from += i + 1
			return f.parse(b[:i], true), nil
		}
		if len(b) == len(f.buf) {
			f.from = f.end
			return f.parse(b, false), nil
		}
		f.from, f.end = 0, copy(f.buf, b)
		n, err := f.ReadAt(f.buf[f.end:min(int64(len(f.buf)), int64(f.end)+f.limit-f.at)], f.at)
		f.end, f.at = f.end+n, f.at+int64(n)
		if n == 0 {
			if err == nil {
				err = io.EOF // the limit
			}
			return piece{}, err
		}
	}
}

// parse understands a line by what the first one of the file looks like: a container without format may write anything.
func (f *file) parse(b []byte, ended bool) piece {
	if f.format == unknown {
		f.format = f.look()
	}
	if f.format == spelled {
		if l, ok := cri.Parse(b); ok {
			f.time = l.Time
			return piece{l.Time, l.Stream, l.Text, l.Tag == cri.Full}
		}
	}
	return piece{time: f.time, text: b, ended: ended} // also what somebody else wrote into a log of ours
}

func (f *file) look() format {
	var b [128]byte // more than stands before the text
	n, _ := f.ReadAt(b[:], 0)
	line, _, _ := bytes.Cut(b[:n], []byte{'\n'})
	if _, ok := cri.Parse(line); ok {
		return spelled
	}
	return raw
}

// rest is what stands behind the last newline of a log without format. In one of ours it is a line not yet whole.
func (f *file) rest() (Line, bool) {
	b := f.buf[f.from:f.end]
	if len(b) == 0 || f.format == spelled || f.format == unknown && f.look() == spelled {
		return Line{}, false
	}
	f.from = f.end
	return Line{Time: f.time, Text: b}, true
}

// skipIfOlder skips what is there if its last change is older: all lines are, or one without times counts so.
func (f *file) skipIfOlder(since time.Time) error {
	info, err := f.Stat()
	if err == nil && info.ModTime().Before(since) {
		f.at = min(info.Size(), f.limit)
	}
	return err
}
