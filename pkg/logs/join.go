package logs

import "time"

// maxJoined is how much of a line is held to be returned as one; a longer one is returned in pieces.
const maxJoined = 1 << 20

// joins puts the parts of lines together again, by stream: the parts of two streams may be mixed.
type joins map[string]*join

type join struct {
	time time.Time // of the first part
	text []byte
	done bool // text was returned
}

// add takes a part and returns the line that it completes, or a piece of one that is too long to be held.
func (j *joins) add(p piece) (Line, bool) {
	held := (*j)[p.stream]
	switch {
	case held == nil && p.ended:
		return Line{Time: p.time, Stream: p.stream, Text: p.text, Ended: true}, true
	case held == nil:
		if *j == nil {
			*j = joins{}
		}
		held = &join{time: p.time}
		(*j)[p.stream] = held
	case held.done:
		held.text, held.done = held.text[:0], false
	}
	held.text = append(held.text, p.text...)
	if !p.ended && len(held.text) < maxJoined {
		return Line{}, false
	}
	if p.ended {
		delete(*j, p.stream)
	}
	held.done = true
	return Line{Time: held.time, Stream: p.stream, Text: held.text, Ended: p.ended}, true
}

// rest is what has no end: the last bytes of an attempt that wrote no newline behind them.
func (j *joins) rest() (Line, bool) {
	for stream, held := range *j {
		delete(*j, stream)
		if !held.done && len(held.text) > 0 {
			return Line{Time: held.time, Stream: stream, Text: held.text}, true
		}
	}
	return Line{}, false
}
