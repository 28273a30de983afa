package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
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

// TestSurvivesPIDReuse: the pids of what ran belong to strangers by the time we are back, one of them of a container that
// is to be stopped. No stranger gets a signal.
func TestSurvivesPIDReuse(t *testing.T) {
	w := newWorld(t)
	ns := w.namespace()
	w.start()
	names := []string{"web", "gone"}
	pids := map[string]int{} // in the namespace
	for _, name := range names {
		w.manifest(name, w.bundle("exec sleep 100000", runctest.BundleOptions{}), held)
		pids[name] = w.running(name, 0)
	}
	lived := w.members()
	guard, reaper := w.pair()
	w.killAtOnce(append([]int{guard, reaper}, children(t, w.daemon.Process.Pid)...)...) // setpriv has made way for the controller
	_ = w.daemon.Wait()
	for _, pid := range lived {
		signalPID(t, pid, syscall.SIGKILL)
		w.until("it is reaped", func() bool { _, err := subreaper.ReadStat(pid); return err != nil })
	}
	strangers := map[string]int{}
	for _, name := range names {
		strangers[name] = w.stranger(ns, name, pids[name])
	}
	w.must(os.Remove(w.file("gone")))
	w.start()
	w.running("web", pids["web"])
	w.until("it is gone", func() bool { return w.get("gone") == nil })
	w.settled()
	for name, pid := range strangers {
		if !alive(pid) || len(w.lines("signals."+name)) > 0 {
			t.Errorf("the stranger %d in the place of %s lives: %v, and got signals: %q", pid, name, alive(pid), w.lines("signals."+name))
		}
	}
	for _, name := range names {
		if e := w.oneEach(name, 1)[0]; e.Source != subreaper.SourceUnknown {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

// namespace has the next controllers, and whatever they start, run in a pid namespace of the test's own. It returns its
// first process, which reaps.
func (w *world) namespace() (pid int) {
	w.t.Helper()
	first := exec.Command("sh", "-c", "mount --make-rprivate / && mount -t proc proc /proc && : >"+w.out+"/namespace; while :; do sleep 1000000; done")
	first.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	w.must(first.Start())
	w.after = append(w.after, func() { _ = first.Process.Kill(); _ = first.Wait() })
	w.until("the namespace is there", func() bool { _, err := os.Stat(filepath.Join(w.out, "namespace")); return err == nil })
	w.launcher = append(inside(first.Process.Pid), "setpriv", "--pdeathsig", "KILL") // else nsenter alone would be killed
	return first.Process.Pid
}

func inside(namespace int) []string {
	return []string{"nsenter", "-t", strconv.Itoa(namespace), "-p", "-m", "--"}
}

// stranger makes a process that has a pid of the namespace, and notes every signal that can be noted. It returns its pid
// out here.
func (w *world) stranger(namespace int, name string, pid int) (outside int) {
	w.t.Helper()
	note := fmt.Sprintf(`for s in HUP INT QUIT USR1 USR2 TERM CONT; do trap "echo $s >>%[1]s/signals.%[2]s" $s; done; : >%[1]s/ready.%[2]s; while :; do sleep 1; done`, w.out, name)
	script := fmt.Sprintf(`echo %d >/proc/sys/kernel/ns_last_pid; sh -c '%s' & echo $! >%s/pid.%s; wait`, pid-1, note, w.out, name)
	command := append(inside(namespace), "sh", "-c", script)
	cmd := exec.Command(command[0], command[1:]...)
	w.must(cmd.Start())
	w.after = append(w.after, func() { _ = cmd.Wait() }) // the end of the namespace is its end
	w.until("the stranger is ready", func() bool { _, err := os.Stat(filepath.Join(w.out, "ready."+name)); return err == nil })
	if got := w.lines("pid." + name); len(got) != 1 || got[0] != strconv.Itoa(pid) {
		w.t.Fatalf("the stranger has pid %v, want %d", got, pid)
	}
	shell := children(w.t, cmd.Process.Pid)
	return children(w.t, shell[0])[0]
}

// children are the children of a process with one thread.
func children(t *testing.T, pid int) (pids []int) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range strings.Fields(string(b)) {
		child, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, child)
	}
	return pids
}
