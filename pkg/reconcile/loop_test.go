package reconcile

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"

	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/store"
)

// lab is a loop over a model, for a synctest bubble: its clock is the bubble's, and can be stepped.
type lab struct {
	*Loop
	ahead  atomic.Int64 // of the bubble's clock, in nanoseconds
	mu     sync.Mutex
	m      *model
	acts   []Action
	times  []time.Time // of acts
	listed error
	hang   map[string]chan struct{} // names whose effects wait
}

// newLab runs a loop until the test ends.
func newLab(t *testing.T) *lab {
	l := &lab{m: newModel(), hang: map[string]chan struct{}{}}
	l.Loop = NewLoop(Config{
		World: l, Wants: l, Do: l.do, Now: l.now, Resync: 30 * time.Second, Calls: 2, Log: logr.Discard(),
	})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = l.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		for _, f := range l.m.faults {
			t.Errorf("broken promise: %s", f)
		}
	})
	return l
}

func (l *lab) now() time.Time { return time.Now().Add(time.Duration(l.ahead.Load())) }

// with changes the model.
func (l *lab) with(f func(m *model)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.m.now = l.now()
	f(l.m)
}

// hangs has what is done about a name wait.
func (l *lab) hangs(name string, release chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hang[name] = release
}

func (l *lab) do(ctx context.Context, a Action) error {
	l.mu.Lock()
	hang := l.hang[a.Name]
	l.mu.Unlock()
	if hang != nil {
		<-hang
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.m.now = l.now()
	l.acts, l.times = append(l.acts, a), append(l.times, time.Now())
	x := Executor{Effects: l.m, Records: l.m, Log: logr.Discard(), Now: l.now}
	err := x.Do(ctx, a)
	l.m.check()
	return err
}

func (l *lab) Look([]string, []observed.Question) observed.Snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.m.look()
	if l.listed != nil {
		s.Unlisted = l.listed.Error()
	}
	return s
}

func (l *lab) List(context.Context) error { return nil }

func (l *lab) Desired(name string) (*store.Desired, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := l.m.want[name]; d != nil {
		return new(*d), nil
	}
	return nil, store.ErrNotFound
}

func (l *lab) Record(name string) (store.Record, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.m.Record(name)
}

func (l *lab) Names() ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	names := slices.AppendSeq(slices.Collect(maps.Keys(l.m.want)), maps.Keys(l.m.recs))
	slices.Sort(names)
	return slices.Compact(names), nil
}

func (l *lab) lives() string {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.m.lives()
}

func want(t *testing.T, l *lab, ids string) {
	t.Helper()
	if got := l.lives(); got != ids {
		t.Fatalf("alive: %q, want %q", got, ids)
	}
}

func desire(name string) func(*model) {
	return func(m *model) { m.desire(name, func(*store.Desired) {}) }
}

func TestLoopRestartsAtOnceThenBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.with(desire("web"))
		l.Wake("web")
		want(t, l, "web.1")
		for _, step := range []struct {
			dies  string
			pause time.Duration
			then  string
		}{{"web.1", 0, "web.2"}, {"web.2", 100 * time.Millisecond, "web.3"}, {"web.3", 200 * time.Millisecond, "web.4"}} {
			l.with(func(m *model) { m.die(step.dies, 1<<8) })
			l.Wake("web")
			if step.pause > 0 {
				time.Sleep(step.pause - time.Millisecond)
				want(t, l, "")
				time.Sleep(time.Millisecond)
			}
			want(t, l, step.then)
		}
	})
}

func TestLoopNeedsNoWakeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.with(desire("web"))
		time.Sleep(30 * time.Second)
		want(t, l, "web.1")
		l.with(func(m *model) { m.die("web.1", syscall.WaitStatus(9)) })
		time.Sleep(30 * time.Second)
		want(t, l, "web.2")
	})
}

func TestSettledLoopIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.with(desire("web"))
		l.Wake("web")
		want(t, l, "web.1")
		before := len(l.acts)
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(l.acts) != before {
			t.Errorf("it acted on its own: %v", l.acts[before:])
		}
	})
}

func TestHangingEffectDelaysItsOwnContainerOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		release := make(chan struct{})
		l.hangs("a", release)
		l.with(func(m *model) { desire("a")(m); desire("b")(m) })
		l.Wake("a", "b")
		want(t, l, "b.1")
		l.Wake("a", "a", "b")
		want(t, l, "b.1")
		close(release)
		want(t, l, "a.1 b.1")
	})
}

// More calls hang than there are slots.
func TestHangingEffectsKeepNoSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		release := make(chan struct{})
		for n := range 20 {
			name := "hangs-" + strconv.Itoa(n)
			l.hangs(name, release)
			l.with(desire(name))
			l.Wake(name)
		}
		synctest.Wait()
		l.with(desire("web"))
		l.Wake("web")
		time.Sleep(time.Minute)
		want(t, l, "web.1")
		close(release)
		synctest.Wait()
	})
}

// What waits for a slot when the end comes is not begun.
func TestNothingBeginsAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lab{m: newModel(), hang: map[string]chan struct{}{}}
		l.Loop = NewLoop(Config{World: l, Wants: l, Do: l.do, Now: time.Now, Resync: 30 * time.Second, Calls: 1, Log: logr.Discard()})
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- l.Run(ctx) }()
		release := make(chan struct{})
		for n := range 10 {
			name := "web-" + strconv.Itoa(n)
			l.hangs(name, release)
			l.with(desire(name))
			l.Wake(name)
		}
		synctest.Wait()
		end()
		time.Sleep(time.Minute)
		close(release)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if n := len(l.acts); n != 4 { // launches that had a slot
			t.Errorf("%d actions: %v", n, l.acts)
		}
	})
}

func TestFailingEffectsAreRetriedEverSlower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.with(func(m *model) { m.fails["launch"], m.keepFailing = errors.New("no answer"), true; desire("web")(m) })
		l.Wake("web")
		time.Sleep(time.Hour)
		synctest.Wait()
		var last time.Duration
		for i := 1; i < len(l.times); i++ {
			gap := l.times[i].Sub(l.times[i-1])
			if gap < minRetry || gap < last || gap > maxRetry+minRetry {
				t.Errorf("pause %d is %s after one of %s", i, gap, last)
			}
			last = gap
		}
		if n := len(l.times); n < 300 {
			t.Errorf("%d tries in an hour", n)
		}
		l.with(func(m *model) { m.keepFailing = false; delete(m.fails, "launch") })
		time.Sleep(maxRetry)
		want(t, l, "web.2") // the first may have been launched, for all that is known
		if r := l.m.recs["web"]; r.Retry != (store.Wait{}) {
			t.Errorf("the pause outlives its cause: %v", r.Retry)
		}
	})
}

func TestDrainStopsEverythingAndStartsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.with(func(m *model) { desire("a")(m); desire("b")(m); m.ignores["b"] = true })
		l.Wake("a", "b")
		want(t, l, "a.1 b.1")
		begun := time.Now()
		if err := l.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		want(t, l, "")
		if took := time.Since(begun); took < 10*time.Second {
			t.Errorf("b ignores its stop signal and had %s of its 10s", took)
		}
		time.Sleep(time.Hour)
		want(t, l, "")
		if len(l.m.procs) != 0 {
			t.Errorf("left behind: %v", l.m.procs)
		}
	})
}

// TestDrainEndsWithoutTheGone: a name came and went before it could be observed, and nothing of it is on record.
func TestDrainEndsWithoutTheGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.with(desire("typo"))
		l.mu.Lock()
		l.listed = errors.New("not listed yet")
		l.mu.Unlock()
		l.Wake("typo")
		synctest.Wait()
		l.with(func(m *model) { delete(m.want, "typo") })
		l.Wake("typo")
		synctest.Wait()
		l.mu.Lock()
		l.listed = nil
		l.mu.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := l.Drain(ctx); err != nil {
			t.Fatal(err)
		}
	})
}

// TestOneWaitsNotForAll: a name that is woken is looked at before a full pass over thousands is over.
func TestOneWaitsNotForAll(t *testing.T) {
	l := &lab{m: newModel(), hang: map[string]chan struct{}{}}
	l.Loop = NewLoop(Config{World: l, Wants: l, Do: l.do, Now: l.now, Resync: time.Hour, Calls: 2, Log: logr.Discard()})
	for _, name := range []string{"a", "b", "z"} {
		l.m.recs[name] = store.Record{Name: name, LastAttempt: 1, RemovedAt: testEpoch}
	}
	for n := range 3 * batch {
		name := "n" + strconv.Itoa(n)
		l.m.recs[name] = store.Record{Name: name, LastAttempt: 1, RemovedAt: testEpoch}
	}
	l.WakeAll()
	l.Wake("z")
	l.pass()
	if q := l.queue; len(q.backlog) != 2*batch+3 || slices.Contains(q.backlog, "a") || q.dirty["z"] {
		t.Errorf("%d of %d are left, z among them: %v", len(q.backlog), 3*batch+3, q.dirty["z"])
	}
}
