package subreaper_test

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"reconciler.dev/reconciler/pkg/subreaper"
)

func TestOutput(t *testing.T) {
	run := subreaper.RunDir(t.TempDir() + "/run")
	bound := subreaper.Output{MaxSize: 1 << 20, MaxFiles: 3}
	if err := subreaper.SetBound(run, "web.1", bound); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a bound without an output: %v", err)
	}
	for range 2 { // asked again, as after a crash
		if err := subreaper.MakeOutput(run, "web.1", bound); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := subreaper.ReadOutput(run, "web.1"); got != bound || err != nil {
		t.Errorf("read: %+v, %v", got, err)
	}
	for path, want := range map[string]fs.FileMode{
		run.FIFOsDir(): fs.ModeDir | 0o700, run.Stdout("web.1"): fs.ModeNamedPipe | 0o600, run.Stderr("web.1"): fs.ModeNamedPipe | 0o600,
		run.Output("web.1"): 0o600,
	} {
		if info, err := os.Lstat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
	if err := subreaper.SetBound(run, "web.1", subreaper.Output{MaxSize: 64 << 10, MaxFiles: 1}); err != nil {
		t.Fatal(err)
	}
	if got, err := subreaper.ReadOutput(run, "web.1"); got.MaxSize != 64<<10 || err != nil {
		t.Errorf("read: %+v, %v", got, err)
	}
	for _, b := range []subreaper.Output{{}, {MaxSize: 64<<10 - 1, MaxFiles: 1}, {MaxSize: 1 << 41, MaxFiles: 1}, {MaxSize: 1 << 20, MaxFiles: 1001}} {
		if err := subreaper.MakeOutput(run, "web.2", b); err == nil {
			t.Errorf("%+v was accepted", b)
		}
	}
	for _, id := range []string{"", "../x", ".hidden"} {
		if err := subreaper.MakeOutput(run, id, bound); err == nil {
			t.Errorf("id %q was accepted", id)
		}
	}
	for _, content := range []string{"", "{", `{"maxSize":1,"maxFiles":1}`, `[]`} {
		if err := os.WriteFile(run.Output("web.1"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := subreaper.ReadOutput(run, "web.1"); !errors.Is(err, subreaper.ErrDamaged) {
			t.Errorf("%q was read as %+v, %v", content, got, err)
		}
	}
}

func TestEnded(t *testing.T) {
	run := subreaper.RunDir(t.TempDir())
	ended := func(want bool, when string) {
		t.Helper()
		if got := subreaper.Ended(run, "web.1"); got != want {
			t.Errorf("%s: %v", when, got)
		}
	}
	for _, dir := range []string{run.InstancesDir(), run.ExitsDir()} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	put := func(path string) { _ = os.WriteFile(path, nil, 0o600) }
	ended(true, "nothing is known of it")
	put(run.Launching("web.1"))
	ended(false, "launching")
	put(run.Instance("web.1"))
	ended(false, "committed")
	put(run.Exit("web.1"))
	ended(true, "on record")
	for _, path := range []string{run.Instance("web.1"), run.Launching("web.1"), run.Exit("web.1")} {
		_ = os.Remove(path)
		ended(true, "being forgotten")
	}
}
