package cri

import (
	"bytes"
	"slices"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	when := time.Date(2026, 1, 2, 15, 4, 5, 60_000, time.UTC)
	const at = "2026-01-02T15:04:05.000060000Z"
	for text, want := range map[string]Line{
		at + " stdout F hello":                          {when, "stdout", Full, []byte("hello")},
		at + " stderr P ":                               {when, "stderr", Partial, nil},
		at + " stdout F  two  blanks ":                  {when, "stdout", Full, []byte(" two  blanks ")},
		at + " stdout F \x00\xff\r":                     {when, "stdout", Full, []byte("\x00\xff\r")},
		"2026-01-02T16:04:05.00006+01:00 stdout F zone": {when, "stdout", Full, []byte("zone")},
		at + " stdout P:x:y with more tags":             {when, "stdout", Partial, []byte("with more tags")},
	} {
		got, ok := Parse([]byte(text))
		if !ok || !got.Time.Equal(want.Time) || got.Stream != want.Stream || got.Tag != want.Tag || !bytes.Equal(got.Text, want.Text) {
			t.Errorf("%q: %+v, %v; want %+v", text, got, ok, want)
		}
	}
	for _, text := range []string{
		"", "hello", at, at + " stdout", at + " stdout F", at + " stdin F x", at + " stdout G x", at + " stdout  F x",
		at + "  stdout F x", "2026-01-02 stdout F x", "2026-13-02T15:04:05Z stdout F x", " " + at + " stdout F x",
		at + " stdout FP x", at + " stdout :F x",
	} {
		if got, ok := Parse([]byte(text)); ok {
			t.Errorf("%q was understood as %+v", text, got)
		}
	}
}

func TestPrefix(t *testing.T) {
	var room [PrefixLen]byte
	for _, stream := range Streams {
		for _, tag := range []byte{Full, Partial} {
			for _, at := range []int64{1, 1e18 + 1, 1<<63 - 1} {
				b := AppendPrefix(room[:0], at, stream, tag)
				l, ok := Parse(b)
				if len(b) != PrefixLen || !ok || l.Time.UnixNano() != at || l.Stream != stream || l.Tag != tag || len(l.Text) != 0 {
					t.Errorf("%q is read as %+v, %v", b, l, ok)
				}
			}
		}
	}
	if n := testing.AllocsPerRun(100, func() { AppendPrefix(room[:0], 1e18, "stdout", Full) }); n != 0 {
		t.Errorf("%v allocations a prefix", n)
	}
}

func TestNames(t *testing.T) {
	ordered := []string{"1.log.1", "1.log.2", "1.log.10", "1.log", "2.log", "3.log.9", "10.log.1", "10.log"}
	var files []File
	for _, name := range ordered {
		f, ok := ParseName(name)
		if !ok || f.String() != name {
			t.Errorf("%s is read as %+v, %v", name, f, ok)
		}
		files = append(files, f)
	}
	if !slices.IsSortedFunc(files, Compare) {
		t.Errorf("out of order: %v", files)
	}
	for _, name := range []string{
		"", ".log", "0.log", "-1.log", "01.log", "+1.log", "1", "1.log.", "1.log.0", "1.log.01", "1.log.-1", "1.log.1.gz", "a.log",
		"1.log.log", "99999999999999999999.log", "1.log.99999999999999999999", ".1.log",
	} {
		if f, ok := ParseName(name); ok {
			t.Errorf("%q was taken for %v", name, f)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("2026-01-02T15:04:05.000000000Z stdout F text"))
	f.Add([]byte("2026-01-02T15:04:05+01:00 stderr P:x text"))
	f.Add([]byte("raw"))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, ok := Parse(b)
		if !ok {
			return
		}
		if y := l.Time.Year(); y < 1970 || y > 2200 {
			return // not to be held in nanoseconds
		}
		again, ok := Parse(append(AppendPrefix(nil, l.Time.UnixNano(), l.Stream, l.Tag), l.Text...))
		if !ok || !again.Time.Equal(l.Time) || again.Stream != l.Stream || again.Tag != l.Tag || !bytes.Equal(again.Text, l.Text) {
			t.Errorf("%q: %+v, written and read again %+v", b, l, again)
		}
	})
}
