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
// pass every Resync is the floor.
type Loop struct {
	Config

	mu       sync.Mutex
	dirty    map[string]bool // names to look at
	backlog  []string        // names to look at when there is time, a batch a pass
	draining bool
	wake     chan struct{}

	busy        map[string]bool          // names with an effect in flight; owned by Run, like the next three
	timers      map[string]*time.Timer   // the next look at a name that waits
	unquiet     map[string]bool          // names whose last plan was not to hold
	pauses      map[string]time.Duration // of names whose records cannot be written
	finished    chan finish
	slots       map[Verb]chan struct{} // verbs without any wait for nobody
	drained     chan struct{}
	drainedOnce func()
}

// NewLoop returns a loop that is yet to Run.
func NewLoop(c Config) *Loop {
	drained, calls := make(chan struct{}), make(chan struct{}, c.Calls)
	return &Loop{
		drained: drained, drainedOnce: sync.OnceFunc(func() { close(drained) }),
		Config: c, dirty: map[string]bool{}, wake: make(chan struct{}, 1),
		busy: map[string]bool{}, timers: map[string]*time.Timer{}, unquiet: map[string]bool{},
		pauses: map[string]time.Duration{}, finished: make(chan finish),
		slots: map[Verb]chan struct{}{Start: calls, Clean: calls, Pause: calls, Resume: calls, Update: calls, Launch: make(chan struct{}, 4*c.Calls)},
	}
}

// Wake has the loop look at names again. It may be called from anywhere and never blocks.
func (l *Loop) Wake(names ...string) {
	l.mu.Lock()
	for _, name := range names {
		l.dirty[name] = true
	}
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// WakeAll has the loop look at every name again, a batch at a time: a name that is woken meanwhile need not wait for all.
func (l *Loop) WakeAll() {
	names, err := l.Wants.Names()
	if err != nil {
		l.Log.Error(err, "names cannot be read")
	}
	l.mu.Lock()
	l.backlog = names
	l.mu.Unlock()
	l.Wake()
}

// batch is how many names of a backlog are planned in one pass.
const batch = 256

// Drain stops every container as if all were wanted Stopped, and returns once nothing is left of any. From then on this
// loop starts nothing.
func (l *Loop) Drain(ctx context.Context) error {
	names, err := l.Wants.Names()
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.draining = true
	for _, name := range names {
		l.dirty[name] = true // under the same lock: a pass that sees the drain sees every name due
	}
	l.mu.Unlock()
	l.Wake()
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
	again := time.NewTimer(time.Hour)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			for len(l.busy) > 0 {
				delete(l.busy, (<-l.finished).name)
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
			delete(l.busy, f.name)
			l.pauses[f.name] = f.pause
			if f.pause == 0 {
				delete(l.pauses, f.name)
			}
			l.Wake(f.name)
		case <-l.wake:
		}
		l.pass(ctx)
	}
}

// finish is the end of an effect. The pause is what it took after a record that could not be written, 0 after one that
// was.
type finish struct {
	name  string
	pause time.Duration
}

// pass plans for every name that is due and has no effect in flight.
func (l *Loop) pass(ctx context.Context) {
	l.mu.Lock()
	due := l.dirty
	l.dirty = map[string]bool{}
	n := min(batch, len(l.backlog))
	for _, name := range l.backlog[:n] {
		due[name] = true
	}
	l.backlog = l.backlog[n:]
	more := len(l.backlog) > 0
	draining := l.draining
	for name := range l.busy {
		delete(due, name) // looked at when its effect is finished
	}
	l.mu.Unlock()
	if more {
		l.Wake()
	}

	steps, unread := l.plan(due)
	for name := range due { // what was planned before, for a name of which nothing is wanted or on record any more, too
		l.quiet(name)
	}
	for _, name := range unread {
		l.unquiet[name] = true
	}
	for _, a := range steps.Actions {
		l.dispatch(ctx, a)
	}
	if draining && len(l.unquiet) == 0 && len(l.busy) == 0 {
		l.drainedOnce()
	}
}

// quiet forgets what the last plan for a name was.
func (l *Loop) quiet(name string) {
	if t := l.timers[name]; t != nil {
		t.Stop()
		delete(l.timers, name)
	}
	delete(l.unquiet, name)
}

// dispatch has an action carried out, or the name looked at again when its wait is over.
func (l *Loop) dispatch(ctx context.Context, a Action) {
	if a.Verb == Hold {
		return
	}
	l.unquiet[a.Name] = true
	if a.Verb == Wait {
		l.timers[a.Name] = time.AfterFunc(a.When.Sub(l.Now()), func() { l.Wake(a.Name) })
		return
	}
	l.busy[a.Name] = true
	if a.Verb != Launch {
		ctx = context.WithoutCancel(ctx)
	}
	pause := l.pauses[a.Name]
	go func() {
		if err := l.inSlot(ctx, a); err == nil {
			pause = 0
		} else {
			l.Log.Error(err, "action is not on record", "container", a.Name, "action", a.String())
			pause = min(max(2*pause, minRetry), maxRetry)
			time.Sleep(pause) // nothing on record keeps it from being tried again at once
		}
		l.finished <- finish{a.Name, pause}
	}()
}

// inSlot has an action carried out once there is a slot for its verb.
func (l *Loop) inSlot(ctx context.Context, a Action) error {
	if slots := l.slots[a.Verb]; slots != nil {
		slots <- struct{}{}
		defer func() { <-slots }()
	}
	return l.Do(ctx, a)
}
