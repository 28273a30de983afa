package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"reconciler.dev/reconciler/internal/runctest"
	"reconciler.dev/reconciler/pkg/api"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// untilTold runs until a file is there, and exits with 42.
const untilTold = "until [ -e /out/go ]; do usleep 10000; done; exit 42"

// held is a manifest that is started again, and ended at once.
const held = "  stop: {gracePeriod: 0s}\n"

// never is a manifest that is started once.
const never = "  restart: {policy: Never}\n"

// job runs until w.tell, and is not started again.
func (w *world) job(name string) (pid int) {
	w.t.Helper()
	w.manifest(name, w.bundle(untilTold, runctest.BundleOptions{}), never)
	return w.running(name, 0)
}

func (w *world) tell() { w.write(filepath.Join(w.out, "go"), "") }

// ended waits for the one exit of a job that was told, and holds it to what the kernel knows.
func (w *world) ended(name string, by ...subreaper.Source) {
	w.t.Helper()
	w.phase(name, "Failed")
	e := w.oneEach(name, 1)[0]
	known := false
	for _, source := range by {
		known = known || e.Source == source
	}
	if !known || e.ExitCode == nil || *e.ExitCode != 42 {
		w.t.Errorf("%s: %+v, want code 42 by one of %v", name, e, by)
	}
}

// TestSurvivesController: containers do not notice, and what ends meanwhile is in files.
func TestSurvivesController(t *testing.T) {
	w, pid := web(t)
	w.job("job")
	w.manifest("other", w.bundle("echo start >>/out/other; exec sleep 100000", runctest.BundleOptions{}), held)
	other := w.running("other", 0)
	for range 3 {
		w.kill()
		w.start()
		w.settled()
	}
	w.kill()
	w.tell()
	signalPID(t, pid, syscall.SIGKILL)
	for _, file := range []string{"job.1", "web.1"} {
		w.until(file+" is recorded", func() bool { _, err := os.Stat(w.rundir("exits", file+".json")); return err == nil })
	}
	w.start()
	w.ended("job", subreaper.SourceWaitid)
	w.running("web", pid)
	if e := w.oneEach("web", 1)[0]; e.Source != subreaper.SourceWaitid || e.Signal == nil || *e.Signal != 9 || e.PID != pid {
		t.Errorf("%+v", e)
	}
	w.undisturbed("other", other)
	if c := w.get("other"); c.Status.RestartCount != 0 || len(w.lines("other")) != 1 {
		t.Errorf("%+v, %d starts", c.Status, len(w.lines("other")))
	}
}

// TestSurvivesUpgradeOfController to another build, with a hundred containers: each is the process that it was.
func TestSurvivesUpgradeOfController(t *testing.T) {
	const n = 100
	w := newWorld(t)
	w.start("--resync", "1h")
	guard, reaper := w.pair()
	bundle := w.bundle("exec sleep 100000", runctest.BundleOptions{})
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "---\napiVersion: reconciler/v1alpha1\nkind: Container\nmetadata: {name: c%d}\nspec:\n  bundle: %s\n%s", i, bundle, held)
	}
	w.write(w.manifests(".all.tmp"), text.String())
	w.must(os.Rename(w.manifests(".all.tmp"), w.manifests("all.yaml")))
	w.until("all run", func() bool { return len(w.pids()) == n })
	before := w.pids()
	w.bin = t.TempDir()
	build := exec.Command("go", "build", "-ldflags", "-buildid=another", "-o", w.bin+"/", "reconciler.dev/reconciler/cmd/reconciler")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	w.must(os.Symlink(filepath.Join(bin, "reconciler-subreaper"), filepath.Join(w.bin, "reconciler-subreaper"))) // the same build
	w.kill()
	w.start("--resync", "1h")
	w.settled()
	for name, pid := range w.pids() {
		if before[name] != pid || !alive(pid) {
			t.Errorf("%s: pid %d became %d", name, before[name], pid)
		}
	}
	if g, r := w.pair(); g != guard || r != reaper {
		t.Errorf("the pair was %d and %d, and is %d and %d", guard, reaper, g, r)
	}
	signalPID(t, before["c7"], syscall.SIGKILL)
	w.running("c7", before["c7"])
	if e := w.oneEach("c7", 1)[0]; e.Source != subreaper.SourceWaitid || *e.Signal != 9 {
		t.Errorf("%+v", e)
	}
}

// pids are those of all containers that run.
func (w *world) pids() map[string]int {
	var list api.List[api.Container]
	out, err := w.try("get", "-o", "json")
	if err != nil || json.Unmarshal([]byte(out), &list) != nil {
		return nil
	}
	pids := map[string]int{}
	for _, c := range list.Items {
		if c.Status.Phase == "Running" && c.Status.PID != nil {
			pids[c.Metadata.Name] = *c.Status.PID
		}
	}
	return pids
}

// TestSurvivesEverything of ours at once: what ends before we are back was reaped by a stranger, whom nobody can ask; what
// lives is adopted, and its end known by its pidfd where the kernel tells, else by its zombie or honestly unknown.
func TestSurvivesEverything(t *testing.T) {
	w := newWorld(t)
	w.start()
	tells := w.tells()
	w.manifest("gone", w.bundle(forever, runctest.BundleOptions{}), never)
	gone, job := w.running("gone", 0), w.job("job")
	guard, reaper := w.pair()
	w.stopped(w.daemon.Process.Pid)
	w.killAtOnce(guard, reaper)
	w.kill()
	signalPID(t, gone, syscall.SIGKILL)
	w.until("it is reaped", func() bool { _, err := subreaper.ReadStat(gone); return err != nil })
	w.start()
	w.phase("gone", "Failed")
	if e := w.oneEach("gone", 1)[0]; e.Source != subreaper.SourceUnknown || e.ExitCode != nil || e.Signal != nil || !strings.Contains(e.Message, subreaper.ReasonUnseen) {
		t.Errorf("%+v", e)
	}
	w.undisturbed("job", job)
	w.tell()
	w.endedForeign("job", tells)
}

// tells says whether this kernel tells how a process ended that a stranger has reaped.
func (w *world) tells() (tells bool) {
	w.t.Helper()
	client := api.NewClient(w.rundir("reconciler.sock"))
	defer client.Close()
	w.until("the node tells what its kernel does", func() bool {
		state, err := client.NodeState(w.t.Context())
		if err != nil || state.TellsExits == nil {
			return false
		}
		tells = *state.TellsExits
		return true
	})
	return tells
}

// endedForeign is ended, for one whose parent is no process of ours any more.
func (w *world) endedForeign(name string, tells bool) {
	w.t.Helper()
	if tells {
		w.ended(name, subreaper.SourcePidfd, subreaper.SourceProcstat)
		return
	}
	w.phase(name, "Failed")
	if e := w.oneEach(name, 1)[0]; e.Source == subreaper.SourceWaitid || e.ExitCode != nil && *e.ExitCode != 42 || e.Signal != nil {
		w.t.Errorf("%+v", e)
	}
}

// TestSurvivesStopped: a process of ours that stands still for a while holds up what it does, and loses nothing.
func TestSurvivesStopped(t *testing.T) {
	for _, who := range []string{"controller", "guard", "reaper", "pair"} {
		t.Run(who, func(t *testing.T) {
			w, pid := web(t)
			w.until("it has begun", func() bool { return len(w.lines("web")) == 1 })
			guard, reaper := w.pair()
			stopped := map[string][]int{"controller": {w.daemon.Process.Pid}, "guard": {guard}, "reaper": {reaper}, "pair": {guard, reaper}}[who]
			w.stopped(stopped...)
			signalPID(t, pid, syscall.SIGKILL)
			switch who {
			case "controller":
				w.until("the exit is recorded", func() bool { _, err := os.Stat(w.rundir("exits/web.1.json")); return err == nil })
			case "guard":
				w.running("web", pid) // nobody misses it
			default:
				w.until("the exit is awaited", func() bool {
					out, err := w.try("get", "web", "-o", "json")
					return err == nil && strings.Contains(out, "ExitPending")
				})
			}
			for _, p := range stopped {
				signalPID(t, p, syscall.SIGCONT)
			}
			w.replaced("web", pid, 2)
			if e := w.exits("web")[0]; e.Source != subreaper.SourceWaitid || *e.Signal != 9 {
				t.Errorf("%+v", e)
			}
			if g, r := w.pair(); g != guard || r != reaper {
				t.Errorf("the pair was %d and %d, and is %d and %d", guard, reaper, g, r)
			}
		})
	}
}
