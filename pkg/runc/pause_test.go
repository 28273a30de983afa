package runc

import "testing"

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
