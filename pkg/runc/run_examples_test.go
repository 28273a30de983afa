package runc_test

import (
	"context"
	"io"
	"os"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"reconciler.dev/reconciler/internal/runctest"
	"reconciler.dev/reconciler/pkg/runc"
)

func TestExamples(t *testing.T) {
	runctest.EachRuntime(t, func(t *testing.T, name string) {
		runctest.Require(t, runctest.Root, runctest.Pidfd)
		parent := runctest.CgroupParent(t)
		runtime, dir = runctest.RuntimePath(t, name), t.TempDir()
		// Pid 1 of a pid namespace ignores SIGTERM unless it has a handler: hence the host's namespace.
		bundle = runctest.Bundle(t, runctest.BundleOptions{Args: []string{"sleep", "600"}, HostPID: true, CgroupsPath: parent + "/hello"})
		if got, want := output(t, Example), "signal 15 - as a shell has it: 143\n"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		r = newRuntime(t)
		runWeb(t, parent)
		for _, c := range []struct {
			example func()
			want    string
		}{
			{ExampleRuntime_List, "web is running\n"},
			{ExampleContainer_Pause, "paused\n"},
			{ExampleContainer_Update, "in force\n"},
			{ExampleContainer_Exec, "hello\nexit status 3\n"},
			{ExampleTtyRelay_Resize, "43 132\r\n"},
			{ExampleRuntime_List, "web is running\n"},
		} {
			if got := output(t, c.example); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		}
	})
}

func newRuntime(t *testing.T) *runc.Runtime {
	t.Helper()
	r, err := runc.New(runc.Config{Path: runtime, Root: dir + "/root", LogDir: dir + "/log", StateDir: dir + "/state"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// runWeb runs the container that the examples are about, until the test ends.
func runWeb(t *testing.T, parent string) {
	t.Helper()
	ctx := context.Background()
	c, err := r.Create(ctx, "web", runctest.Bundle(t, runctest.BundleOptions{Args: []string{"sleep", "600"}, CgroupsPath: parent + "/web", Edit: withPts}), runc.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Delete(ctx, runc.DeleteOptions{Force: true}); err != nil {
			t.Error(err)
		}
		if _, err := c.Wait(ctx); err != nil {
			t.Error(err)
		}
	})
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
}

// withPts is what a container needs for terminals.
func withPts(s *specs.Spec) {
	s.Mounts = append(s.Mounts, specs.Mount{
		Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"newinstance", "ptmxmode=0666", "mode=0620"},
	})
}

// output returns what a function prints, which must fit into a pipe.
func output(t *testing.T, f func()) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	stdout := os.Stdout
	os.Stdout = w
	f()
	os.Stdout = stdout
	w.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
