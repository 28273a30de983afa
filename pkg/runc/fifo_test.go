package runc

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A start that was killed before it removed the fifo is finished; one that is still to come, or has ended well, is left alone.
func TestFinishStart(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		c := w.create("a", "exec sleep 600")
		pid, err := c.PID(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if waits, err := c.Waits(pid); err != nil || !waits {
			t.Fatalf("created, it waits: %v, %v", waits, err)
		}
		if err := c.FinishStart(pid); err != nil {
			t.Fatal(err)
		}
		if got := w.status(c); got != Created {
			t.Fatalf("it is %s", got)
		}
		kept := filepath.Join(t.TempDir(), "fifo")
		if err := os.Link(c.fifo(), kept); err != nil {
			t.Fatal(err)
		}
		if err := c.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := c.FinishStart(pid); err != nil {
			t.Fatal(err)
		}
		if err := os.Link(kept, c.fifo()); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) { // init is on its way to the program
			waits, err := c.Waits(pid)
			if err != nil {
				t.Fatal(err)
			}
			if !waits {
				break
			}
			if time.Now().After(end) {
				t.Fatal("started, it waits still")
			}
		}
		if err := c.FinishStart(pid); err != nil {
			t.Fatal(err)
		}
		if err := c.Start(t.Context()); !errors.Is(err, ErrAlreadyRunning) {
			t.Errorf("started again: %v", err)
		}
	})
}
