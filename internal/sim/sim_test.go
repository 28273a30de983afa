package sim

import (
	"strings"
	"syscall"
	"testing"

	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// TestNoPromiseIsBroken makes few runs; `make sim` and hack/test make more.
func TestNoPromiseIsBroken(t *testing.T) {
	for seed := range uint64(300) {
		if r := Run(seed, Options{}); r.Broken != nil {
			small := Shrink(r, Options{})
			t.Fatalf("seed %d: %v\n# %v\n%s", seed, r.Broken, small.Broken, small.Trace)
		}
	}
}

// TestASeedIsOneRun: what happens is the same whenever a seed is run, and told or not.
func TestASeedIsOneRun(t *testing.T) {
	for seed := range uint64(30) {
		first, second, quiet := Run(seed, Options{Trace: true}), Run(seed, Options{Trace: true}), Run(seed, Options{})
		if first.Trace != second.Trace || first.Steps != quiet.Steps {
			t.Fatalf("seed %d made two runs:\n%s\nand\n%s", seed, first.Trace, second.Trace)
		}
	}
}

func TestAnyTapeIsARun(t *testing.T) {
	for _, record := range [][]uint16{nil, {1, 2, 3}, make([]uint16, 5000), {65535, 65535, 65535, 65535, 65535, 65535}} {
		if r := run(played(record), Options{Trace: true}); r.Broken != nil {
			t.Errorf("%v\n%s", r.Broken, r.Trace)
		}
	}
}

// still is a world in which web.1 runs.
func still(t *testing.T) *world {
	w := newWorld(played(nil), Options{Trace: true})
	w.weather()
	w.calmDown()
	for range 200 {
		w.act()
	}
	if len(w.started) != 1 || w.started[0].id != "web.1" || w.broken != nil {
		t.Fatalf("web.1 does not run: %v\n%s", w.broken, w.trace.String())
	}
	return w
}

// TestBrokenPromisesAreSeen breaks each by hand.
func TestBrokenPromisesAreSeen(t *testing.T) {
	for promise, spoil := range map[string]func(w *world){
		"twins": func(w *world) {
			p := w.fork(nil, initProcess, "web.2", w.mono)
			p.running = true
			w.created(p)
			w.instance("web.2").committed = true
			w.began(p)
		},
		"intent": func(w *world) {
			p := w.fork(nil, initProcess, "db.1", w.mono)
			w.created(p)
			w.began(p)
		},
		"twice":     func(w *world) { w.created(w.fork(nil, initProcess, "web.1", w.mono)) },
		"disturbed": func(w *world) { w.signalled("web.1", w.started[0].init) },
		"stranger":  func(w *world) { w.signalled("web.1", w.fork(nil, stranger, "", w.mono)) },
		"cleaned":   func(w *world) { w.cleaned(w.started[0].init) },
		"lost": func(w *world) {
			w.die(w.started[0].init, syscall.WaitStatus(9))
			w.exitRemoved("web.1")
		},
		"invented": func(w *world) {
			r, _ := w.controller.db.Record("web")
			v := r.Attempts[0]
			w.recordedExit(exitOf(v.Instance, *v.Process))
		},
		"doubled": func(w *world) {
			r, _ := w.controller.db.Record("web")
			w.die(w.started[0].init, 0)
			w.recordedExit(exitOf("web.1", *r.Attempts[0].Process))
			w.recordedExit(exitOf("web.1", *r.Attempts[0].Process))
		},
		"left":      func(w *world) { w.cgroups["web.7"] = &cgroup{}; w.settled() },
		"unsettled": func(w *world) { w.cgroups["web.1"].frozen = true; w.settled() },
		"drain":     func(w *world) { w.drained() },
	} {
		w := still(t)
		if w.settled(); w.broken != nil {
			t.Fatalf("before %s: %v", promise, w.broken)
		}
		if spoil(w); w.broken == nil || w.broken.Promise != promise {
			t.Errorf("%s is broken and seen as: %v", promise, w.broken)
		}
	}
}

func exitOf(instance string, p subreaper.Process) *store.Exit {
	return &store.Exit{Instance: instance, Attempt: 1, Process: p, ExitCode: new(0), Signal: new(0), Source: subreaper.SourceWaitid}
}

// TestShrink: what is left of a run still breaks the promise, and is shorter.
func TestShrink(t *testing.T) {
	defer func(real func(*world) bool) { faults[0].strike = real }(faults[0].strike)
	faults[0].strike = func(w *world) bool { // a controller that takes its containers along
		if i := w.some(); w.controller != nil && i != nil {
			w.signalled(i.id, i.init)
		}
		return true
	}
	for seed := range uint64(100) {
		r := Run(seed, Options{Trace: true})
		if r.Broken == nil {
			continue
		}
		small := Shrink(r, Options{})
		if small.Broken == nil || small.Broken.Promise != r.Broken.Promise || len(small.record) >= len(r.record) {
			t.Errorf("of %d choices %d are left: %v\n%s", len(r.record), len(small.record), small.Broken, small.Trace)
		}
		if !strings.HasSuffix(small.Trace, "> calm\n") || strings.Count(small.Trace, "\n") > 25 {
			t.Errorf("what is printed is not short:\n%s", small.Trace)
		}
		return
	}
	t.Error("a planted bug was not found")
}
