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
	controller := children(t, w.daemon.Process.Pid)[0]
	w.kill() // nsenter, and what it runs with it
	w.until("it is dead", func() bool { return !alive(controller) })
	w.killAtOnce(guard, reaper)
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
	note := fmt.Sprintf(`for s in HUP INT QUIT USR1 USR2 TERM CONT; do trap "echo $s >>%[1]s/signals.%[2]s" $s; done; : >%[1]s/ready.%[2]s.$$; while :; do sleep 1; done`, w.out, name)
	// Whoever else is made there meanwhile may get the pid.
	script := fmt.Sprintf(`while echo %d >/proc/sys/kernel/ns_last_pid; do sh -c '%s' & [ $! = %d ] && break; kill -9 $!; wait $!; done; wait`, pid-1, note, pid)
	command := append(inside(namespace), "sh", "-c", script)
	cmd := exec.Command(command[0], command[1:]...)
	w.must(cmd.Start())
	w.after = append(w.after, func() {
		_ = syscall.Kill(namespace, syscall.SIGKILL) // a child that nobody has waited for yet: the end of all in it
		_ = cmd.Wait()
	})
	ready := filepath.Join(w.out, fmt.Sprintf("ready.%s.%d", name, pid))
	w.until("the stranger is ready", func() bool { _, err := os.Stat(ready); return err == nil })
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
