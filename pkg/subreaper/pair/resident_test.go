package pair_test

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"reconciler.dev/reconciler/pkg/subreaper"
)

const (
	mostResident  = 4 << 10 // KiB, of each process
	mostAnonymous = 3 << 9
)

// memory returns VmRSS and RssAnon of a process in KiB.
func memory(t testing.TB, pid int) (resident, anonymous int) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		_, _ = fmt.Sscanf(string(line), "VmRSS: %d kB", &resident)
		_, _ = fmt.Sscanf(string(line), "RssAnon: %d kB", &anonymous)
	}
	return resident, anonymous
}

// TestResident holds the bound after a busy time.
func TestResident(t *testing.T) {
	w := startWorld(t)
	l := w.startLoad(2)
	w.eventually("100 launches", func() bool { return len(w.snapshot()) > 100 })
	l.finish()
	for role, pid := range pids(w.hello()) {
		w.eventually(fmt.Sprintf("%s uses at most %d KiB, %d KiB anonymous", role, mostResident, mostAnonymous), func() bool {
			r, a := memory(t, pid)
			return r <= mostResident && a <= mostAnonymous
		})
		r, a := memory(t, pid)
		t.Logf("%s: %d KiB resident, %d KiB anonymous", role, r, a)
	}
}

func pids(h subreaper.Hello) map[string]int {
	return map[string]int{"guard": h.Guard, "reaper": h.Reaper}
}

// forget does as the controller does once the exit is committed.
func (w *world) forget(id string) {
	w.Helper()
	w.reaped(w.inits[id])
	w.must(os.Remove(w.run.Instance(id)))
	w.must(os.Remove(w.run.Launching(id)))
	w.must(os.Remove(w.run.Exit(id)))
}

// BenchmarkLaunch launches and ends one instance at a time and reports what guard and reaper use after that.
func BenchmarkLaunch(b *testing.B) {
	w := startWorld(b)
	for i := 0; b.Loop(); i++ {
		id := fmt.Sprintf("bench.%d", i)
		w.launch(w.request(id))
		w.tell(id, "exit 3")
		w.expect(id, code(3))
		w.forget(id)
	}
	for role, pid := range pids(w.hello()) {
		r, a := memory(b, pid)
		b.ReportMetric(float64(r), role+"-KiB")
		b.ReportMetric(float64(a), role+"-anon-KiB")
	}
}
