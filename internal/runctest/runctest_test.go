package runctest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestMain(m *testing.M) { Main(m) }

// recorder is a testing.TB that remembers its fate instead of having one.
type recorder struct {
	testing.TB
	fatal, skip string
	errors      []string
	cleanups    []func()
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(f string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(f, args...))
}

type stopped struct{}

func (r *recorder) Fatalf(f string, args ...any) {
	r.fatal = fmt.Sprintf(f, args...)
	panic(stopped{})
}
func (r *recorder) Skipf(f string, args ...any) {
	r.skip = fmt.Sprintf(f, args...)
	panic(stopped{})
}

func (r *recorder) run(f func(testing.TB)) {
	defer func() {
		if p := recover(); p != nil && p != (stopped{}) {
			panic(p)
		}
	}()
	f(r)
}

func TestRequire(t *testing.T) {
	const missing Capability = "missing"
	probes[missing] = func() error { return fmt.Errorf("not on this planet") }
	defer delete(probes, missing)
	for _, c := range []struct {
		require     string
		cap         Capability
		fatal, skip string
	}{
		{require: "", cap: missing, skip: "capability missing missing: not on this planet"},
		{require: "all", cap: missing, fatal: "capability missing missing: not on this planet"},
		{require: "ALL", cap: missing, fatal: `RECONCILER_REQUIRE=ALL: only "all" is understood`},
		{require: "", cap: "wings", fatal: `capability "wings": there is no such capability`},
	} {
		t.Setenv(EnvRequire, c.require)
		var r recorder
		r.run(func(t testing.TB) { Require(t, c.cap) })
		if r.fatal != c.fatal || r.skip != c.skip {
			t.Errorf("%s=%s %s: fatal %q, skip %q", EnvRequire, c.require, c.cap, r.fatal, r.skip)
		}
	}
}

func TestBundleRuns(t *testing.T) {
	EachRuntime(t, func(t *testing.T, name string) {
		Require(t, Root, Busybox)
		parent, out := CgroupParent(t), t.TempDir()
		bundle := Bundle(t, BundleOptions{
			Args: []string{"sh", "-c", "readlink /proc/self/ns/pid; echo $$ >/out/pid; exit 7"}, OutDir: out, CgroupsPath: parent + "/a",
		})
		cmd := exec.Command(RuntimePath(t, name), "--root", t.TempDir(), "run", "--bundle", bundle, "a")
		b, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 7 {
			t.Fatalf("%v: %s", err, b)
		}
		if host, _ := os.Readlink("/proc/self/ns/pid"); strings.TrimSpace(string(b)) == host {
			t.Errorf("the container shares the host's pid namespace")
		}
		if pid, _ := os.ReadFile(filepath.Join(out, "pid")); string(pid) != "1\n" {
			t.Errorf("pid in the container is %q", pid)
		}
	})
}

func TestBundlePIDNamespaces(t *testing.T) {
	host, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	EachRuntime(t, func(t *testing.T, name string) {
		Require(t, Root, Busybox)
		parent, runtime := CgroupParent(t), RuntimePath(t, name)
		for i, o := range []BundleOptions{{HostPID: true}, {PIDNamespacePath: "/proc/self/ns/pid"}} {
			id := "ns" + strconv.Itoa(i)
			o.Args = []string{"busybox", "readlink", "/proc/self/ns/pid"}
			o.CgroupsPath = parent + "/" + id
			cmd := exec.Command(runtime, "--root", t.TempDir(), "run", "--bundle", Bundle(t, o), id)
			b, err := cmd.CombinedOutput()
			if err != nil || strings.TrimSpace(string(b)) != host {
				t.Errorf("%s: %v: %s, want the host's %s", id, err, b, host)
			}
		}
	})
}

func TestCgroupParentFindsLeftovers(t *testing.T) {
	Require(t, Root)
	var r recorder
	var parent string
	r.run(func(t testing.TB) { parent = CgroupParent(t) })
	points, err := hierarchies()
	if err != nil || len(points) == 0 {
		t.Fatalf("hierarchies: %v, %v", points, err)
	}
	sleep := exec.Command("sleep", "600")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	// The last one: below the others of a v1 node some controllers refuse members until they are configured.
	dir := filepath.Join(points[len(points)-1], parent, "left")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(sleep.Process.Pid)), 0); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- sleep.Wait() }()
	for _, f := range r.cleanups {
		f()
	}
	<-done
	if s := sleep.ProcessState.Sys().(syscall.WaitStatus); s.Signal() != syscall.SIGKILL {
		t.Errorf("the process left ended by %v", s)
	}
	all := strings.Join(r.errors, "\n")
	for _, want := range []string{"cgroup " + dir, fmt.Sprintf("process %d (sleep)", sleep.Process.Pid)} {
		if !strings.Contains(all, want) {
			t.Errorf("not told: %q in\n%s", want, all)
		}
	}
	if leaks := leakedCgroups(); len(leaks) > 0 {
		t.Errorf("not removed: %q", leaks)
	}
}

// TestLeak leaks what the environment names, in a run of its own made by TestMainFindsLeaks.
func TestLeak(t *testing.T) {
	switch os.Getenv("RUNCTEST_LEAK") {
	case "":
		t.Log("nothing to leak: this is TestMainFindsLeaks' helper")
	case "nothing":
	case "file":
		if _, err := syscall.Open("/dev/null", syscall.O_RDONLY, 0); err != nil {
			t.Fatal(err)
		}
	case "zombie":
		if _, err := syscall.ForkExec("/bin/true", []string{"true"}, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMainFindsLeaks(t *testing.T) {
	for leak, want := range map[string]string{"nothing": "", "file": "leaked: file descriptor", "zombie": "leaked: child process"} {
		t.Run(leak, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run=^TestLeak$")
			cmd.Env = append(os.Environ(), "RUNCTEST_LEAK="+leak)
			out, err := cmd.CombinedOutput()
			if failed := err != nil; failed != (want != "") || !strings.Contains(string(out), want) {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
