package cri

import (
	"bytes"
	"time"
)

// Tags of a line.
const (
	Full    = 'F' // ends with a newline in the container's output
	Partial = 'P' // the next line of the same stream goes on with it
)

// Streams, in the order in which a batch writes them.
var Streams = [2]string{"stdout", "stderr"}

// MaxText is how many bytes of a container's line stand in one line of a log; a longer one is written in parts.
const MaxText = 16 << 10

// PrefixLen is the length of what AppendPrefix appends: time, stream and tag, each with a blank behind it.
const PrefixLen = len(timeLayout) + 1 + len("stdout") + 1 + 1 + 1

// timeLayout is RFC 3339 in UTC, always with nine digits so that times of a log can be compared as text.
const timeLayout = "2006-01-02T15:04:05.000000000Z"

// AppendPrefix appends what stands before the text of a line. The time is in nanoseconds since 1970, of a year with
// four digits. It does not allocate if there is room.
func AppendPrefix(b []byte, nanoseconds int64, stream string, tag byte) []byte {
	b = time.Unix(0, nanoseconds).UTC().AppendFormat(b, timeLayout)
	b = append(append(b, ' '), stream...)
	return append(b, ' ', tag, ' ')
}

// Line is one line of a log file.
type Line struct {
	Time   time.Time // UTC
	Stream string    // stdout or stderr
	Tag    byte      // Full or Partial
	Text   []byte    // as the container wrote it, without newline; part of what was parsed
}

// Parse takes a line of a log file, without its newline. It is not ok if the line is spelled in any other way, as in
// logs from before there was a format. Other writers' time zones, fractions and additional tags are understood.
func Parse(b []byte) (l Line, ok bool) {
	when, rest, ok1 := bytes.Cut(b, space)
	stream, rest, ok2 := bytes.Cut(rest, space)
	tags, text, ok3 := bytes.Cut(rest, space)
	if !ok1 || !ok2 || !ok3 || len(when) > len("2006-01-02T15:04:05.000000000+00:00") {
		return Line{}, false
	}
	switch string(stream) {
	case Streams[0]:
		l.Stream = Streams[0]
	case Streams[1]:
		l.Stream = Streams[1]
	default:
		return Line{}, false
	}
	if tags, _, _ = bytes.Cut(tags, colon); len(tags) != 1 || tags[0] != Full && tags[0] != Partial {
		return Line{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, string(when))
	if err != nil {
		return Line{}, false
	}
	l.Time, l.Tag, l.Text = t.UTC(), tags[0], text
	return l, true
}

var space, colon = []byte{' '}, []byte{':'}
