package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"reconciler.dev/reconciler/internal/runctest"
)

// usage is what a process of ours holds.
type usage struct{ fds, threads, resident int } // resident in KiB

func (w *world) usage(pid int) (u usage) {
	w.t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	w.must(err)
	u.fds = len(entries)
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	w.must(err)
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(line, ":")
		n, _ := strconv.Atoi(strings.Fields(value + " 0")[0])
		switch key {
		case "Threads":
			u.threads = n
		case "VmRSS":
			u.resident = n
		}
	}
	return u
}

// TestSurvivesManyFaultsWithoutGrowth: after faults of many kinds each process of ours holds what it held after the first.
func TestSurvivesManyFaultsWithoutGrowth(t *testing.T) {
	w := newWorld(t)
	w.start("--resync", "1h")
	w.manifest("web", w.bundle(forever, runctest.BundleOptions{}), restarting)
	pid := w.running("web", 0)
	faults := []func(){
		func() { signalPID(t, pid, syscall.SIGKILL) },
		func() { _, reaper := w.pair(); signalPID(t, reaper, syscall.SIGKILL) },
		func() { guard, _ := w.pair(); signalPID(t, guard, syscall.SIGHUP) },
		func() { guard, _ := w.pair(); signalPID(t, guard, syscall.SIGKILL) },
		func() { guard, reaper := w.pair(); w.killAtOnce(guard, reaper) },
		func() { wipe(w.rundir("reconciler.sock")); wipe(w.rundir("subreaper.sock")) },
		func() { wipe(w.rundir("runc")) },
		func() { wipe(w.rundir()) },
		func() { w.must(os.Rename(w.rundir(), filepath.Join(t.TempDir(), "moved"))) },
	}
	settle := func() {
		w.pair()
		w.until("the API is there", func() bool {
			_, err := w.cli("--socket", w.rundir("reconciler.sock"), "get")
			return err == nil
		})
		// A death after whatever was the fault, so that it is known to be over.
		pid = w.running("web", 0)
		signalPID(t, pid, syscall.SIGKILL)
		pid = w.running("web", pid)
		w.settled()
	}
	round := func() {
		for _, fault := range faults {
			fault()
			settle()
		}
	}
	round()
	of := func() map[string]usage {
		guard, reaper := w.pair()
		return map[string]usage{"controller": w.usage(w.daemon.Process.Pid), "guard": w.usage(guard), "reaper": w.usage(reaper)}
	}
	before := of()
	for range 4 {
		round()
	}
	var after map[string]usage
	w.until(fmt.Sprintf("nothing is held but %+v", before), func() bool {
		after = of()
		for who := range before {
			if after[who].fds > before[who].fds {
				return false
			}
		}
		return true
	})
	t.Logf("before %+v, after %+v", before, after)
	for who, b := range before {
		a := after[who]
		// The Go runtime keeps a thread for each system call that blocked at once, and returns memory late.
		if a.threads > b.threads+8 || a.resident > b.resident*3/2+8<<10 {
			t.Errorf("%s: %+v became %+v", who, b, a)
		}
	}
}
