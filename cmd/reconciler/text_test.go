package main

import (
	"testing"
	"time"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain ünïcode":               "plain ünïcode",
		"two\nlines\tand a tab\n":     "two lines and a tab",
		"\x1b[31mred\x07\x7f":         "[31mred",
		"\u009b31mred":                "31mred", // CSI in one character
		"evil\u202egnp.exe":           "evilgnp.exe",
		"not \xff UTF-8":              "not \uFFFD UTF-8",
		"a\rb":                        "ab",
		"\u2028 separators \u2029 go": "separators  go",
	} {
		if got := clean(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestEscapeDeceptive(t *testing.T) {
	in := "{\n  \"a\": \"\u009b\u202e\"\n}\n"
	if got, want := escapeDeceptive(in), "{\n  \"a\": \"\\u009b\\u202e\"\n}\n"; got != want {
		t.Errorf("got %q", got)
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second:                 "0ms",
		250 * time.Millisecond:       "250ms",
		119 * time.Second:            "119s",
		2 * time.Minute:              "2m",
		9*time.Minute + 59*1e9:       "9m59s",
		10*time.Minute + 59*1e9:      "10m",
		179 * time.Minute:            "179m",
		3*time.Hour + 5*time.Minute:  "3h5m",
		47 * time.Hour:               "47h",
		49*time.Hour + 5*time.Minute: "2d1h",
	} {
		if got := span(d); got != want {
			t.Errorf("%d: got %s, want %s", d, got, want)
		}
	}
}
