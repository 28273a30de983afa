package reconcile

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/store"
)

// World is what a loop needs to see.
type World interface {
	Look(names []string, q []observed.Question) observed.Snapshot
	// List refreshes which instances there are, for the snapshots that follow.
	List(context.Context) error
}

// Wants is what a loop needs to know: what is desired, and what is on record.
type Wants interface {
	Desired(name string) (*store.Desired, error)
	Record(name string) (store.Record, error)
	Names() ([]string, error)
}

// Config is what a Loop is made of.
type Config struct {
	World  World
	Wants  Wants
	Do     func(context.Context, Action) error // Executor.Do
	Now    func() time.Time
	Resync time.Duration
	Calls  int // how many effects may call the runtime at once; launches, four times as many
	Log    logr.Logger
}

// Loop plans, and has what it planned carried out, name by name: one goroutine plans, at most one effect a name is in
// flight. A wake-up carries a name and nothing else; a lost or doubled one costs time, never correctness, and a full
// pass every Resync is the floor. What is due when is its Queue's to know; the loop adds goroutines, timers and a lock.
type Loop struct {
	Config
	planner Planner
	begun   time.Time

	mu    sync.Mutex
	queue *Queue

	wake        chan struct{}
	finished    chan finish
	drained     chan struct{}
	drainedOnce func()
}

// NewLoop returns a loop that is yet to Run.
func NewLoop(c Config) *Loop {
	drained := make(chan struct{})
	return &Loop{
		Config: c, planner: Planner{World: c.World, Wants: c.Wants, Now: c.Now, Log: c.Log}, begun: time.Now(),
		queue: NewQueue(c.Calls), wake: make(chan struct{}, 1), finished: make(chan finish),
		drained: drained, drainedOnce: sync.OnceFunc(func() { close(drained) }),
	}
}

// with has f change the queue, and wakes the loop.
func (l *Loop) with(f func(q *Queue)) {
	l.mu.Lock()
	f(l.queue)
	l.mu.Unlock()
	l.nudge()
}

// nudge has Run pass once more; a nudge that Run has not got yet does for all.
func (l *Loop) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Wake has the loop look at names again. It may be called from anywhere and never blocks.
func (l *Loop) Wake(names ...string) { l.with(func(q *Queue) { q.Wake(names...) }) }

// WakeAll has the loop look at every name again, a batch at a time: a name that is woken meanwhile need not wait for all.
func (l *Loop) WakeAll() {
	names, err := l.Wants.Names()
	if err != nil {
		l.Log.Error(err, "names cannot be read")
	}
	l.with(func(q *Queue) { q.WakeAll(names) })
}

// Drain stops every container as if all were wanted Stopped, and returns once nothing is left of any. From then on this
// loop starts nothing.
func (l *Loop) Drain(ctx context.Context) error {
	names, err := l.Wants.Names()
	if err != nil {
		return err
	}
	l.with(func(q *Queue) { q.Drain(names) })
	select {
	case <-l.drained:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run plans until ctx ends, then waits for the effects in flight: launches are cut short, since the reaper goes on with
// them, all others have a time limit of their own.
func (l *Loop) Run(ctx context.Context) error {
	resync := time.NewTicker(l.Resync)
	defer resync.Stop()
	listed := make(chan error, 1)
	listing, relist := false, minRetry
	list := func() {
		if !listing {
			listing = true
			go func() { listed <- l.World.List(ctx) }()
		}
	}
	list()
	again, alarm := time.NewTimer(time.Hour), time.NewTimer(time.Hour)
	defer again.Stop()
	defer alarm.Stop()
	inFlight := 0
	begin := func(actions []Action) {
		for _, a := range actions {
			inFlight++
			go l.carryOut(ctx, a)
		}
	}
	for {
		select {
		case <-ctx.Done():
			for ; inFlight > 0; inFlight-- {
				<-l.finished
			}
			if listing {
				<-listed
			}
			return nil
		case <-resync.C:
			list()
		case <-again.C:
			list()
		case err := <-listed:
			listing = false
			if err != nil {
				l.Log.Error(err, "instances cannot be listed")
				again.Reset(relist)
				relist = min(2*relist, l.Resync)
				break
			}
			relist = minRetry
			l.WakeAll()
		case f := <-l.finished:
			inFlight--
			l.mu.Lock()
			next := l.queue.Finished(f.action, f.onRecord, l.clock())
			l.mu.Unlock()
			begin(next)
		case <-alarm.C:
		case <-l.wake:
		}
		begin(l.pass())
		if at, any := l.queue.Next(); any { // alarms are this goroutine's alone
			alarm.Reset(at - l.clock())
		}
	}
}

// clock never steps.
func (l *Loop) clock() time.Duration { return time.Since(l.begun) }

// pass plans for every name that is due and has no effect in flight. It returns what is to be done.
func (l *Loop) pass() []Action {
	l.mu.Lock()
	due, draining := l.queue.Take(l.clock()), l.queue.Draining()
	l.mu.Unlock()
	steps, unread := l.planner.Steps(due, draining)
	l.mu.Lock()
	defer l.mu.Unlock()
	actions := l.queue.Planned(due, unread, steps, l.clock(), l.Now())
	if l.queue.Drained() {
		l.drainedOnce()
	}
	if l.queue.Due() {
		l.nudge()
	}
	return actions
}

// finish is the end of an action.
type finish struct {
	action   Action
	onRecord bool
}

func (l *Loop) carryOut(ctx context.Context, a Action) {
	if a.Verb != Launch {
		ctx = context.WithoutCancel(ctx)
	}
	err := l.Do(ctx, a)
	if err != nil {
		l.Log.Error(err, "action is not on record", "container", a.Name, "action", a.String())
	}
	l.finished <- finish{a, err == nil}
}
