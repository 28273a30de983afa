package logs

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// more than n lines are looked for: the parts of one may begin before the end of some of the other stream's.
const spare = 100

// skipToTail leaves the last n lines of the attempt to be read.
func (r *Reader) skipToTail(n int) error {
	t := tail{lines: n + spare, last: true}
	defer func() { r.drop = max(0, spare-t.lines) }()
	if r.live != nil {
		at, enough, err := t.find(r.live, r.size)
		if err != nil {
			return err
		}
		if enough {
			r.moved = nil
			f := newFile(r.live)
			f.at = at
			return r.read(f)
		}
	}
	for i := len(r.moved) - 1; i >= 0; i-- {
		f, err := r.dir.open(r.moved[i])
		if errors.Is(err, fs.ErrNotExist) { // and so are those before
			r.moved = r.moved[i+1:]
			return nil
		}
		if err != nil {
			return err
		}
		at, enough, err := t.find(f, -1)
		if err == nil && enough {
			r.moved = r.moved[i+1:]
			from := newFile(f)
			from.at = at
			return r.read(from)
		}
		_ = f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// tail is a search from the end of an attempt's last file on.
type tail struct {
	lines int  // still to be found
	last  bool // nothing comes behind what is searched: what has no end counts
}

// find tells from where on a file of size bytes (-1: as it is) holds the lines that are still missing, if it holds as
// many and the end of another: where that ends the first of them begins. It reads a part that grows until it is enough.
func (t *tail) find(f *os.File, size int64) (at int64, enough bool, err error) {
	if size < 0 {
		info, err := f.Stat()
		if err != nil {
			return 0, false, err
		}
		size = info.Size()
	}
	for part := int64(bufferSize); ; part *= 4 {
		from := max(0, size-part)
		ends, err := t.ends(f, from, size, nil)
		if err != nil {
			return 0, false, err
		}
		switch {
		case ends > t.lines:
			first := ends - t.lines
			t.lines = 0
			_, err := t.ends(f, from, size, func(n int, end int64) bool { at = end; return n < first })
			return at, true, err
		case from == 0:
			t.lines, t.last = t.lines-ends, false
			return 0, false, nil
		}
	}
}

// ends counts the lines that end in a part of a file, and tells where, until told to stop.
func (t *tail) ends(f *os.File, from, size int64, tell func(n int, end int64) bool) (n int, err error) {
	lines := newFile(f)
	lines.at, lines.limit = from, size
	open := map[string]bool{}
	if from > 0 { // the first one was cut by where the part begins
		if _, err := lines.line(); err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
	}
	for {
		p, err := lines.line()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
		open[p.stream] = !p.ended
		if !p.ended {
			continue
		}
		if n++; tell != nil && !tell(n, lines.at-int64(lines.end-lines.from)) {
			return n, nil
		}
	}
	if t.last {
		for _, isOpen := range open {
			if isOpen {
				n++
			}
		}
		if _, ok := lines.rest(); ok && !open[""] {
			n++
		}
	}
	return n, nil
}
