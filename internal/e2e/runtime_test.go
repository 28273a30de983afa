package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"reconciler.dev/reconciler/internal/runctest"
)

// TestRuntimeKilledInTheMiddle has the runtime killed at moments, from a fixed seed, that lie from its first instruction
// to well behind its last. Whatever it leaves, the next instance runs and nothing of the last one stays.
func TestRuntimeKilledInTheMiddle(t *testing.T) {
	w := newWorld(t)
	w.faulty()
	w.start()
	w.manifest("web", w.bundle(witness(sleeper), runctest.BundleOptions{}), quickStop)
	w.until("web has begun", w.up("web"))
	random := rand.New(rand.NewPCG(1, 2))
	for _, call := range []struct {
		verb string
		most int // microseconds
	}{{"create", 60_000}, {"start", 12_000}, {"delete", 12_000}} {
		for range 8 {
			before := len(w.seen("kill"))
			w.fault(call.verb+".once", fmt.Sprintf("kill %d", random.IntN(call.most)))
			w.killed("web")
			w.until("a "+call.verb+" was killed", func() bool { return len(w.seen("kill")) > before })
			w.balance()
		}
	}
}

// TestRuntimeInTrouble: while the runtime misbehaves nothing is lost and nothing runs twice; once it behaves all is well.
func TestRuntimeInTrouble(t *testing.T) {
	w := newWorld(t)
	w.faulty()
	w.start()
	w.manifest("web", w.bundle(witness(sleeper), runctest.BundleOptions{}), quickStop)
	w.until("web has begun", w.up("web"))
	for _, trouble := range []struct{ verb, does string }{
		{"any", "fail 2"}, {"any", "fail 1"}, {"any", "slow 30000"},
		{"list", "rave"}, {"any", "rave"},
		{"create", "lie"}, {"start", "lie"}, {"delete", "lie"}, {"list", "lie"}, {"any", "lie"},
	} {
		fault, _, _ := strings.Cut(trouble.does, " ")
		before := len(w.seen(fault))
		w.fault(trouble.verb, trouble.does)
		signalPID(t, w.running("web", 0), syscall.SIGKILL)
		w.until(fmt.Sprintf("%s is in trouble, again and again: %s", trouble.verb, trouble.does), func() bool { return len(w.seen(fault)) >= before+3 })
		w.mend(trouble.verb)
		w.until("web has begun", w.up("web"))
		w.balance()
	}
}

// TestRuntimeThatHangs delays the containers that it hangs for, however many, and no other one.
func TestRuntimeThatHangs(t *testing.T) {
	w := newWorld(t)
	w.faulty()
	w.start()
	const many = 12 // more than there are calls at once
	for n := range many {
		w.manifest(fmt.Sprintf("stuck-%d", n), w.bundle(witness(sleeper), runctest.BundleOptions{}), quickStop)
	}
	w.fault("start", "hang")
	w.until("calls hang", func() bool { return len(w.seen("hang")) >= 4 })
	w.manifest("web", w.bundle(witness(sleeper), runctest.BundleOptions{}), quickStop)
	w.until("web is started, too", func() bool { return slices.Contains(w.seen("hang"), "start web.1") })
	w.mend("start")
	w.until("web has begun", w.up("web"))
	for n := range many {
		name := fmt.Sprintf("stuck-%d", n)
		w.until(name+" has begun", w.up(name))
	}
	w.balance()
}

// TestRuntimeReplacedAndRemoved: what runs is not disturbed, and what has ended comes back with the runtime.
func TestRuntimeReplacedAndRemoved(t *testing.T) {
	w := newWorld(t)
	w.faulty()
	w.start()
	for _, name := range []string{"web", "app"} {
		w.manifest(name, w.bundle(witness(sleeper), runctest.BundleOptions{}), quickStop)
		w.until(name+" has begun", w.up(name))
	}
	app := w.running("app", 0)
	// Another file in its place.
	script, err := os.ReadFile(w.runtime)
	w.must(err)
	w.write(w.runtime+".new", string(script)+"\n")
	w.must(os.Chmod(w.runtime+".new", 0o700))
	w.must(os.Rename(w.runtime+".new", w.runtime))
	w.killed("web")
	// Nothing in its place.
	w.must(os.Rename(w.runtime, w.runtime+".away"))
	signalPID(t, w.running("web", 0), syscall.SIGKILL)
	w.until("the launch fails, and is said to", func() bool {
		events, err := w.try("events")
		return err == nil && strings.Contains(events, "LaunchFailed")
	})
	w.must(os.Rename(w.runtime+".away", w.runtime))
	w.until("web has begun", w.up("web"))
	w.balance()
	if now := w.running("app", 0); now != app {
		t.Errorf("app was %d and is %d", app, now)
	}
}

// TestStartKilledBeforeItTookTheFifoAway: the container runs, and the runtime takes it for created: it would wait at the
// fifo for ever.
func TestStartKilledBeforeItTookTheFifoAway(t *testing.T) {
	w := newWorld(t)
	w.faulty()
	w.start()
	w.fault("start.once", "fifo")
	w.manifest("web", w.bundle(witness(sleeper), runctest.BundleOptions{}), quickStop)
	w.until("web has begun", w.up("web"))
	if id := w.instance("web"); id != "web.1" {
		t.Errorf("%s runs", id)
	}
	w.balance()
}

// TestUpdateThatDoesNotWork is tried again, and no reason to replace what runs.
func TestUpdateThatDoesNotWork(t *testing.T) {
	w := newWorld(t)
	w.faulty()
	w.start()
	bundle := w.bundle(witness(sleeper), runctest.BundleOptions{})
	w.manifest("web", bundle, quickStop)
	w.until("web has begun", w.up("web"))
	for n, does := range []string{"kill 500", "fail 1", "lie"} {
		limit := 50 + n
		fault, _, _ := strings.Cut(does, " ")
		w.fault("update", does)
		w.manifest("web", bundle, quickStop+fmt.Sprintf("  resources: {pids: {limit: %d}}\n", limit))
		w.until("it was tried twice", func() bool { return len(w.seen(fault)) > 1 })
		w.mend("update")
		w.until("the limit is another one", func() bool { return w.cgroupFile("web.1", "pids.max") == fmt.Sprint(limit) })
		w.balance()
	}
	if id := w.instance("web"); id != "web.1" {
		t.Errorf("%s runs", id)
	}
}
