package runc

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestLifecycle(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		ctx, out := t.Context(), t.TempDir()
		c := w.create("web.1", `trap 'exit 3' TERM; echo up >/out/up; while :; do sleep 0.01; done`, outDir(out),
			edit(func(s *specs.Spec) { s.Annotations = map[string]string{"owner": "me"}; s.Process.Cwd = "/made/for/it" }))
		s, err := c.State(ctx)
		if err != nil || s.ID != "web.1" || s.Status != Created || s.PID <= 1 || s.Created.IsZero() || s.Annotations["owner"] != "me" {
			t.Fatalf("%+v, %v", s, err)
		}
		if !exists(filepath.Join(s.Bundle, "rootfs/made/for/it")) {
			t.Error("its cwd was not made")
		}
		if pid, err := c.PID(ctx); err != nil || pid != s.PID {
			t.Errorf("pid %d, %v, want %d", pid, err, s.PID)
		}
		if exists(filepath.Join(out, "up")) {
			t.Error("it ran before it was started")
		}
		if err := c.Start(ctx); err != nil {
			t.Fatal(err)
		}
		if got := w.status(c); got != Running {
			t.Errorf("it is %s", got)
		}
		eventually(t, "it is up", func() bool { return exists(filepath.Join(out, "up")) })
		processes, err := c.Processes(ctx)
		i := slices.IndexFunc(processes, func(p ProcessInfo) bool { return p.PID == s.PID })
		if err != nil || i < 0 || len(processes[i].Command) != 3 || processes[i].Command[1] != "-c" || processes[i].StartTime == 0 {
			t.Errorf("processes: %+v, %v", processes, err)
		}
		if err := c.Kill(ctx, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Wait(ctx); err != nil || got != (ExitStatus{Code: 3}) {
			t.Errorf("it ended with %v, %v", got, err)
		}
		if got := w.status(c); got != Stopped {
			t.Errorf("it is %s", got)
		}
		if processes, err := c.Processes(ctx); err != nil || len(processes) > 0 {
			t.Errorf("processes when stopped: %v, %v", processes, err)
		}
		if err := c.Delete(ctx, DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if ok, err := c.Exists(ctx); ok || err != nil {
			t.Errorf("exists: %v, %v", ok, err)
		}
		nothingLeft(t, w.Runtime, w.parent)
		// The id is free again.
		again := w.create("web.1", "exit 0")
		if again.init == c.init {
			t.Errorf("the new container has the old one's init %v", c.init)
		}
	})
}

func TestFailedStartLeavesALiveContainerAlone(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		c := w.create("a", "exec sleep 600")
		r := *w.Runtime
		r.path = filepath.Join(t.TempDir(), "wrapper")
		if err := os.WriteFile(r.path, []byte("#!/bin/sh\n"+w.path+" \"$@\" && exit 1\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		broken := *c
		broken.r = &r
		if err := broken.Start(t.Context()); err == nil {
			t.Error("no error")
		}
		if got := w.status(c); got != Running || !alive(c.init.PID) {
			t.Errorf("it is %s", got)
		}
		if p, err := w.readInit("a"); err != nil || p != c.init {
			t.Errorf("its init is recorded as %v, %v", p, err)
		}
	})
}

// What runc 1.1.5 leaves when killed in the moment it clones its own binary.
func TestDeleteDetachesTheRuntimesBinary(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		dir := filepath.Join(w.root, "a")
		file := filepath.Join(dir, "runc.aBcDeF")
		for _, force := range []bool{true, false} {
			if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(file, nil, 0o600), unix.Mount(w.path, file, "", unix.MS_BIND, "")); err != nil {
				t.Fatal(err)
			}
			// Unforced, runc says that there is no such container, having removed what there was of it.
			err := container(t, w.Runtime, "a").Delete(t.Context(), DeleteOptions{Force: force})
			if err != nil && (force || !errors.Is(err, ErrNotExist)) {
				t.Errorf("force %v: %v", force, err)
			}
			if w.has("a") || !exists(w.path) {
				t.Errorf("force %v: left: directory %v, the runtime %v", force, w.has("a"), exists(w.path))
			}
		}
	})
}

func TestSignalsAreValidated(t *testing.T) {
	r := scripted(t, long, `touch "$root/called"`)
	c := container(t, r, "a")
	for _, sig := range []syscall.Signal{-1, 0, 65} {
		if err := c.Kill(t.Context(), sig); !errors.Is(err, ErrInvalidSignal) {
			t.Errorf("kill %d: %v", sig, err)
		}
		if err := c.KillAll(t.Context(), sig); !errors.Is(err, ErrInvalidSignal) {
			t.Errorf("kill all %d: %v", sig, err)
		}
	}
	if _, err := os.Stat(filepath.Join(r.root, "called")); err == nil {
		t.Error("the runtime was called")
	}
}
