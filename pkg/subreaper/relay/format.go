package relay

import (
	"bytes"

	"reconciler.dev/reconciler/pkg/logs/cri"
)

// cut takes the first line from b: its text, its tag and how much of b it is. It is 0 for an unfinished line, unless
// that is the last of all. What is cut depends on the bytes alone, never on how they came: a redo, or a container that
// writes byte by byte, makes the same lines.
func cut(b []byte, last bool) (text []byte, tag byte, n int) {
	if i := bytes.IndexByte(b[:min(len(b), cri.MaxText+1)], '\n'); i >= 0 {
		return b[:i], cri.Full, i + 1
	}
	switch {
	case len(b) > cri.MaxText:
		return b[:cri.MaxText], cri.Partial, cri.MaxText
	case last && len(b) > 0:
		return b, cri.Partial, len(b)
	}
	return nil, 0, 0
}

// prefixes are what stands before the lines of a batch.
type prefixes [2][2][cri.PrefixLen]byte // by stream; full, partial

func (p *prefixes) set(nanoseconds int64) {
	for i, stream := range cri.Streams {
		cri.AppendPrefix(p[i][0][:0], nanoseconds, stream, cri.Full)
		cri.AppendPrefix(p[i][1][:0], nanoseconds, stream, cri.Partial)
	}
}

// chunk is what is written to a log at once: whole lines, with room for the longest.
type chunk struct {
	bytes []byte
	room  int64 // bytes up to the log's bound
	cover int64 // bytes that a killed relay, or a full disk, left half written: to be written over whatever the bound
}

// add appends a line if it fits.
func (c *chunk) add(prefix *[cri.PrefixLen]byte, text []byte) bool {
	n := len(c.bytes) + len(prefix) + len(text) + 1
	if n > cap(c.bytes) || int64(n) > c.room && int64(len(c.bytes)) >= c.cover {
		return false
	}
	c.bytes = append(append(append(c.bytes, prefix[:]...), text...), '\n')
	return true
}

// lines appends as many lines of a journal's bytes as fit. It returns how much of b that is and whether there was no
// room for another; last says that nothing comes behind b.
func (c *chunk) lines(p *[2][cri.PrefixLen]byte, b []byte, last bool) (n int, full bool) {
	for {
		text, tag, k := cut(b[n:], last)
		if k == 0 {
			return n, false
		}
		prefix := &p[0]
		if tag == cri.Partial {
			prefix = &p[1]
		}
		if !c.add(prefix, text) {
			return n, true
		}
		n += k
	}
}
