package runc

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/internal/runctest"
)

// world is a real runtime with directories and a cgroup of the test's own. Its cleanup fails the test for anything left.
type world struct {
	*Runtime
	t      *testing.T
	parent string
	made   int // containers, by in
}

// onEachRuntime runs a test in a world of its own for each runtime.
func onEachRuntime(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	runctest.EachRuntime(t, func(t *testing.T, name string) { test(t, newWorld(t, name)) })
}

func newWorld(t *testing.T, name string) *world {
	t.Helper()
	runctest.Require(t, runctest.Root, runctest.Pidfd, runctest.Busybox)
	parent := runctest.CgroupParent(t)
	t.Cleanup(func() { reapOrphans(t) })
	dir := t.TempDir()
	r, err := New(Config{Path: runctest.RuntimePath(t, name), Root: dir + "/root", LogDir: dir + "/log", StateDir: dir + "/state", Timeout: long})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nothingLeft(t, r, parent) })
	return &world{Runtime: r, t: t, parent: parent}
}

func nothingLeft(t *testing.T, r *Runtime, parent string) {
	t.Helper()
	for _, d := range []string{r.root, r.logDir, r.stateDir} {
		left, err := os.ReadDir(d)
		if err != nil && !errors.Is(err, fs.ErrNotExist) || len(left) > 0 {
			t.Errorf("left in %s: %v, %v", d, left, err)
		}
	}
	if left := cgroupDirs(t, parent+"/*"); len(left) > 0 {
		t.Errorf("cgroups left: %q", left)
	}
}

// cgroupDirs returns the directories of the cgroups that match, in every hierarchy.
func cgroupDirs(t *testing.T, pattern string) (dirs []string) {
	t.Helper()
	for _, point := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		found, err := filepath.Glob(point + pattern + "/cgroup.procs")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range found {
			dirs = append(dirs, filepath.Dir(file))
		}
	}
	return dirs
}

// reapOrphans does what a subreaper owes: what a killed runtime leaves has ended, or is about to.
func reapOrphans(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(long); ; time.Sleep(time.Millisecond) {
		left := children(t)
		if len(left) == 0 {
			return
		}
		for _, text := range left {
			if pid, err := strconv.Atoi(text); err == nil {
				unix.Wait4(pid, nil, unix.WNOHANG, nil)
			}
		}
		if time.Now().After(deadline) {
			t.Errorf("children left: %q", left)
			return
		}
	}
}

// children returns the pids of this process's children, zombies included.
func children(t *testing.T) (pids []string) {
	t.Helper()
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		b, _ := os.ReadFile(list)
		pids = append(pids, strings.Fields(string(b))...)
	}
	return pids
}

// bundle makes a bundle for the id; args are a shell's.
func (w *world) bundle(id, script string, edit ...func(*runctest.BundleOptions)) string {
	w.t.Helper()
	o := runctest.BundleOptions{Args: []string{"sh", "-c", script}, CgroupsPath: w.parent + "/" + id}
	for _, f := range edit {
		f(&o)
	}
	return runctest.Bundle(w.t, o)
}

// create makes a container that the test's end deletes, whatever the test did with it.
func (w *world) create(id, script string, edit ...func(*runctest.BundleOptions)) *Container {
	w.t.Helper()
	c, err := w.Create(w.t.Context(), id, w.bundle(id, script, edit...), CreateOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.end(c) })
	return c
}

func (w *world) end(c *Container) {
	w.t.Helper()
	ctx := context.Background()
	if err := c.Delete(ctx, DeleteOptions{Force: true}); err != nil {
		w.t.Error(err)
	}
	if c.init == (Process{}) { // it was only a name
		return
	}
	if _, err := c.Wait(ctx); err != nil {
		w.t.Error(err)
	}
}

// run makes a container and starts it.
func (w *world) run(id, script string, edit ...func(*runctest.BundleOptions)) *Container {
	w.t.Helper()
	c := w.create(id, script, edit...)
	if err := c.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// stopped makes a container, has it exit, and waits for that.
func (w *world) stopped(id string) *Container {
	w.t.Helper()
	c := w.run(id, "exit 0")
	if _, err := c.Wait(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) status(c *Container) Status {
	w.t.Helper()
	s, err := c.State(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return s.Status
}

// eventually waits for what a container's own process does.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(long); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in %v: %s", long, what)
		}
	}
}

func edit(f func(*specs.Spec)) func(*runctest.BundleOptions) {
	return func(o *runctest.BundleOptions) { o.Edit = f }
}

func outDir(dir string) func(*runctest.BundleOptions) {
	return func(o *runctest.BundleOptions) { o.OutDir = dir }
}

func hostPID(o *runctest.BundleOptions) { o.HostPID = true }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func alive(pid int) bool {
	s, err := readStat(pid)
	return err == nil && s.state != 'Z'
}

// kill ends a process that the test's container started.
func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
