package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"reconciler.dev/reconciler/internal/runctest"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// boots has the next controller, and whatever it starts, run under a boot id of the test's own, bound over the kernel's.
// The returned function turns the power off and on: nothing lives, and it is another boot.
func (w *world) boots() (reboot func(tmpfs bool)) {
	w.t.Helper()
	file, n := filepath.Join(w.t.TempDir(), "boot_id"), 0
	next := func() {
		n++
		w.write(file, fmt.Sprintf("00000000-0000-4000-8000-%012d\n", n))
	}
	next()
	w.launcher = []string{"unshare", "-m", "sh", "-c", `mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"`, file}
	return func(tmpfs bool) {
		w.t.Helper()
		guard, reaper := w.pair()
		w.stopped(w.daemon.Process.Pid)
		w.killAtOnce(guard, reaper)
		w.kill()
		for _, pid := range w.members() {
			signalPID(w.t, pid, syscall.SIGKILL)
		}
		w.until("nothing lives", func() bool { return len(w.members()) == 0 })
		if tmpfs {
			w.must(os.RemoveAll(w.rundir()))
		}
		next()
	}
}

// TestSurvivesReboot: nobody saw the ends, and that is what is told; what is wanted runs again where its policy allows. The
// run directory is empty then, or, on a disk, full of what was.
func TestSurvivesReboot(t *testing.T) {
	for _, tmpfs := range []bool{true, false} {
		t.Run(fmt.Sprintf("tmpfs=%v", tmpfs), func(t *testing.T) {
			w := newWorld(t)
			reboot := w.boots()
			w.start()
			for name, policy := range map[string]string{"always": "Always", "onfailure": "OnFailure", "never": "Never", "done": "OnFailure"} {
				script := "echo start >>/out/" + name + "; exec sleep 100000"
				if name == "done" {
					script = "echo start >>/out/done; exit 0"
				}
				w.manifest(name, w.bundle(script, runctest.BundleOptions{}), held+"  restart: {policy: "+policy+"}\n")
			}
			for _, name := range []string{"always", "onfailure", "never"} {
				w.running(name, 0)
				w.until(name+" has begun", func() bool { return len(w.lines(name)) == 1 })
			}
			w.phase("done", "Completed")
			reboot(tmpfs)
			w.start()
			for _, name := range []string{"always", "onfailure"} {
				w.running(name, 0)
				w.until(name+" has begun again", func() bool { return len(w.lines(name)) == 2 })
			}
			w.phase("never", "Failed")
			w.phase("done", "Completed")
			w.settled()
			for _, name := range []string{"always", "onfailure", "never"} {
				if e := w.oneEach(name, 1)[0]; e.Source != subreaper.SourceUnknown || e.Reason != subreaper.ReasonHostRebooted || e.ExitCode != nil || e.Signal != nil {
					t.Errorf("%s: %+v", name, e)
				}
			}
			if e := w.oneEach("done", 1)[0]; e.ExitCode == nil || *e.ExitCode != 0 || len(w.lines("done")) != 1 {
				t.Errorf("done: %+v, %d starts", e, len(w.lines("done")))
			}
		})
	}
}

// TestSurvivesRebootHeld: `down` is what a shutdown calls, and void at the next boot; a stop lasts.
func TestSurvivesRebootHeld(t *testing.T) {
	w := newWorld(t)
	reboot := w.boots()
	w.start()
	for _, name := range []string{"web", "idle"} {
		w.manifest(name, w.bundle("exec sleep 100000", runctest.BundleOptions{}), held)
		w.running(name, 0)
	}
	w.run("stop", "idle")
	w.phase("idle", "Stopped")
	w.run("down", "--reason", "shutdown")
	w.phase("web", "Stopped")
	w.restart() // the same boot
	w.settled()
	w.phase("web", "Stopped")
	reboot(true)
	w.start()
	w.running("web", 0)
	w.phase("idle", "Stopped")
}
