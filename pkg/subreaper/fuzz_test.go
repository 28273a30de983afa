package subreaper

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Whatever lies in the place of a record: damaged, or a record of that instance, which survives being written again.
func FuzzRecord(f *testing.F) {
	for _, s := range []string{
		"", "{}", "null", "[]", `{"id":"web.1"}`, `{"instance":"web.1"}`, `{"id":"web.2","process":{"pid":1}}`, `{"instance":"web.1","status":1e99}`,
		`{"id":"web.1","process":{"pid":42,"startTime":4711,"bootID":"b"}}`,
		`{"instance":"web.1","process":{"pid":42,"startTime":4711,"bootID":"b"},"status":1792,"source":"waitid","finishedAt":"2026-01-02T03:04:05Z"}`,
	} {
		f.Add([]byte(s))
	}
	run := RunDir(f.TempDir())
	for _, dir := range []string{run.InstancesDir(), run.ExitsDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		read(t, b, run.Instance("web.1"), func() (Instance, error) { return ReadInstance(run, "web.1") })
		read(t, b, run.Exit("web.1"), func() (Exit, error) { return ReadExit(run, "web.1") })
	})
}

func read[T comparable](t *testing.T, b []byte, path string, read func() (T, error)) {
	t.Helper()
	write := func(b []byte) (T, error) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return read()
	}
	v, err := write(b)
	if err != nil {
		if len(b) < 4096 && !errors.Is(err, ErrDamaged) {
			t.Errorf("%s %q: %v", filepath.Base(filepath.Dir(path)), b, err)
		}
		return
	}
	again, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("%q was read and cannot be written: %v", b, err)
	}
	if w, err := write(again); err != nil {
		t.Errorf("%q became %q: %+v, %v", b, again, w, err)
	}
}
