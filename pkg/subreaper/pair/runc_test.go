package pair_test

import (
	"errors"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"reconciler.dev/reconciler/internal/runctest"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// runcWorld is a world whose launches are real.
type runcWorld struct {
	*world
	runc, root, cgroup string
}

func startRuncWorld(t *testing.T) *runcWorld {
	t.Helper()
	runctest.Require(t, runctest.Root, runctest.Runc, runctest.Busybox, runctest.Pidfd)
	cgroup := runctest.CgroupParent(t)
	return &runcWorld{world: startWorld(t), runc: runctest.RuncPath(t), root: filepath.Join(t.TempDir(), "runc"), cgroup: cgroup}
}

func (w *runcWorld) command(args ...string) *exec.Cmd {
	return exec.Command(w.runc, append([]string{"--root", w.root}, args...)...)
}

// do runs a verb of runc. This process is a subreaper too and reaps only by pid, so os/exec is not disturbed.
func (w *runcWorld) do(args ...string) {
	w.Helper()
	if out, err := w.command(args...).CombinedOutput(); err != nil {
		w.Fatalf("runc %v: %v\n%s", args, err, out)
	}
}

func (w *runcWorld) create(id string, args ...string) subreaper.Process {
	w.Helper()
	bundle := runctest.Bundle(w.TB, runctest.BundleOptions{Args: args, CgroupsPath: filepath.Join(w.cgroup, id)})
	q := w.script(id, "")
	q.Args = []string{w.runc, "--root", w.root, "create", "--bundle", bundle, "--pid-file", q.PIDFile, id}
	p := w.launch(q)
	w.Cleanup(func() { _ = w.command("delete", "--force", id).Run() })
	return p
}

func TestRunc(t *testing.T) {
	w := startRuncWorld(t)
	p := w.create("real.1", "sh", "-c", "exit 42")
	before := w.hello()
	if parent(p.PID) != before.Reaper {
		t.Errorf("init is a child of %d, not of the reaper %d", parent(p.PID), before.Reaper)
	}
	q := w.create("real.2", "sleep", "1000")
	kill(before.Guard)
	w.whole(before)
	w.do("start", "real.1")
	w.expect("real.1", code(42))
	w.do("start", "real.2")
	w.must(q.Signal(syscall.SIGKILL))
	w.expect("real.2", 9)
	w.do("delete", "real.1")
	w.do("delete", "real.2")
}

// TestExecZombieIsReapedAtOnce: in a pid namespace that holds a zombie, init's death is not seen until that is reaped.
func TestExecZombieIsReapedAtOnce(t *testing.T) {
	w := startRuncWorld(t)
	p := w.create("exec.1", "sleep", "1000")
	w.do("start", "exec.1")
	// Ours is a subreaper too: run by the reaper, what runc leaves becomes the reaper's child, as it does in use.
	for id, how := range map[string]string{"helper.1": "true", "helper.2": "sleep 1000"} {
		_, err := w.client.Launch(w.ctx(), w.script(id, w.runc+" --root "+w.root+" exec -d exec.1 "+how))
		if e, ok := errors.AsType[*subreaper.LaunchError](err); !ok || e.Status != 0 {
			t.Fatalf("exec: %v, want no more than a missing pid file", err)
		}
	}
	w.must(p.Signal(syscall.SIGKILL))
	w.expect("exec.1", 9)
	w.reaped(p)
	if left := childrenOf(w.hello().Reaper); len(left) != 0 {
		t.Errorf("children left: %v", left)
	}
	w.do("delete", "exec.1")
}
