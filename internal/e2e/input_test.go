package e2e

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"reconciler.dev/reconciler/internal/runctest"
)

// TestBadInputDisturbsNothing drops every kind of bad manifest and bundle beside a good one: each is told once, by name,
// and the good one keeps its pid.
func TestBadInputDisturbsNothing(t *testing.T) {
	w := newWorld(t)
	w.start()
	good := w.bundle(forever, runctest.BundleOptions{})
	w.manifest("web", good, "  stop: {gracePeriod: 0s}\n")
	pid := w.running("web", 0)

	head := "apiVersion: reconciler/v1alpha1\nkind: Container\n"
	for file, text := range map[string]string{
		"unknown":   head + "metadata: {name: x}\nspec: {bundel: b}\n",
		"mistyped":  head + "metadata: {name: x}\nspec: {bundle: [b]}\n",
		"twice":     head + "metadata: {name: x}\nspec: {bundle: b, bundle: c}\n",
		"taken":     head + "metadata: {name: web}\nspec: {bundle: " + good + "}\n",
		"slash":     head + "metadata: {name: a/b}\nspec: {bundle: b}\n",
		"dots":      head + "metadata: {name: a.b}\nspec: {bundle: b}\n",
		"up":        head + "metadata: {name: ..}\nspec: {bundle: b}\n",
		"long":      head + "metadata: {name: " + strings.Repeat("a", 80) + "}\nspec: {bundle: b}\n",
		"empty":     "",
		"binary":    "\x00\x01\x02\xff\xfe",
		"half":      head + "metadata: {name: x}\nspec: {bundle: ",
		"resources": head + "metadata: {name: x}\nspec: {bundle: b, resources: {memory: {limit: 64Mi}}}\n",
		"no-spec":   head + "metadata: {name: x}\n",
		"recursive": head + "metadata: {name: x}\nspec: &a {bundle: *a}\n",
	} {
		w.write(filepath.Join(w.root, "manifests", file+".yaml"), text)
		w.until(file+".yaml is told", func() bool {
			out, err := w.try("events", file+".yaml")
			return err == nil && strings.Contains(out, "ManifestInvalid")
		})
	}
	w.must(syscall.Mkfifo(filepath.Join(w.root, "manifests/fifo.yaml"), 0o600))
	w.until("fifo.yaml is told", func() bool {
		out, err := w.try("events", "fifo.yaml")
		return err == nil && strings.Contains(out, "ManifestInvalid")
	})

	for name, bundle := range map[string]string{
		"b-missing":   filepath.Join(t.TempDir(), "nothing"),
		"b-truncated": w.broken(`{"process":`),
		"b-process":   w.broken(`{"root": {"path": "rootfs"}}`),
		"b-root":      w.broken(`{"process": {"args": ["true"], "cwd": "/"}}`),
		"b-terminal":  w.broken(`{"process": {"args": ["true"], "cwd": "/", "terminal": true}, "root": {"path": "rootfs"}}`),
	} {
		w.manifest(name, bundle, "")
		w.phase(name, "Pending")
		if c := w.get(name); c.Status.Message == "" || c.Status.Attempt != 0 {
			t.Errorf("%s: %+v", name, c.Status)
		}
	}
	if c := w.get("web"); *c.Status.PID != pid || c.Status.RestartCount != 0 || !alive(pid) {
		t.Errorf("disturbed: %+v", c.Status)
	}
	w.settled()
}

// broken makes a bundle of which only the config.json matters.
func (w *world) broken(config string) string {
	dir := w.t.TempDir()
	w.write(filepath.Join(dir, "config.json"), config)
	return dir
}

// TestCwdThatLeadsOut: a symlink out of the rootfs is refused before the runtime would make the directory on the host.
func TestCwdThatLeadsOut(t *testing.T) {
	w := newWorld(t)
	w.start()
	bundle := w.bundle("echo start >>/out/web", runctest.BundleOptions{})
	outside := t.TempDir()
	w.must(os.Symlink(filepath.Join(outside, "made"), filepath.Join(bundle, "rootfs/escape")))
	w.manifest("web", bundle, "  process: {cwd: /escape}\n")
	w.until("the launch is refused", func() bool {
		c := w.get("web")
		return c != nil && strings.Contains(c.Status.Message, "symlink")
	})
	if entries, _ := os.ReadDir(outside); len(entries) != 0 || len(w.lines("web")) != 0 {
		t.Errorf("made outside of the rootfs: %v", entries)
	}
}

// TestTheUsersBundleIsOnlyRead.
func TestTheUsersBundleIsOnlyRead(t *testing.T) {
	w := newWorld(t)
	w.start()
	bundle := w.bundle("echo start >>/out/web; exit 1", runctest.BundleOptions{})
	before := fingerprint(t, bundle)
	w.manifest("web", bundle, "  restart: {policy: OnFailure, maxRetries: 1}\n")
	w.phase("web", "Failed")
	if after := fingerprint(t, bundle); after != before {
		t.Errorf("the bundle was written to:\n%s\n%s", before, after)
	}
}

func fingerprint(t *testing.T, dir string) string {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(h, path, info.Mode())
		if d.Type().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			h.Write(b)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// TestAVanishedDirectoryStopsNothing, nor does another one in its place until it is confirmed.
func TestAVanishedDirectoryStopsNothing(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.manifest("web", w.bundle(forever, runctest.BundleOptions{}), "  stop: {gracePeriod: 0s}\n")
	pid := w.running("web", 0)
	dir := filepath.Join(w.root, "manifests")
	told := func(reason string) func() bool {
		return func() bool {
			out, err := w.try("events", "manifests")
			return err == nil && strings.Contains(out, reason)
		}
	}
	if said := w.run("sources", "confirm"); !strings.HasPrefix(said, "there is nothing to confirm") {
		t.Errorf("confirm of what is followed: %s", said)
	}
	w.must(os.Rename(dir, dir+".away"))
	w.until("the loss is told", told("SourceChanged"))
	if out, err := w.try("sources", "confirm"); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("confirm of what is not there: %s, %v", out, err)
	}
	w.must(os.Mkdir(dir, 0o755))
	w.until("another directory is told", told("another directory"))
	w.restart()
	w.settled()
	if c := w.get("web"); c == nil || *c.Status.PID != pid || !alive(pid) {
		t.Fatalf("disturbed: %+v", c)
	}
	if said := w.run("sources", "confirm"); !strings.HasPrefix(said, "the manifests directory is accepted") {
		t.Errorf("confirm: %s", said)
	}
	if c := w.get("web"); c != nil {
		t.Errorf("confirm has returned, and it is wanted: %+v", c)
	}
	w.until("it is gone", func() bool { return w.get("web") == nil && !alive(pid) })
}

// TestWhatKeepsAControllerFromStarting: each a clear error at once, and a running controller does not notice.
func TestWhatKeepsAControllerFromStarting(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.manifest("web", w.bundle(forever, runctest.BundleOptions{}), "  stop: {gracePeriod: 0s}\n")
	pid := w.running("web", 0)
	refused := func(what, message string, args ...string) {
		t.Helper()
		cmd := exec.Command(filepath.Join(bin, "reconciler"), append([]string{"run", "--cgroup-parent", w.cgroup}, args...)...)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), message) {
			t.Errorf("%s: %v: %s", what, err, out)
		}
	}
	refused("a second controller", fmt.Sprintf("pid %d", w.daemon.Process.Pid), "--root", w.root, "--runtime", w.runtime)
	notExecutable := filepath.Join(t.TempDir(), "runtime")
	w.write(notExecutable, "#!/bin/sh\n")
	other := t.TempDir()
	refused("no runtime", "not in PATH", "--root", other, "--runtime", "no-such-runtime")
	refused("a runtime that is not executable", "not executable", "--root", other, "--runtime", notExecutable)
	w.must(os.MkdirAll(filepath.Join(other, "state"), 0o700))
	w.must(os.Chmod(filepath.Join(other, "state"), 0o777))
	refused("a state directory for everybody", "chmod go-w", "--root", other, "--runtime", w.runtime)
	if c := w.get("web"); *c.Status.PID != pid || !alive(pid) {
		t.Errorf("disturbed: %+v", c.Status)
	}
}

// TestAHangingRuntimeDelaysItsOwnContainerOnly.
func TestAHangingRuntimeDelaysItsOwnContainerOnly(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.shut("start.before")
	w.manifest("slow", w.bundle("exec sleep 100000", runctest.BundleOptions{}), "  stop: {gracePeriod: 0s}\n")
	w.reached("start.before")
	w.must(os.Rename(filepath.Join(w.gates, "start.before"), filepath.Join(w.gates, "start.aside"))) // who stands there goes on
	w.running("slow", 0)
	w.shut("delete.before")
	signalPID(t, *w.get("slow").Status.PID, syscall.SIGKILL)
	w.reached("delete.before")
	w.manifest("web", w.bundle(forever, runctest.BundleOptions{}), "  stop: {gracePeriod: 0s}\n")
	w.running("web", 0)
	w.open("delete.before")
	w.settled()
}

// TestNothingLeaks: as many descriptors after a hundred lives as after one.
func TestNothingLeaks(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.manifest("web", w.bundle("echo start >>/out/web; exit 1", runctest.BundleOptions{}), "  restart: {backoff: {initial: 1ms, max: 1ms}}\n")
	fds := func() int {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", w.daemon.Process.Pid))
		w.must(err)
		return len(entries)
	}
	lives := func(n int) { w.until("it has lived", func() bool { return len(w.lines("web")) >= n }) }
	lives(3)
	w.run("stop", "web")
	w.phase("web", "Stopped")
	w.settled()
	before := fds()
	w.run("start", "web")
	lives(60)
	w.run("stop", "web")
	w.phase("web", "Stopped")
	w.settled()
	w.until("descriptors are closed", func() bool { return fds() <= before+1 }) // a connection of the CLI may be on its way out
	w.oneEach("web", len(w.lines("web")))
}
