package runc

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFilesReachTheContainer(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		dir := t.TempDir()
		open := func(name, text string) *os.File {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			return f
		}
		o := CreateOptions{Stdin: open("in", "typed\n"), Stdout: open("out", ""), Stderr: open("err", ""), ExtraFiles: []*os.File{open("extra", "passed on\n")}}
		c, err := w.Create(t.Context(), "a", w.bundle("a", "cat; cat <&3; echo oops >&2"), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { w.end(c) })
		if err := c.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Wait(t.Context()); err != nil || got.Code != 0 {
			t.Errorf("%v, %v", got, err)
		}
		for name, want := range map[string]string{"out": "typed\npassed on\n", "err": "oops\n"} {
			if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
	})
}

func TestCreateWithTheSessionKeyringOfTheCaller(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		id := filepath.Base(w.parent) // the keyring's name; one of an earlier run may be there still
		for _, keep := range []bool{true, false} {
			r, out, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			c, err := w.Create(t.Context(), id, w.bundle(id, "cat /proc/keys"), CreateOptions{NoNewKeyring: keep, NoPivot: true, Stdout: out})
			out.Close()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(t.Context()); err != nil {
				t.Error(err)
			}
			keys, err := io.ReadAll(r)
			if err != nil || !strings.Contains(string(keys), "keyring") || strings.Contains(string(keys), id) == keep {
				t.Errorf("keep %v: %v: %s", keep, err, keys)
			}
			w.end(c)
		}
	})
}
