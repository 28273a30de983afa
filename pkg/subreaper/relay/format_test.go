package relay

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"reconciler.dev/reconciler/pkg/logs/cri"
)

// output of every kind: empty lines, long ones around the limits, NULs, broken UTF-8, no newline at the end.
func someOutput(r *rand.Rand, size int) []byte {
	var b []byte
	for len(b) < size {
		n := []int{0, 1, 7, 80, 100, cri.MaxText - 1, cri.MaxText, cri.MaxText + 1, 3 * cri.MaxText}[r.IntN(9)]
		if r.IntN(3) > 0 {
			n = r.IntN(120)
		}
		for range n {
			if c := byte(r.Uint32()); c != '\n' {
				b = append(b, c)
			}
		}
		b = append(b, '\n')
	}
	return b[:len(b)-r.IntN(2)]
}

// linesOf formats b as it comes in pieces, as a relay does that keeps the unfinished rest.
func linesOf(b []byte, piece func() int) []byte {
	var p prefixes
	p.set(1e18)
	var out, rest []byte
	c := chunk{bytes: make([]byte, 0, chunkSize), room: chunkSize}
	for len(b) > 0 {
		n := min(piece(), len(b))
		rest, b = append(rest, b[:n]...), b[n:]
		for full := true; full; {
			c.bytes = c.bytes[:0]
			n, full = c.lines(&p[0], rest, len(b) == 0)
			rest, out = rest[n:], append(out, c.bytes...)
		}
	}
	return out
}

// TestAnyPiecesMakeTheSameLines: a redo, and a container that writes byte by byte, make the same log.
func TestAnyPiecesMakeTheSameLines(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 0))
		b := someOutput(r, 100_000)
		whole := linesOf(b, func() int { return len(b) })
		for _, most := range []int{3, 4096, 70_000} {
			if pieces := linesOf(b, func() int { return 1 + r.IntN(most) }); !bytes.Equal(pieces, whole) {
				t.Fatalf("seed %d: pieces of up to %d bytes make another log", seed, most)
			}
		}
		if got := unformat(t, whole)["stdout"]; !bytes.Equal(got, b) {
			t.Fatalf("seed %d: %d bytes came out as %d", seed, len(b), len(got))
		}
	}
}

// unformat is what the lines of a log say that a container wrote, by stream.
func unformat(t testing.TB, log []byte) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for l := range bytes.Lines(log) {
		text, whole := bytes.CutSuffix(l, []byte("\n"))
		line, ok := cri.Parse(text)
		if !ok || !whole || len(line.Text) > cri.MaxText {
			t.Fatalf("not a line: %.200q", l)
		}
		out[line.Stream] = append(out[line.Stream], line.Text...)
		if line.Tag == cri.Full {
			out[line.Stream] = append(out[line.Stream], '\n')
		}
	}
	return out
}

func TestLongLines(t *testing.T) {
	for n, want := range map[int]string{
		0: "F0", 1: "F1", cri.MaxText - 1: "F16383", cri.MaxText: "F16384", cri.MaxText + 1: "P16384 F1",
		2 * cri.MaxText: "P16384 F16384", 2*cri.MaxText + 5: "P16384 P16384 F5",
	} {
		got := ""
		for b := append(bytes.Repeat([]byte("x"), n), '\n'); len(b) > 0; {
			text, tag, k := cut(b, false)
			got, b = got+fmt.Sprintf(" %c%d", tag, len(text)), b[k:]
		}
		if got != " "+want {
			t.Errorf("%d bytes: %q, want %q", n, got, want)
		}
	}
	if _, _, n := cut(bytes.Repeat([]byte("x"), cri.MaxText), false); n != 0 {
		t.Error("a line that may still end within the limit was cut")
	}
}

func TestLinesAllocateNothing(t *testing.T) {
	var p prefixes
	c := chunk{bytes: make([]byte, 0, chunkSize), room: chunkSize}
	b := bytes.Repeat([]byte("one line of a hundred bytes\n"), 100)
	if n := testing.AllocsPerRun(100, func() {
		c.bytes = c.bytes[:0]
		p.set(1e18)
		c.lines(&p[0], b, false)
	}); n != 0 {
		t.Errorf("%v allocations for a hundred lines", n)
	}
}

// TestHalfWrittenIsCovered: what stands half written in a log is written over, whatever its bound is by now.
func TestHalfWrittenIsCovered(t *testing.T) {
	var p prefixes
	b := bytes.Repeat([]byte("0123456789\n"), 10)
	const line = int64(cri.PrefixLen + 11)
	for _, cover := range []int64{0, 1, line, line + 1, 3 * line} {
		c := chunk{bytes: make([]byte, 0, chunkSize), cover: cover}
		_, full := c.lines(&p[0], b, false)
		if got, want := int64(len(c.bytes)), (cover+line-1)/line*line; got != want || !full {
			t.Errorf("%d half written bytes: %d, %v; want %d", cover, got, full, want)
		}
	}
}

func TestState(t *testing.T) {
	for _, s := range []state{
		{}, {generation: 1}, {generation: 3, log: 1 << 40, read: [2]int64{5, 6}, time: 1 << 62, last: true}, {last: true},
	} {
		var b [stateSize]byte
		s.encode(&b)
		if got, err := decodeState(b[:]); err != nil || got != s {
			t.Errorf("%+v: %+v, %v", s, got, err)
		}
		for i := range 8 * stateSize {
			b[i/8] ^= 1 << (i % 8)
			if got, err := decodeState(b[:]); err == nil {
				t.Errorf("bit %d of %+v: %+v", i, s, got)
			}
			b[i/8] ^= 1 << (i % 8)
		}
		for _, n := range []int{0, 1, stateSize - 1} {
			if _, err := decodeState(b[:n]); err == nil {
				t.Errorf("%d bytes were understood", n)
			}
		}
	}
}
