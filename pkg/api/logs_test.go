package api

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/store"
)

func TestTailOffset(t *testing.T) {
	long := strings.Repeat("x", 70_000) // longer than a block
	for _, tc := range []struct {
		text  string
		lines int
		want  string
	}{
		{"", 3, ""},
		{"\n", 1, "\n"},
		{"a\nb\nc\n", 2, "b\nc\n"},
		{"a\nb\nc", 2, "b\nc"},
		{"a\nb\n", 9, "a\nb\n"},
		{"a\n\n\n", 2, "\n\n"},
		{"a\n" + long + "\nb\n", 2, long + "\nb\n"},
		{"a\n" + long, 1, long},
		{long + "\n" + long + "\n", 1, long + "\n"},
		{"a\n" + strings.Repeat("y", 64<<10-1) + "\n", 1, strings.Repeat("y", 64<<10-1) + "\n"}, // the newline ends the block before
	} {
		from, err := tailOffset(strings.NewReader(tc.text), int64(len(tc.text)), tc.lines)
		if err != nil || tc.text[from:] != tc.want {
			t.Errorf("last %d of %.20q: from %d, %v", tc.lines, tc.text, from, err)
		}
	}
}

func read(t *testing.T, r Reading, name string, o LogOptions) (instance, text string, err error) {
	t.Helper()
	log, err := r.Logs(t.Context(), name, o)
	if err != nil {
		return "", "", err
	}
	defer log.Close()
	b, err := io.ReadAll(log)
	if err != nil {
		t.Error(err)
	}
	return log.Instance, string(b), nil
}

func TestWhichLog(t *testing.T) {
	w := newWorld(t)
	w.want("web", nil) // Always: its third attempt is due
	w.ran("web", 1, 1, store.EndFailed)
	w.ran("web", 2, 2, store.EndFailed)
	w.want("job", func(s *desired.Spec) { s.Restart.Policy = desired.Never })
	w.ran("job", 1, 1, store.EndFailed)
	w.ran("job", 2, 0, store.EndSucceeded)
	w.want("live", nil)
	w.ran("live", 9, 1, store.EndFailed)
	w.ran("live", 10, -1, "")
	w.want("new", nil)
	for name, attempts := range map[string][]int{"web": {1, 2}, "job": {1, 2}, "live": {9, 10}} {
		for _, n := range attempts {
			w.log(name, n, "one\ntwo\n")
		}
	}
	for _, tc := range []struct {
		name string
		o    LogOptions
		want string // the instance; empty: there is none
	}{
		{"web", LogOptions{}, "web.2"},
		{"web", LogOptions{Attempt: 1}, "web.1"},
		{"web", LogOptions{Previous: true}, "web.2"}, // the third is awaited
		{"web", LogOptions{Attempt: 3}, ""},
		{"job", LogOptions{}, "job.2"},
		{"job", LogOptions{Previous: true}, "job.1"}, // its last one is the current: nothing is awaited
		{"live", LogOptions{}, "live.10"},            // and not 9, which sorts after it
		{"live", LogOptions{Previous: true}, "live.9"},
		{"new", LogOptions{}, ""},
		{"new", LogOptions{Previous: true}, ""},
		{"unknown", LogOptions{}, ""},
	} {
		got, _, err := read(t, w, tc.name, tc.o)
		if got != tc.want || (err != nil) != (tc.want == "") || err != nil && !errors.Is(err, ErrNotFound) {
			t.Errorf("%s %+v: got %q, %v", tc.name, tc.o, got, err)
		}
	}
	if _, text, err := read(t, w, "web", LogOptions{Tail: 1}); err != nil || text != "two\n" {
		t.Errorf("tail: %q, %v", text, err)
	}
	for _, o := range []LogOptions{{Attempt: -1}, {Tail: -1}, {Attempt: 1, Previous: true}} {
		if _, _, err := read(t, w, "web", o); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// Nothing but a regular file is opened, and nothing outside of the directory, whatever lies there.
func TestLogsOpensOnlyLogs(t *testing.T) {
	w := newWorld(t)
	w.want("web", nil)
	w.ran("web", 3, 0, store.EndSucceeded)
	dir := filepath.Join(w.LogDir, "web")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("sesame"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		os.Symlink(secret, filepath.Join(dir, "1.log")),
		syscall.Mkfifo(filepath.Join(dir, "2.log"), 0o600),
		os.Mkdir(filepath.Join(dir, "3.log"), 0o700),
	); err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 3; n++ {
		if _, text, err := read(t, w, "web", LogOptions{Attempt: n}); err == nil {
			t.Errorf("attempt %d: read %q", n, text)
		}
	}
}
