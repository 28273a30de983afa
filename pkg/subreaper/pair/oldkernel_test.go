package pair_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/subreaper"
)

// onEachKernel runs a test on this kernel, and on what an older one would be to the pair: see hack/oldkernel.
func onEachKernel(t *testing.T, test func(*testing.T, *world)) {
	t.Run("this kernel", func(t *testing.T) {
		w := startWorld(t)
		w.tells = kernelTellsExits()
		test(t, w)
	})
	t.Run("older kernel", func(t *testing.T) {
		w := newWorld(t)
		launcher, err := oldKernel()
		w.must(err)
		cmd := exec.Command(launcher, w.binary, subreaper.RoleGuard, "--run", string(w.run), "--state", w.state)
		w.must(os.MkdirAll(string(w.run), 0o711))
		cmd.Stderr, err = os.Create(w.run.Log())
		w.must(err)
		w.must(cmd.Start()) // tearDown reaps it with all others
		w.must(w.client.Ready(w.ctx()))
		w.start() // keeps the pair that is there
		test(t, w)
	})
}

// oldKernel builds the launcher, once.
var oldKernel = sync.OnceValues(func() (string, error) {
	path, err := filepath.Abs("../../../bin/test/oldkernel")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", path, "reconciler.dev/reconciler/hack/oldkernel")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// kernelTellsExits reports whether this kernel is 6.15 or newer.
func kernelTellsExits() bool {
	var u unix.Utsname
	_ = unix.Uname(&u)
	var major, minor int
	_, _ = fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor)
	return major > 6 || major == 6 && minor >= 15
}

// expectReaped is for an end that nobody may have seen before the reap: then only the kernel's memory of it can tell, where
// it has one. Seen says how it may have been known before.
func (w *world) expectReaped(id string, status syscall.WaitStatus, seen ...subreaper.Source) {
	w.Helper()
	e := w.exit(id)
	switch {
	case w.tells:
		w.expect(id, status, append(seen, subreaper.SourcePidfd)...)
	case e.Source != subreaper.SourceUnknown && len(seen) > 0:
		w.expect(id, status, seen...)
	case e.Source != subreaper.SourceUnknown || e.Reason != subreaper.ReasonForeignReap:
		w.Errorf("%s: %+v, want unknown because of %s", id, e, subreaper.ReasonForeignReap)
	}
}

// TestTellsExits: what the kernel tells is found out by the first guard, said once, and known to every heir.
func TestTellsExits(t *testing.T) {
	onEachKernel(t, func(t *testing.T, w *world) {
		knows := func(h subreaper.Hello) subreaper.Hello {
			t.Helper()
			if h.TellsExits != w.tells {
				t.Errorf("%+v, want tellsExits %v", h, w.tells)
			}
			return h
		}
		h := knows(w.hello())
		kill(h.Reaper)
		h = knows(w.whole(h))
		kill(h.Guard)
		h = knows(w.whole(h))
		if n := strings.Count(w.log(), "exits of reaped processes"); n != 1 {
			t.Errorf("said %d times:\n%s", n, w.log())
		}
		w.eventually("the client knows as well", func() bool {
			tells := w.client.TellsExits()
			return tells != nil && *tells == w.tells
		})
	})
}

// TestSecondLoss: the parent of two instances dies, and then the one who took them over. They fall to this process, which
// plays a slow pid 1: one's zombie is seen, the other's is reaped while nobody of ours can look.
func TestSecondLoss(t *testing.T) {
	onEachKernel(t, func(t *testing.T, w *world) {
		w.launchMany("a", 2)
		before := w.hello()
		kill(before.Reaper)
		next := w.whole(before)
		for id, p := range w.inits {
			w.eventually("the new reaper watches "+id, func() bool { return hasPidfdOf(next.Reaper, p.PID) })
		}
		kill(next.Guard)
		after := w.whole(next)
		for id, p := range w.inits {
			w.eventually(id+" is a child of neither", func() bool { return parent(p.PID) == os.Getpid() })
			w.eventually("the guard watches "+id, func() bool { return hasPidfdOf(after.Guard, p.PID) })
		}
		w.tell("a.0", "exit 31")
		w.expect("a.0", code(31), subreaper.SourceProcstat)

		w.must(syscall.Kill(after.Guard, syscall.SIGSTOP))
		w.tell("a.1", "exit 32")
		pid := w.inits["a.1"].PID
		w.eventually("its zombie is reaped", func() bool {
			got, _ := syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
			return got == pid
		})
		w.must(syscall.Kill(after.Guard, syscall.SIGCONT))
		w.expectReaped("a.1", code(32))
	})
}
