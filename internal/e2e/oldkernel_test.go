package e2e

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"reconciler.dev/reconciler/internal/runctest"
	"reconciler.dev/reconciler/pkg/api"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// TestSecondLossOnAnOlderKernel: a container whose parent died, and then the one who took it over, is a child of pid 1.
// Without the kernel's help its end is what its zombie showed, or honestly unknown, as pid 1 is slow or quick; and never
// anything else.
func TestSecondLossOnAnOlderKernel(t *testing.T) {
	w := newWorld(t)
	w.launcher = []string{filepath.Join(bin, "oldkernel")}
	w.start()
	w.tellsExits(false)
	guard, reaper := w.pair()
	w.manifest("job", w.bundle("until [ -e /out/go ]; do usleep 10000; done; exit 42", runctest.BundleOptions{}), "  restart: {policy: Never}\n")
	pid := w.running("job", 0)
	for _, parent := range []int{reaper, guard} {
		w.until("it is a child of the one that dies next", func() bool {
			s, err := subreaper.ReadStat(pid)
			return err == nil && s.Parent == parent
		})
		w.pair()
		signalPID(t, parent, syscall.SIGKILL)
		w.until("it is another's child", func() bool {
			s, err := subreaper.ReadStat(pid)
			return err == nil && s.Parent != parent
		})
	}
	w.pair()
	w.write(filepath.Join(w.out, "go"), "")
	w.phase("job", "Failed")
	e := w.oneEach("job", 1)[0]
	switch e.Source {
	case subreaper.SourceProcstat:
		if e.ExitCode == nil || *e.ExitCode != 42 || e.PID != pid {
			t.Errorf("%+v, want code 42 of pid %d", e, pid)
		}
	case subreaper.SourceUnknown:
		if e.ExitCode != nil || e.Signal != nil || e.Reason != "Unknown" || !strings.Contains(e.Message, subreaper.ReasonForeignReap) {
			t.Errorf("%+v, want no code, no signal, and the reason", e)
		}
	default:
		t.Errorf("known by %s, which nobody could", e.Source)
	}
	w.tellsExits(false)
}

// tellsExits waits until the controller says what the pair found out about the kernel.
func (w *world) tellsExits(want bool) {
	w.t.Helper()
	client := api.NewClient(filepath.Join(w.root, "run/reconciler.sock"))
	defer client.Close()
	w.until("the node tells what its kernel does", func() bool {
		state, err := client.NodeState(w.t.Context())
		return err == nil && state.TellsExits != nil && *state.TellsExits == want
	})
}
