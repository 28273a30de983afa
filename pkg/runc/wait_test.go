package runc

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestWaitTellsHowItEnded(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		for i, c := range []struct {
			script string
			kill   syscall.Signal
			want   ExitStatus
		}{
			{script: "exit 0", want: ExitStatus{}},
			{script: "exit 7", want: ExitStatus{Code: 7}},
			{script: "exit 137", want: ExitStatus{Code: 137}}, // not to be taken for SIGKILL
			{script: "exec sleep 600", kill: syscall.SIGKILL, want: ExitStatus{Signal: syscall.SIGKILL}},
		} {
			container := w.run("a."+strconv.Itoa(i), c.script)
			if c.kill != 0 {
				if err := container.Kill(t.Context(), c.kill); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				if got, err := container.Wait(t.Context()); err != nil || got != c.want {
					t.Errorf("%s: %+v, %v, want %+v", c.script, got, err, c.want)
				}
			}
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		c := w.run("a", "exec sleep 600")
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var errs [3]error
		for i := range errs {
			wg.Go(func() { _, errs[i] = c.Wait(ctx) })
		}
		cancel()
		wg.Wait()
		for _, err := range errs {
			if !errors.Is(err, ErrStillRunning) || !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
		}
		if got := w.status(c); got != Running {
			t.Errorf("it is %s", got)
		}
	})
}

func TestWaitersAllLearnTheStatus(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		c := w.create("a", "exit 9")
		var wg sync.WaitGroup
		var got [5]ExitStatus
		var errs [5]error
		for i := range got {
			wg.Go(func() { got[i], errs[i] = c.Wait(t.Context()) })
		}
		if err := c.Start(t.Context()); err != nil {
			t.Error(err)
		}
		wg.Wait()
		for i := range got {
			if errs[i] != nil || got[i] != (ExitStatus{Code: 9}) {
				t.Errorf("%v, %v", got[i], errs[i])
			}
		}
	})
}

// A container opened by its id is waited for by the init that Create recorded, also once it has ended.
func TestWaitByID(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		made := w.run("a", "exit 5")
		eventually(t, "it is stopped", func() bool { return w.status(made) == Stopped })
		c, err := w.Container("a")
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Wait(t.Context())
		if err != nil || got != (ExitStatus{Code: 5}) {
			t.Errorf("%v, %v", got, err)
		}
		// Only one can have it: the other one's init is gone, and not taken for its pid's next owner.
		if _, err := made.Wait(t.Context()); !errors.Is(err, ErrNotChild) {
			t.Errorf("%v", err)
		}
		made.exit = &got // for the cleanup
	})
}

func TestWaitForSomebodyElsesChild(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		for _, c := range []struct{ name, script string }{
			{"reaped by its parent", "sleep 600 & echo $!; wait; exec sleep 600"},
			{"held as a zombie by its parent", "sleep 600 & echo $!; exec sleep 600"},
		} {
			parent := exec.Command("sh", "-c", c.script)
			stdout, err := parent.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := parent.Start(); err != nil {
				t.Fatal(err)
			}
			line := make([]byte, 32)
			n, err := stdout.Read(line)
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(line[:n])))
			if err != nil {
				t.Fatal(err)
			}
			container, err := w.Container("a")
			if err != nil {
				t.Fatal(err)
			}
			if container.init, err = identify(pid); err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			wg.Go(func() { _, err = container.Wait(t.Context()) })
			kill(t, pid)
			wg.Wait()
			if !errors.Is(err, ErrNotChild) {
				t.Errorf("%s: %v", c.name, err)
			}
			parent.Process.Kill()
			parent.Wait()
		}
	})
}

func TestSharedPIDNamespaceOutlivesItsInit(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		out := t.TempDir()
		c := w.run("a", "sleep 600 & echo $! >/out/pid; exit 4", hostPID, outDir(out))
		if got, err := c.Wait(t.Context()); err != nil || got.Code != 4 {
			t.Fatalf("%v, %v", got, err)
		}
		text, err := os.ReadFile(filepath.Join(out, "pid"))
		if err != nil {
			t.Fatal(err)
		}
		child, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil || !alive(child) {
			t.Fatalf("its child %q is not alive: %v", text, err)
		}
		if err := c.KillAll(t.Context(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		reapOrphan(t, strconv.Itoa(child), syscall.SIGKILL)
	})
}
