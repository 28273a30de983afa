package e2e

import (
	"errors"
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

// wipe removes as a person would. It fails at the end where something was made anew meanwhile.
func wipe(path string) { _ = exec.Command("rm", "-rf", path).Run() }

func (w *world) rundir(elem ...string) string {
	return filepath.Join(append([]string{w.root, "run"}, elem...)...)
}

// replaced holds a container that was lost and replaced against what it wrote: the one before has ended, its exit is told
// once and by somebody who knows, and the next one was started once.
func (w *world) replaced(name string, pid, starts int) (next int) {
	w.t.Helper()
	next = w.running(name, pid)
	w.until("it has begun", func() bool { return len(w.lines(name)) >= starts })
	w.settled()
	if alive(pid) {
		w.t.Errorf("%s: two live instances", name)
	}
	if n := len(w.lines(name)); n != starts {
		w.t.Errorf("%s: %d starts, want %d", name, n, starts)
	}
	exits := w.oneEach(name, starts-1)
	e := exits[len(exits)-1]
	if e.Source == subreaper.SourceUnknown && !w.tells() {
		return next // pid 1 may have been quicker
	}
	if e.PID != pid || e.Source == subreaper.SourceUnknown || e.Signal == nil {
		w.t.Errorf("%s: the exit of the lost one: %+v", name, e)
	}
	return next
}

// watched kills a container and has it started again: its death is seen, by whatever watches the run directory now.
func (w *world) watched(name string, pid, starts int) (next int) {
	w.t.Helper()
	signalPID(w.t, pid, syscall.SIGKILL)
	next = w.replaced(name, pid, starts)
	if exits := w.exits(name); exits[len(exits)-1].Signal == nil || *exits[len(exits)-1].Signal != int(syscall.SIGKILL) {
		w.t.Errorf("%s: %+v", name, exits[len(exits)-1])
	}
	return next
}

// TestSurvivesRuntimeRootWiped: of one container, and of all, its directory included.
func TestSurvivesRuntimeRootWiped(t *testing.T) {
	w, pid := web(t)
	wipe(w.rundir("runc/web.1"))
	pid = w.replaced("web", pid, 2)
	wipe(w.rundir("runc"))
	pid = w.replaced("web", pid, 3)
	w.watched("web", pid, 4)
}

// TestSurvivesRunDirectoryWiped: removed or moved away, under a controller, behind its back, and with the pair. It is made
// again with lock, sockets and watches; what ran is replaced, and its exit told.
func TestSurvivesRunDirectoryWiped(t *testing.T) {
	remove := func(w *world) { wipe(w.rundir()) }
	for name, fault := range map[string]func(w *world){
		"removed":    remove,
		"moved away": func(w *world) { w.must(os.Rename(w.rundir(), w.rundir()+".old")) },
		"while the controller is down": func(w *world) {
			w.kill()
			remove(w)
			w.start("--resync", "1h")
		},
		"with the pair": func(w *world) {
			guard, reaper := w.pair()
			w.stopped(guard, reaper)
			remove(w)
			w.killAtOnce(guard, reaper)
		},
		"with the guard": func(w *world) {
			guard, _ := w.pair()
			w.stopped(guard)
			remove(w)
			w.killAtOnce(guard)
		},
		"with everything": func(w *world) {
			guard, reaper := w.pair()
			w.kill()
			w.killAtOnce(guard, reaper)
			remove(w)
			w.start("--resync", "1h")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, pid := web(t)
			w.until("it has begun", func() bool { return len(w.lines("web")) == 1 })
			fault(w)
			pid = w.replaced("web", pid, 2)
			pid = w.watched("web", pid, 3)
			w.pair()
			if _, err := w.cli("--socket", w.rundir("reconciler.sock"), "get"); err != nil {
				t.Error("the API: ", err)
			}
			if got := w.lockHolder(); got != w.daemon.Process.Pid {
				t.Errorf("the lock of the run directory is held by %d, want %d", got, w.daemon.Process.Pid)
			}
			w.restart() // it finds all in its place
			w.undisturbed("web", pid)
		})
	}
}

// lockHolder is who has written itself into the lock of the run directory, if that is locked.
func (w *world) lockHolder() int {
	w.t.Helper()
	f, err := os.OpenFile(w.rundir("controller.lock"), os.O_RDWR, 0)
	w.must(err)
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
		w.t.Error("the lock of the run directory is free")
	}
	b, err := os.ReadFile(f.Name())
	w.must(err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	w.must(err)
	return pid
}

// TestSurvivesRunDirectoryWipedInALaunch: at each point of a launch. The number is spent; nothing runs twice.
func TestSurvivesRunDirectoryWipedInALaunch(t *testing.T) {
	for _, gate := range []string{"create.before", "create.after", "start.before", "start.after"} {
		for _, died := range []bool{false, true} {
			name := gate
			if died {
				name += " and the pair and the controller died"
			}
			t.Run(name, func(t *testing.T) {
				w := newWorld(t)
				w.start("--resync", "1h")
				guard, reaper := w.pair()
				w.shut(gate)
				w.manifest("web", w.bundle(forever, runctest.BundleOptions{}), "  stop: {gracePeriod: 0s}\n")
				w.reached(gate)
				if died {
					w.kill()
					w.killAtOnce(guard, reaper)
				}
				wipe(w.rundir())
				if died {
					w.start("--resync", "1h")
				}
				w.open(gate)
				pid := 0
				w.until("one runs, and it is no remnant", func() bool {
					c := w.get("web")
					if c == nil || c.Status.Phase != "Running" || c.Status.PID == nil {
						return false
					}
					pid = *c.Status.PID
					return c.Status.Attempt > 1
				})
				w.until("it has begun", func() bool { return len(w.lines("web")) > 0 })
				w.settled()
				ended := len(w.exits("web"))
				if n := len(w.lines("web")); n > ended+1 {
					t.Errorf("%d starts, %d ends", n, ended)
				}
				w.oneEach("web", ended)
				w.undisturbed("web", pid)
				if twins := w.members(); len(twins) != 1 || twins[0] != pid {
					t.Errorf("processes %v in the cgroups, want %d alone", twins, pid)
				}
			})
		}
	}
}

// members are the processes in all cgroups of this world's instances.
func (w *world) members() (pids []int) {
	files, _ := filepath.Glob("/sys/fs/cgroup/*" + w.cgroup + "/*/cgroup.procs")
	unified, _ := filepath.Glob("/sys/fs/cgroup" + w.cgroup + "/*/cgroup.procs")
	seen := map[int]bool{}
	for _, file := range append(files, unified...) {
		b, _ := os.ReadFile(file)
		for _, f := range strings.Fields(string(b)) {
			if pid, err := strconv.Atoi(f); err == nil && !seen[pid] {
				seen[pid] = true
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// TestSurvivesSocketsRemoved: both are bound again, and the containers notice nothing.
func TestSurvivesSocketsRemoved(t *testing.T) {
	w, pid := web(t)
	for _, name := range []string{"reconciler.sock", "subreaper.sock"} {
		w.must(os.Remove(w.rundir(name)))
		w.until(name+" is there again", func() bool { _, err := os.Lstat(w.rundir(name)); return err == nil })
	}
	w.until("the API answers", func() bool {
		_, err := w.cli("--socket", w.rundir("reconciler.sock"), "get")
		return err == nil
	})
	w.undisturbed("web", pid)
	w.watched("web", pid, 2)
}

// TestSurvivesLockOfRunDirectoryTakenOver: a lock on a directory that was moved away keeps nobody out of the one in its
// place. Who finds another controller there leaves it alone, and ends.
func TestSurvivesLockOfRunDirectoryTakenOver(t *testing.T) {
	w, pid := web(t)
	guard, reaper := w.pair()
	w.stopped(w.daemon.Process.Pid)
	w.killAtOnce(guard, reaper) // they would make the directory again, and are not what is tried here
	w.must(os.Rename(w.rundir(), w.rundir()+".old"))
	w.must(os.Mkdir(w.rundir(), 0o711))
	other, err := os.OpenFile(w.rundir("controller.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	w.must(err)
	defer other.Close()
	w.must(syscall.Flock(int(other.Fd()), syscall.LOCK_EX|syscall.LOCK_NB))
	fmt.Fprintln(other, os.Getpid())
	signalPID(t, w.daemon.Process.Pid, syscall.SIGCONT)
	failed := errors.AsType[*exec.ExitError]
	if _, ok := failed(w.daemon.Wait()); !ok {
		t.Error("it ended well")
	}
	w.daemon = nil
	log, err := os.ReadFile(filepath.Join(w.root, "daemon.log"))
	w.must(err)
	if want := fmt.Sprintf("held by another controller, pid %d", os.Getpid()); !strings.Contains(string(log), want) {
		t.Errorf("it does not say that it is %s:\n%s", want, log)
	}
	if !alive(pid) {
		t.Error("the container was stopped")
	}
	w.must(other.Close())
	w.start("--resync", "1h")
	w.replaced("web", pid, 2)
}
