package pair_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/subreaper"
)

func TestKillReaper(t *testing.T) {
	w := startWorld(t)
	before := w.hello()
	w.launchMany("a", 3)
	kill(before.Reaper)
	after := w.whole(before)
	if after.Guard != before.Guard {
		t.Errorf("the guard was %d and is %d", before.Guard, after.Guard)
	}
	for _, p := range w.inits {
		if parent(p.PID) != after.Guard {
			t.Errorf("init %d fell to %d, not to the guard %d", p.PID, parent(p.PID), after.Guard)
		}
	}
	w.launchMany("b", 3)
	w.endMany("a", 3)
	w.endMany("b", 3)
}

// TestKillGuard: the old reaper's pid IS the guard's: same children, same lock, never a fresh pair beside it.
func TestKillGuard(t *testing.T) {
	w := startWorld(t)
	before := w.hello()
	w.launchMany("a", 3)
	stop := w.watchRoles()
	kill(before.Guard)
	after := w.whole(before)
	stop()
	if after.Guard != before.Reaper || roleOf(after.Guard) != subreaper.RoleGuard {
		t.Errorf("the reaper was %d, the guard is %d (%s)", before.Reaper, after.Guard, roleOf(after.Guard))
	}
	for _, p := range w.inits {
		if parent(p.PID) != before.Reaper {
			t.Errorf("init %d fell to %d, not to %d", p.PID, parent(p.PID), before.Reaper)
		}
	}
	w.launchMany("b", 3)
	w.endMany("a", 3)
	w.endMany("b", 3)
}

// watchRoles fails the test if two guards or two reapers are ever seen, or the lock is ever free, until stop is called.
func (w *world) watchRoles() (stop func()) {
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			for _, role := range []string{subreaper.RoleGuard, subreaper.RoleReaper} {
				if twins := w.twins(role); twins != nil {
					w.Errorf("two of role %s: %v", role, twins)
				}
			}
			if w.lockFree() {
				w.Error("the lock was free")
			}
			select {
			case <-over:
				return
			default:
			}
		}
	}()
	return func() { close(over); <-done }
}

// twins returns more than one process of a role, all of them alive in it at one moment: the first of a listing may have
// died or changed its role before the last was looked at.
func (w *world) twins(role string) []int {
	pids := w.roles(role)
	if len(pids) < 2 {
		return nil
	}
	for _, pid := range pids {
		if !subreaper.IsRole(pid, w.run) || roleOf(pid) != role {
			return nil
		}
	}
	return pids
}

func (w *world) lockFree() bool {
	f, err := os.Open(subreaper.LockPath(w.state))
	if err != nil {
		return true
	}
	defer func() { _ = f.Close() }()
	return unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil
}

func (w *world) launchMany(name string, n int) {
	w.Helper()
	for i := range n {
		w.launch(w.request(fmt.Sprintf("%s.%d", name, i)))
	}
}

func (w *world) endMany(name string, n int, sources ...subreaper.Source) {
	w.Helper()
	for i := range n {
		w.tell(fmt.Sprintf("%s.%d", name, i), fmt.Sprintf("exit %d", 20+i))
	}
	for i := range n {
		w.expect(fmt.Sprintf("%s.%d", name, i), code(20+i), sources...)
	}
}

// TestKillBoth: containers fall to pid 1, whose part this test plays, and a new pair takes them up.
func TestKillBoth(t *testing.T) {
	w := startWorld(t)
	w.launchMany("a", 4)
	killBoth := func() {
		t.Helper()
		before := w.hello()
		w.must(syscall.Kill(before.Guard, syscall.SIGSTOP)) // or it heals the reaper's death
		kill(before.Reaper)
		kill(before.Guard)
		w.eventually("both are dead", func() bool {
			return !subreaper.IsRole(before.Guard, w.run) && !subreaper.IsRole(before.Reaper, w.run)
		})
		after := w.whole(before)
		if after.Guard == before.Reaper || after.Guard == before.Guard {
			t.Errorf("not a new pair: %+v, %+v", before, after)
		}
	}
	killBoth()
	w.endMany("a", 2, subreaper.SourceProcstat, subreaper.SourcePidfd)
	killBoth()
	// Nobody reaps: the zombies stay until the end of the test, as with a pid 1 that polls.
	w.tell("a.2", "exit 31")
	w.expect("a.2", code(31), subreaper.SourceProcstat)
	w.tell("a.3", "kill -TERM $(exec sh -c 'echo $PPID')")
	w.expect("a.3", 15, subreaper.SourceProcstat)
	w.launchMany("b", 2)
	w.endMany("b", 2)
	reapAll()
}

func TestSecondGuardIsRefused(t *testing.T) {
	w := startWorld(t)
	before := w.hello()
	out, err := exec.Command(w.binary, "guard", "--run", string(w.run), "--state", w.state).CombinedOutput()
	e, ok := errors.AsType[*exec.ExitError](err)
	if !ok || e.ExitCode() != subreaper.ExitLocked || !strings.Contains(string(out), "another pair holds the lock") {
		t.Errorf("a second guard: %v\n%s", err, out)
	}
	if after := w.hello(); after != before {
		t.Errorf("the pair was %+v and is %+v", before, after)
	}
}

func TestUsage(t *testing.T) {
	w := newWorld(t)
	for _, args := range [][]string{
		nil, {"relay"}, {"guard"}, {"guard", "--run", "/r"}, {"guard", "--run", "r", "--state", "/s"}, {"guard", "--run"},
		{"guard", "--run", "/r", "--state", "/s", "--lock", "x"}, {"guard", "--run", "/r", "--state", "/s", "--held", "a"},
		{"guard", "--run", "/r", "--state", "/s", "--what", "x"}, {"reaper", "--run", "/r", "--state", "/s"},
	} {
		out, err := exec.Command(w.binary, args...).CombinedOutput()
		e, ok := errors.AsType[*exec.ExitError](err)
		if !ok || e.ExitCode() != 2 || !strings.Contains(string(out), "usage:") {
			t.Errorf("%q: %v, %s", args, err, out)
		}
	}
}

func TestStop(t *testing.T) {
	w := startWorld(t)
	before := w.hello()
	w.launch(w.request("stop.1"))
	w.stop()
	if err := w.client.Stop(w.ctx()); !errors.Is(err, subreaper.ErrBusy) {
		t.Fatalf("stopped under an instance: %v, want ErrBusy", err)
	}
	for _, pid := range []int{before.Guard, before.Reaper} { // nor by whoever signals everything
		w.must(syscall.Kill(pid, syscall.SIGTERM))
	}
	w.eventually("both refuse", func() bool { return strings.Count(w.log(), "asked to end, but 1 instances") == 2 })
	if after := w.hello(); after.Guard != before.Guard || after.Reaper != before.Reaper {
		t.Fatalf("the pair was %+v and is %+v", before, after)
	}
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGPIPE, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGALRM} {
		w.must(syscall.Kill(before.Guard, sig))
		w.must(syscall.Kill(before.Reaper, sig))
	}
	w.tell("stop.1", "exit 8")
	w.expect("stop.1", code(8))
	w.eventually("nothing is held", func() bool { return w.hello().Held == 0 })
	if after := w.hello(); after.Guard != before.Guard || after.Reaper != before.Reaper {
		t.Fatalf("the pair was %+v and is %+v", before, after)
	}
	w.must(w.client.Stop(w.ctx()))
	if !w.lockFree() || exists(w.run.Socket()) || len(w.roles("")) != 0 {
		t.Errorf("left: lock free %v, socket %v, processes %v", w.lockFree(), exists(w.run.Socket()), w.roles(""))
	}
	if _, err := w.client.Hello(w.ctx()); !errors.Is(err, subreaper.ErrNoPair) {
		t.Errorf("after Stop: %v", err)
	}
}

// TestUpgrade: SIGHUP puts the file that now is at the program's path in place of both images.
func TestUpgrade(t *testing.T) {
	w := startWorld(t)
	path := w.binary
	install := func(content []byte) {
		w.must(os.WriteFile(path+".new", content, 0o755))
		w.must(os.Rename(path+".new", path))
	}
	before := w.hello()
	w.launchMany("a", 2)

	install(program)
	build, err := subreaper.Build(path)
	w.must(err)
	if before.Build == build {
		t.Fatal("the new file cannot be told from the old one")
	}
	stop := w.watchRoles()
	w.must(syscall.Kill(before.Guard, syscall.SIGHUP))
	w.eventually("both run the new file", func() bool {
		for _, pid := range []int{before.Guard, before.Reaper} {
			if b, err := subreaper.Build(fmt.Sprintf("/proc/%d/exe", pid)); err != nil || b != build {
				return false
			}
		}
		return w.hello().Build == build
	})
	w.launchMany("b", 2)

	// What cannot be executed changes nothing.
	install([]byte("not a program"))
	w.must(syscall.Kill(before.Guard, syscall.SIGHUP))
	w.must(syscall.Kill(before.Reaper, syscall.SIGHUP))
	w.eventually("both failures are logged", func() bool { return strings.Count(w.log(), "going on as before") == 2 })
	w.launchMany("c", 2)
	stop()
	if after := w.hello(); after.Guard != before.Guard || after.Reaper != before.Reaper || after.Build != build {
		t.Errorf("the pair was %+v and is %+v", before, after)
	}

	// A change of role does without the file at the path.
	kill(before.Guard)
	w.whole(before)
	for _, name := range []string{"a", "b", "c"} {
		w.endMany(name, 2)
	}
}

// TestKeepAsksForUpgrade: a controller that comes up beside a newer file has the pair replace itself.
func TestKeepAsksForUpgrade(t *testing.T) {
	w := startWorld(t)
	path := w.binary
	before := w.hello()
	w.stop() // the controller ends; the pair does not
	w.must(os.WriteFile(path+".new", program, 0o755))
	w.must(os.Rename(path+".new", path))
	w.start()
	build, err := subreaper.Build(path)
	w.must(err)
	w.eventually("the pair runs the new file", func() bool { return w.hello().Build == build })
	if after := w.hello(); after.Guard != before.Guard || after.Reaper != before.Reaper {
		t.Errorf("the pair was %+v and is %+v", before, after)
	}
}

// TestManyUpgrades: no SIGHUP hits an image that cannot catch it yet.
func TestManyUpgrades(t *testing.T) {
	w := startWorld(t)
	before := w.hello()
	w.launchMany("a", 2)
	for range 150 {
		for _, pid := range []int{before.Guard, before.Reaper} {
			w.must(syscall.Kill(pid, syscall.SIGHUP))
		}
	}
	w.launchMany("b", 2)
	if after := w.hello(); after.Guard != before.Guard || after.Reaper != before.Reaper {
		t.Errorf("the pair was %+v and is %+v", before, after)
	}
	w.endMany("a", 2)
	w.endMany("b", 2)
}

func TestWipedRunDirectory(t *testing.T) {
	for name, wipe := range map[string]func(w *world) error{
		"all": func(w *world) error {
			_ = os.RemoveAll(string(w.run)) // fails at the end: the pair has made some of it again by then
			if exists(w.run.Instance("a.0")) {
				return errors.New("the instance file is still there")
			}
			return nil
		},
		"unseen": func(w *world) error { // inotify(7) tells nothing of a directory above
			above := filepath.Dir(string(w.run))
			return errors.Join(os.Rename(above, above+".old"), os.Mkdir(above, 0o700))
		},
		"socket":     func(w *world) error { return os.Remove(w.run.Socket()) },
		"exits":      func(w *world) error { return os.RemoveAll(w.run.ExitsDir()) },
		"moved away": func(w *world) error { return os.Rename(string(w.run), string(w.run)+".old") },
	} {
		t.Run(name, func(t *testing.T) {
			w := startWorld(t)
			before := w.hello()
			w.launchMany("a", 1)
			w.must(wipe(w))
			w.eventually("it answers again", func() bool { _, err := os.Lstat(w.run.Socket()); return err == nil })
			w.launchMany("b", 1)
			if !exists(w.run.Log()) {
				t.Error("the log is not kept any more")
			}
			if after := w.hello(); after.Guard != before.Guard || after.Reaper != before.Reaper {
				t.Errorf("the pair was %+v and is %+v", before, after)
			}
			w.endMany("a", 1)
			w.endMany("b", 1)
			kill(w.hello().Reaper) // the guard's listener is the old one
			w.whole(before)
			w.launchMany("c", 1)
			w.endMany("c", 1)
		})
	}
}

// TestWaitingAtALostSocket: who has asked at a socket that nobody can find any more, and was not heard yet, is hung up
// on, and so asks at the next one. The guard must not keep the old one open.
func TestWaitingAtALostSocket(t *testing.T) {
	w := startWorld(t)
	reaper := w.hello().Reaper
	w.must(syscall.Kill(reaper, syscall.SIGSTOP))
	conn, err := net.Dial("unixpacket", w.run.Socket())
	w.must(err)
	defer func() { _ = conn.Close() }()
	_, err = conn.Write([]byte(`{"protocol":1}`))
	w.must(err)
	w.must(os.Remove(w.run.Socket()))
	w.must(syscall.Kill(reaper, syscall.SIGCONT))
	w.must(conn.SetReadDeadline(time.Now().Add(patience)))
	if _, err := conn.Read(make([]byte, 4096)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("it was neither answered nor hung up on")
	}
	w.must(w.client.Ready(w.ctx()))
}

// TestKeepNeedsAGuardThatStarts: a program that ends at once is tried again, and leaves no zombies.
func TestKeepNeedsAGuardThatStarts(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(w.dir, "broken")
	w.must(os.WriteFile(path, []byte("#!/bin/sh\nexit 5\n"), 0o755))
	logged := make(chan string, 1000)
	c, err := subreaper.NewClient(subreaper.Config{Run: w.run, State: w.state, Binary: path, Log: func(m string, kv ...any) {
		logged <- fmt.Sprintln(append([]any{m}, kv...)...)
	}})
	w.must(err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Keep(ctx) }()
	for line := range logged {
		if strings.Contains(line, "exit status 5") {
			break
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Keep: %v", err)
	}
}
