package runc

import (
	"errors"
	"syscall"
	"testing"
)

func TestPauseAndResume(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		c := w.run("a", "exec sleep 600")
		for range 2 {
			if err := c.Pause(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := w.status(c); got != Paused {
				t.Errorf("paused, it is %s", got)
			}
			if err := c.Resume(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := w.status(c); got != Running {
				t.Errorf("resumed, it is %s", got)
			}
		}
	})
}

// Whether SIGKILL reaches a paused container at once or when it is resumed differs; that it is dead then does not.
func TestKillOfAPausedContainer(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		c := w.in("paused")
		if err := c.Kill(t.Context(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if err := c.Resume(t.Context()); err != nil && !errors.Is(err, ErrNotPaused) {
			t.Fatal(err)
		}
		if got, err := c.Wait(t.Context()); err != nil || got != (ExitStatus{Signal: syscall.SIGKILL}) {
			t.Errorf("it ended with %v, %v", got, err)
		}
	})
}
