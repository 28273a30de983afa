package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"reconciler.dev/reconciler/internal/runctest"
	"reconciler.dev/reconciler/pkg/api"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// bin holds the built programs.
var bin string

func TestMain(m *testing.M) {
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	runctest.Main(m)
}

func build() (err error) {
	if bin, err = filepath.Abs("../../bin/e2e"); err != nil {
		return err
	}
	// -trimpath as in the Makefile: what was compiled for one serves the other, and the copy of the tutorial.
	cmd := exec.Command("go", "build", "-trimpath", "-o", bin+"/", "reconciler.dev/reconciler/cmd/...", "reconciler.dev/reconciler/hack/oldkernel")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return nil
}

// envRuntime names the runtime that all tests here run on: runc unless it says otherwise.
const envRuntime = "RECONCILER_E2E_RUNTIME"

// patience bounds every wait for something that has to happen. Nothing is measured by it.
const patience = 60 * time.Second

// world is one scratch root with its controller.
type world struct {
	t       *testing.T
	root    string
	cgroup  string
	out     string // bound into containers at /out
	gates   string
	oci     string // the runtime under test
	runtime string // the same behind its gates, or faulty
	faults  string // of a faulty runtime
	daemon  *exec.Cmd
	bin     string  // of the next controller and its pair; empty: as built
	unshare uintptr // namespaces of the next controller's own: unshare(2)

	after []func() // at the end, last first

	launcher []string // runs the next controller as its arguments; empty: the controller is run itself
}

// newWorld makes a world and takes it down at the end of the test, in order: down --exit must leave nothing behind.
func newWorld(t *testing.T) *world {
	runctest.Require(t, runctest.Root, runctest.Runc, runctest.Pidfd, runctest.Busybox)
	w := &world{t: t, cgroup: runctest.CgroupParent(t), root: t.TempDir(), out: t.TempDir(), gates: t.TempDir()}
	for _, dir := range []string{w.root, filepath.Join(w.root, "manifests")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	w.oci = runctest.RuntimePath(t, cmp.Or(os.Getenv(envRuntime), "runc"))
	w.runtime = w.gated(w.oci)
	t.Cleanup(w.end)
	return w
}

// gated wraps the runtime: where a file <verb>.before or <verb>.after is in the gates directory, that verb makes
// <verb>.<when>.hit and waits until the file is gone.
func (w *world) gated(runtime string) string {
	script := fmt.Sprintf(`#!/bin/sh
verb=
for a; do case $a in create|start|delete|list|state) verb=$a; break;; esac; done
gate() {
	[ -e "%[1]s/$verb.$1" ] || return 0
	echo $$ >"%[1]s/$verb.$1.hit.new"; mv "%[1]s/$verb.$1.hit.new" "%[1]s/$verb.$1.hit"
	while [ -e "%[1]s/$verb.$1" ]; do /bin/busybox usleep 5000; done
}
gate before
%[2]s "$@"; status=$?
gate after
exit $status
`, w.gates, runtime)
	path := filepath.Join(w.gates, "runtime")
	w.write(path, script)
	w.must(os.Chmod(path, 0o700))
	return path
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) write(path, text string) {
	w.t.Helper()
	w.must(os.WriteFile(path, []byte(text), 0o600))
}

// shut closes a gate such as "create.after"; the next one through it waits there.
func (w *world) shut(gate string) {
	_ = os.Remove(filepath.Join(w.gates, gate+".hit"))
	w.write(filepath.Join(w.gates, gate), "")
}

func (w *world) open(gate string) { _ = os.Remove(filepath.Join(w.gates, gate)) }

// reached waits until somebody stands at the gate.
func (w *world) reached(gate string) {
	w.t.Helper()
	w.until("gate "+gate+" is reached", func() bool {
		_, err := os.Stat(filepath.Join(w.gates, gate+".hit"))
		return err == nil
	})
}

func (w *world) until(what string, true_ func() bool) {
	w.t.Helper()
	for end := time.Now().Add(patience); !true_(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("it never came to be that %s\n%s", what, w.state())
		}
	}
}

// state is everything there is to say when a test fails.
func (w *world) state() string {
	var b strings.Builder
	for _, args := range [][]string{{"get", "-o", "wide"}, {"plan"}, {"events"}} {
		out, err := w.try(args...)
		fmt.Fprintf(&b, "$ reconciler %s\n%s%s\n", strings.Join(args, " "), out, errText(err))
	}
	for _, file := range []string{"daemon.log", "run/subreaper.log"} {
		text, _ := os.ReadFile(filepath.Join(w.root, file))
		fmt.Fprintf(&b, "%s:\n%s\n", file, text[max(0, len(text)-6000):])
	}
	return b.String()
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// start starts the controller and waits until it answers.
func (w *world) start(args ...string) {
	w.t.Helper()
	log, err := os.OpenFile(filepath.Join(w.root, "daemon.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	w.must(err)
	defer log.Close()
	command := append([]string{filepath.Join(cmp.Or(w.bin, bin), "reconciler"), "run", "--root", w.root, "--cgroup-parent", w.cgroup,
		"--runtime", w.runtime, "--resync", "1s"}, args...)
	command = slices.Concat(w.launcher, command)
	w.daemon = exec.Command(command[0], command[1:]...)
	w.daemon.Stdout, w.daemon.Stderr = log, log
	w.daemon.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Unshareflags: w.unshare}
	w.must(w.daemon.Start())
	w.until("the controller answers", func() bool {
		_, err := w.cli("--socket", filepath.Join(w.root, "run/reconciler.sock"), "get")
		return err == nil
	})
}

// kill ends the controller without a chance to tidy up.
func (w *world) kill() {
	w.t.Helper()
	w.must(w.daemon.Process.Kill())
	_ = w.daemon.Wait()
	w.daemon = nil
}

func (w *world) restart() {
	w.t.Helper()
	w.kill()
	w.start()
}

func (w *world) cli(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "reconciler"), args...)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("reconciler %s: %w: %s", strings.Join(args, " "), err, complaint.String())
	}
	return out.String(), nil
}

func (w *world) try(args ...string) (string, error) {
	return w.cli(append([]string{"--root", w.root}, args...)...)
}

func (w *world) run(args ...string) string {
	w.t.Helper()
	out, err := w.try(args...)
	w.must(err)
	return out
}

// direct runs the runtime as somebody beside the controller would.
func (w *world) direct(args ...string) string {
	w.t.Helper()
	out, err := exec.Command(w.oci, append([]string{"--root", filepath.Join(w.root, "run/runc")}, args...)...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("runtime %v: %v: %s", args, err, out)
	}
	return string(out)
}

// create makes and starts a container as somebody beside the controller would.
func (w *world) create(bundle, id string) {
	w.t.Helper()
	root := filepath.Join(w.root, "run/runc")
	cmd := exec.Command(w.oci, "--root", root, "create", "--bundle", bundle, "--pid-file", filepath.Join(w.t.TempDir(), "pid"), id)
	w.must(cmd.Run()) // no pipes: the container would hold them
	w.direct("start", id)
}

// bundle makes a bundle that runs a shell script; it finds /out.
func (w *world) bundle(script string, o runctest.BundleOptions) string {
	o.Args, o.OutDir = []string{"sh", "-c", script}, w.out
	return runctest.Bundle(w.t, o)
}

// manifest renames a manifest into place.
func (w *world) manifest(name, bundle, spec string) {
	w.t.Helper()
	text := fmt.Sprintf("apiVersion: reconciler/v1alpha1\nkind: Container\nmetadata: {name: %s}\nspec:\n  bundle: %s\n%s", name, bundle, spec)
	aside := filepath.Join(w.root, "manifests", "."+name+".tmp")
	w.write(aside, text)
	w.must(os.Rename(aside, w.file(name)))
}

func (w *world) file(name string) string { return filepath.Join(w.root, "manifests", name+".yaml") }

// get is the container's object; nil while there is none.
func (w *world) get(name string) *api.Container {
	out, err := w.try("get", name, "-o", "json")
	var c api.Container
	if err != nil || json.Unmarshal([]byte(out), &c) != nil {
		return nil
	}
	return &c
}

// running waits until an instance other than not runs and returns its pid.
func (w *world) running(name string, not int) (pid int) {
	w.t.Helper()
	w.until(name+" runs", func() bool {
		c := w.get(name)
		if c == nil || c.Status.Phase != "Running" || c.Status.PID == nil || *c.Status.PID == not {
			return false
		}
		pid = *c.Status.PID
		return true
	})
	return pid
}

func (w *world) phase(name, phase string) {
	w.t.Helper()
	w.until(name+" is "+phase, func() bool {
		c := w.get(name)
		return c != nil && string(c.Status.Phase) == phase
	})
}

func (w *world) exits(name string) []api.Exit {
	w.t.Helper()
	var list api.List[api.Exit]
	w.must(json.Unmarshal([]byte(w.run("exits", name, "-o", "json")), &list))
	return list.Items
}

// settled waits until the plan is empty.
func (w *world) settled() {
	w.t.Helper()
	w.until("the plan is empty", func() bool {
		out, err := w.try("plan")
		return err == nil && out == ""
	})
}

// lines are the lines that containers wrote to a file in /out.
func (w *world) lines(file string) []string { return linesOf(filepath.Join(w.out, file)) }

// linesOf are the lines of a file: none where there is no file.
func linesOf(path string) []string {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return slices.Collect(strings.FieldsFuncSeq(string(b), func(r rune) bool { return r == '\n' }))
}

// roles are the pids of the living guards or reapers of this world.
func (w *world) roles(role string) (pids []int) {
	entries, err := os.ReadDir("/proc")
	w.must(err)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		b, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		args := strings.Split(string(b), "\x00")
		if len(args) > 1 && args[1] == role && slices.Contains(args, filepath.Join(w.root, "run")) {
			if s, err := subreaper.ReadStat(pid); err == nil && s.State != 'Z' {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// pair waits until there is one guard and one reaper, and returns them.
func (w *world) pair() (guard, reaper int) {
	w.t.Helper()
	w.until("there is one guard and one reaper", func() bool {
		g, r := w.roles("guard"), w.roles("reaper")
		if len(g) != 1 || len(r) != 1 {
			return false
		}
		guard, reaper = g[0], r[0]
		return true
	})
	return guard, reaper
}

func signalPID(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Fatal(err)
	}
}

func alive(pid int) bool {
	s, err := subreaper.ReadStat(pid)
	return err == nil && s.State != 'Z'
}

// end takes the world down in order and holds it to leaving nothing behind.
func (w *world) end() {
	defer func() {
		for _, f := range slices.Backward(w.after) {
			f()
		}
	}()
	gates, _ := filepath.Glob(w.gates + "/*.*")
	for _, g := range gates {
		_ = os.Remove(g)
	}
	if w.t.Failed() {
		w.t.Logf("%s", w.state())
	}
	if w.daemon == nil {
		w.start()
	}
	if out, err := w.try("down", "--exit"); err != nil {
		w.t.Errorf("down --exit: %v %s", err, out)
	}
	ended := make(chan error, 1)
	go func() { ended <- w.daemon.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			w.t.Errorf("the controller ended with %v\n%s", err, w.state())
		}
	case <-time.After(patience):
		w.t.Errorf("the controller does not end\n%s", w.state())
		_ = w.daemon.Process.Kill()
		<-ended
	}
	for _, role := range []string{"reaper", "guard"} {
		for _, pid := range w.roles(role) {
			w.t.Errorf("%s %d is left behind", role, pid)
			_ = syscall.Kill(pid, syscall.SIGSTOP)
			defer func() { _ = syscall.Kill(pid, syscall.SIGKILL) }()
		}
	}
	for _, dir := range []string{"runc", "bundles", "instances", "exits"} {
		entries, _ := os.ReadDir(filepath.Join(w.root, "run", dir))
		for _, e := range entries {
			w.t.Errorf("left behind in run/%s: %s", dir, e.Name())
		}
	}
}
