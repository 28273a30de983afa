package runc

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"reconciler.dev/reconciler/internal/runctest"
)

func TestCreateThatFailsLeavesNothing(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		for _, c := range []struct {
			name, fails string
			is          error
			spoil       func(bundle string) error
			edit        func(*specs.Spec)
		}{
			{name: "no executable", fails: "no-such-program", edit: func(s *specs.Spec) { s.Process.Args = []string{"no-such-program"} }},
			{name: "args that read like an error of the runtime", fails: "container with given ID already exists",
				edit: func(s *specs.Spec) { s.Process.Args = []string{"container with given ID already exists"} }},
			{name: "not executable", fails: "ermission denied", edit: func(s *specs.Spec) { s.Process.Args = []string{"/plain"} },
				spoil: func(b string) error { return os.WriteFile(filepath.Join(b, "rootfs/plain"), nil, 0o600) }},
			{name: "no rootfs", fails: "open the root filesystem", edit: func(s *specs.Spec) { s.Root.Path = "missing" }},
			{name: "rootfs is a symlink", fails: "open the root filesystem",
				spoil: func(b string) error {
					return errors.Join(os.Rename(b+"/rootfs", b+"/real"), os.Symlink("real", b+"/rootfs"))
				}},
			{name: "cwd leads out", is: ErrEscapes, fails: "/elsewhere", edit: func(s *specs.Spec) { s.Process.Cwd = "/elsewhere" },
				spoil: func(b string) error { return os.Symlink(t.TempDir(), filepath.Join(b, "rootfs/elsewhere")) }},
			{name: "relative cwd", fails: "must be an absolute path", edit: func(s *specs.Spec) { s.Process.Cwd = "tmp" }},
			{name: "no args", is: ErrBundle, fails: "process.args: missing or empty", edit: func(s *specs.Spec) { s.Process.Args = nil }},
			{name: "a terminal, and nothing to make one with", fails: "ptmx", edit: func(s *specs.Spec) { s.Process.Terminal = true }},
			{name: "no memory", fails: "memory", edit: func(s *specs.Spec) {
				s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: new(int64(4096))}}
			}},
			{name: "config.json empty", is: ErrBundle, fails: "config.json:1:", spoil: func(b string) error { return os.Truncate(filepath.Join(b, "config.json"), 0) }},
			{name: "config.json truncated", is: ErrBundle, fails: "config.json:1:", spoil: func(b string) error { return os.Truncate(filepath.Join(b, "config.json"), 1) }},
			{name: "config.json missing", is: os.ErrNotExist, fails: "config.json", spoil: func(b string) error { return os.Remove(filepath.Join(b, "config.json")) }},
			{name: "bundle missing", is: ErrBundle, fails: "config.json", spoil: os.RemoveAll},
		} {
			t.Run(c.name, func(t *testing.T) {
				bundle := w.bundle("a", "exit 0", edit(func(s *specs.Spec) {
					if c.edit != nil {
						c.edit(s)
					}
				}))
				if c.spoil != nil {
					if err := c.spoil(bundle); err != nil {
						t.Fatal(err)
					}
				}
				_, err := w.Create(t.Context(), "a", bundle, CreateOptions{})
				if err == nil || !strings.Contains(err.Error(), c.fails) || c.is != nil && !errors.Is(err, c.is) || errors.Is(err, ErrExist) {
					t.Errorf("%v, want %q", err, c.fails)
				}
				nothingLeft(t, w.Runtime, w.parent)
			})
		}
	})
}

// A program that the kernel does not understand is found out too late for an error: it is init's own exec that fails.
func TestProgramOfNoFormat(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		bundle := w.bundle("a", "", edit(func(s *specs.Spec) { s.Process.Args = []string{"/plain"} }))
		if err := os.WriteFile(filepath.Join(bundle, "rootfs/plain"), []byte("no program\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		c, err := w.Create(t.Context(), "a", bundle, CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { w.end(c) })
		if err := c.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Wait(t.Context()); err != nil || got.Code == 0 {
			t.Errorf("it ended with %v, %v", got, err)
		}
	})
}

// The time limit, here the context's, strikes at any point of a create.
func TestCreateCutShortLeavesNothing(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		bundle := w.bundle("a", "exit 0")
		var cut, whole int
		for i := range 40 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*time.Millisecond)
			c, err := w.Create(ctx, "a", bundle, CreateOptions{})
			cancel()
			switch {
			case err == nil:
				whole++
				w.end(c)
			case errors.Is(err, context.DeadlineExceeded):
				cut++
			default:
				t.Errorf("after %d ms: %v", i, err)
			}
			nothingLeft(t, w.Runtime, w.parent)
		}
		if cut == 0 {
			t.Error("no create was cut short")
		}
		t.Logf("%d cut short, %d whole", cut, whole)
	})
}

// wrapped returns the world's runtime behind a script that runs before or after the real one's create.
func (w *world) wrapped(before, after string) *Runtime {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "wrapper")
	script := "#!/bin/sh\n[ $7 = create ] || exec " + w.path + ` "$@"` + "\n" + before + "\n" + w.path + ` "$@" || exit` + "\n" + after + "\n"
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		w.t.Fatal(err)
	}
	r := *w.Runtime
	r.path = path
	return &r
}

func TestCreateThatHangsLeavesNothing(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		marker := filepath.Join(t.TempDir(), "hangs")
		hang := ": >" + marker + "; exec sleep 600"
		for _, c := range []struct {
			name, before, after string
			edit                func(*specs.Spec)
		}{
			{name: "before", before: hang},
			{name: "after", after: hang},
			{name: "after, in a cgroup of the runtime's choice", after: hang, edit: func(s *specs.Spec) { s.Linux.CgroupsPath = "" }},
			{name: "after, without a pid file", after: `while [ "$1" != --pid-file ]; do shift; done; rm "$2"; ` + hang},
		} {
			t.Run(c.name, func(t *testing.T) {
				defer os.Remove(marker)
				ctx, cancel := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				wg.Go(func() {
					for !exists(marker) && ctx.Err() == nil {
						time.Sleep(time.Millisecond)
					}
					cancel()
				})
				bundle := w.bundle("a", "exit 0", func(o *runctest.BundleOptions) { o.Edit = c.edit })
				_, err := w.wrapped(c.before, c.after).Create(ctx, "a", bundle, CreateOptions{})
				cancel()
				wg.Wait()
				if !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "clean up") {
					t.Errorf("%v", err)
				}
				nothingLeft(t, w.Runtime, w.parent)
				if left := children(t); len(left) > 0 {
					t.Errorf("its init was not reaped: %q", left)
				}
			})
		}
	})
}

func TestCreateChecksThePIDFile(t *testing.T) {
	for _, c := range []struct {
		name, script string
		want         error
	}{
		{"none", "", ErrNoEffect},
		{"empty", `: >"$pidfile"`, ErrBadOutput},
		{"text", `echo soon >"$pidfile"`, ErrBadOutput},
		{"pid 1", `echo 1 >"$pidfile"`, ErrBadOutput},
		{"nobody", `echo 4194305 >"$pidfile"`, ErrNotRunning}, // beyond PID_MAX_LIMIT
		{"fifo", `mkfifo "$pidfile"`, ErrNoEffect},
	} {
		r := scripted(t, long, `
			case $verb in
			create) mkdir "$root/$id"; `+c.script+` ;;
			delete) rmdir "$root/$id" ;;
			esac`)
		_, err := r.Create(t.Context(), "a", plainBundle(t), CreateOptions{})
		if !errors.Is(err, c.want) || r.has("a") {
			t.Errorf("%s: %v, want %v; container left: %v", c.name, err, c.want, r.has("a"))
		}
	}
}

func TestCreateBelievesNoEarlierFiles(t *testing.T) {
	r := scripted(t, long, `
		case $verb in
		create) mkdir "$root/$id"; [ ! -e "$root/fail" ] ;;
		delete) rmdir "$root/$id" ;;
		esac`)
	leave := func() {
		t.Helper()
		pid := strconv.Itoa(os.Getpid())
		if err := errors.Join(os.WriteFile(filepath.Join(r.stateDir, "a.pid"), []byte(pid), 0o600),
			os.WriteFile(filepath.Join(r.logDir, "a.create.log"), []byte(`{"level":"error","msg":"an old story"}`), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	leave()
	if _, err := r.Create(t.Context(), "a", plainBundle(t), CreateOptions{}); !errors.Is(err, ErrNoEffect) {
		t.Errorf("without a pid file: %v", err)
	}
	leave()
	if err := os.WriteFile(filepath.Join(r.root, "fail"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := r.Create(t.Context(), "a", plainBundle(t), CreateOptions{})
	if e, ok := errors.AsType[*Error](err); !ok || strings.Contains(e.Log, "old story") || e.ExitStatus.Code != 1 {
		t.Errorf("without a log: %v", err)
	}
}

func TestCreateSaysWhatItCouldNotCleanUp(t *testing.T) {
	r := scripted(t, short, `mkdir -p "$root/$id"; exec sleep 600`)
	_, err := r.Create(t.Context(), "a", plainBundle(t), CreateOptions{})
	if !errors.Is(err, ErrTimeout) || !strings.Contains(err.Error(), "fakerunc create a") || !strings.Contains(err.Error(), "clean up after it: fakerunc delete a") {
		t.Errorf("%v", err)
	}
}

func TestFailedCreateLeavesAnotherOnesContainerAlone(t *testing.T) {
	r := scripted(t, long, `
		[ $verb = create ] || { touch "$root/deleted"; exit 0; }
		mkdir "$root/$id" # the other one's, in the last moment
		echo '{"level":"error","msg":"container with given ID already exists"}' >"$log"; exit 1`)
	for range 2 { // the second time it is there from the start
		if _, err := r.Create(t.Context(), "a", plainBundle(t), CreateOptions{}); !errors.Is(err, ErrExist) {
			t.Errorf("%v", err)
		}
	}
	if _, err := os.Stat(filepath.Join(r.root, "deleted")); err == nil || !r.has("a") {
		t.Error("delete was called")
	}
}
