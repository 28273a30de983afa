package pair_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"reconciler.dev/reconciler/pkg/subreaper"
)

// load launches and ends instances until it is told to stop: each worker keeps some alive across the kills.
type load struct {
	*world
	truth sync.Map // instance id -> syscall.WaitStatus
	lost  atomic.Int64
	over  chan struct{}
	wg    sync.WaitGroup
}

func (w *world) startLoad(workers int) *load {
	l := &load{world: w, over: make(chan struct{})}
	for n := range workers {
		l.wg.Go(func() { l.work(n) })
	}
	return l
}

func (l *load) work(worker int) {
	random := rand.New(rand.NewPCG(uint64(worker), 42))
	var alive []string
	for attempt := 1; ; attempt++ {
		id := fmt.Sprintf("load-%d.%d", worker, attempt)
		switch in, err := l.client.Launch(l.ctx(), l.request(id)); {
		case errors.Is(err, subreaper.ErrLost):
			l.lost.Add(1)
		case err != nil:
			l.Errorf("%s: %v", id, err)
			return
		default:
			l.remember(in)
			alive = append(alive, id)
		}
		stop := false
		select {
		case <-l.over:
			stop = true
		default:
		}
		for len(alive) > 3 || stop && len(alive) > 0 {
			l.end(alive[0], random)
			alive = alive[1:]
		}
		if stop {
			return
		}
	}
}

func (l *load) end(id string, random *rand.Rand) {
	if n := random.IntN(40); n < 32 {
		l.truth.Store(id, code(n))
		l.tell(id, fmt.Sprintf("exit %d", n))
		return
	}
	l.truth.Store(id, syscall.WaitStatus(syscall.SIGKILL))
	l.mu.Lock()
	p := l.inits[id]
	l.mu.Unlock()
	if err := p.Signal(syscall.SIGKILL); err != nil {
		l.Errorf("%s: %v", id, err)
	}
}

// finish ends the load and compares every record with the truth.
func (l *load) finish(sources ...subreaper.Source) {
	l.Helper()
	close(l.over)
	l.wg.Wait()
	n := 0
	l.truth.Range(func(id, status any) bool {
		n++
		l.expect(id.(string), status.(syscall.WaitStatus), sources...)
		return !l.Failed()
	})
	commits, _ := filepath.Glob(filepath.Join(l.run.InstancesDir(), "*.json"))
	records, _ := filepath.Glob(filepath.Join(l.run.ExitsDir(), "*.json"))
	if len(commits) != n || len(records) != n {
		l.Errorf("%d ended, %d were committed, %d are on record", n, len(commits), len(records))
	}
	for _, path := range commits {
		id := strings.TrimSuffix(filepath.Base(path), ".json")
		if _, ok := l.truth.Load(id); !ok {
			l.Errorf("%s was committed, and its launch did not say so", id)
		}
	}
	l.Logf("%d instances, %d launches lost", n, l.lost.Load())
	l.endOrphans()
}

// endOrphans ends what lost launches left: inits that were never told to run anything.
func (l *load) endOrphans() {
	h := l.hello()
	for _, parent := range []int{h.Guard, h.Reaper} {
		for _, child := range childrenOf(parent) {
			var pid int
			if _, err := fmt.Sscan(child, &pid); err == nil && pid != h.Reaper {
				kill(pid)
			}
		}
	}
	l.eventually("the pair has no children left", func() bool {
		return len(childrenOf(h.Guard)) == 1 && len(childrenOf(h.Reaper)) == 0
	})
}

// TestKillsUnderLoad kills guard and reaper in turn, each once the pair is whole again, with launches and exits in
// flight. Children move only up, so one that lived through two kills may have fallen to this test, as to pid 1.
func TestKillsUnderLoad(t *testing.T) {
	w := startWorld(t)
	stop := w.watchRoles()
	l := w.startLoad(3)
	random := rand.New(rand.NewPCG(7, 7))
	for range 40 {
		h := w.hello()
		if random.IntN(2) == 0 {
			kill(h.Guard)
		} else {
			kill(h.Reaper)
		}
		w.whole(h)
	}
	stop()
	l.finish(subreaper.SourceWaitid, subreaper.SourceProcstat, subreaper.SourcePidfd)
	reapAll()
}

// TestReaperKillsUnderLoad: what falls to the guard loses nothing, so every exit is known by waitid.
func TestReaperKillsUnderLoad(t *testing.T) {
	w := startWorld(t)
	l := w.startLoad(3)
	for range 20 {
		h := w.hello()
		kill(h.Reaper)
		w.whole(h)
	}
	l.finish()
}

// TestUpgradesUnderLoad: nothing is lost, not even a launch in flight.
func TestUpgradesUnderLoad(t *testing.T) {
	w := startWorld(t)
	before := w.hello()
	files := openFiles(before)
	stop := w.watchRoles()
	l := w.startLoad(3)
	for range 15 {
		w.must(syscall.Kill(before.Guard, syscall.SIGHUP))
		w.launch(w.request(fmt.Sprintf("between.%d", len(w.snapshot()))))
	}
	stop()
	for id := range w.snapshot() {
		if strings.HasPrefix(id, "between.") {
			l.truth.Store(id, code(7))
			w.tell(id, "exit 7")
		}
	}
	l.finish()
	if n := l.lost.Load(); n != 0 {
		t.Errorf("%d launches were lost", n)
	}
	if after := w.hello(); after.Guard != before.Guard || after.Reaper != before.Reaper {
		t.Errorf("the pair was %+v and is %+v", before, after)
	}
	w.eventually("no descriptor is left open", func() bool { return openFiles(w.hello()) == files })
}

func (w *world) snapshot() map[string]subreaper.Process {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := make(map[string]subreaper.Process, len(w.inits))
	for id, p := range w.inits {
		m[id] = p
	}
	return m
}

// openFiles counts the descriptors of both processes.
func openFiles(h subreaper.Hello) [2]int {
	var n [2]int
	for i, pid := range []int{h.Guard, h.Reaper} {
		names, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		n[i] = len(names)
	}
	return n
}
