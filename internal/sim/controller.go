package sim

import (
	"context"
	"errors"
	"iter"
	"slices"
	"syscall"
	"time"

	"github.com/go-logr/logr"

	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/reconcile"
	"reconciler.dev/reconciler/pkg/store"
)

const resync = 30 * time.Second

// controller is the real one but for what Effects, Facts and Records lead to, and for goroutines: an action in flight is a
// task, which goes on when the world says so. Everything in it is gone when it dies.
type controller struct {
	w        *world
	p        *proc
	db       *store.DB
	queue    *reconcile.Queue
	planner  *reconcile.Planner
	executor *reconcile.Executor
	index    *observed.Index
	held     map[string]holding
	tasks    []*task
	told     []string      // instances that the kernel told of, until it is heard
	made     []string      // directories that came up in the runtime's root
	relist   time.Duration // when to list again; 0 while a list is under way
	stopped  bool          // by SIGSTOP
}

// boot starts a controller on what is on disk.
func (w *world) bootController() {
	c := &controller{w: w, p: w.fork(nil, controlling, "", w.mono), index: observed.NewIndex(), held: map[string]holding{}}
	c.db = w.disk.Open(w.boot)
	c.queue = reconcile.NewQueue(2)
	c.planner = &reconcile.Planner{World: c, Wants: c, Now: w.now, Log: logr.Discard()}
	c.executor = &reconcile.Executor{Log: logr.Discard(), Now: w.now}
	w.controller = c
	w.say("controller starts")
	c.begin("", c.list)
}

func (c *controller) mono() time.Duration { return c.w.mono }

// List is the loop's part of a World, which a simulation does itself.
func (c *controller) List(context.Context) error { return nil }

// Desired, Record and Names make it a reconcile.Wants.
func (c *controller) Desired(name string) (*store.Desired, error) {
	if err := (facts{c}).read(); err != nil {
		return nil, err
	}
	return c.db.Desired(name)
}

func (c *controller) Record(name string) (store.Record, error) {
	if err := (facts{c}).read(); err != nil {
		return store.Record{Name: name}, err
	}
	return c.db.Record(name)
}

func (c *controller) Names() ([]string, error) { return c.db.Names() }

// pass plans for what is due.
func (c *controller) pass() {
	due, draining := c.queue.Take(c.w.mono), c.queue.Draining()
	steps, unread := c.planner.Steps(due, draining)
	c.carryOut(c.queue.Planned(due, unread, steps, c.w.mono, c.w.now()))
	if c.queue.Drained() {
		c.w.drained()
	}
}

func (c *controller) carryOut(actions []reconcile.Action) {
	for _, a := range actions {
		c.w.planned(a)
		c.begin(a.Name, func(t *task) {
			x := *c.executor
			x.Effects, x.Records = node{c, t}, records{c, t}
			err := x.Do(context.Background(), a)
			if !t.dead {
				c.carryOut(c.queue.Finished(a, err == nil, c.w.mono))
			}
		})
	}
}

// hear takes in what the kernel told.
func (c *controller) hear() {
	for _, id := range c.made {
		if c.w.run.root[id] != nil && !c.foreign(id) {
			c.index.Appeared(id)
		}
	}
	for _, id := range c.told {
		name, _, _ := observed.ParseInstanceID(id)
		c.queue.Wake(name)
	}
	c.told, c.made = c.told[:0], c.made[:0]
}

// due: there is something to plan for.
func (c *controller) due() bool {
	at, any := c.queue.Next()
	return c.queue.Due() || any && at <= c.w.mono
}

// task is a goroutine of the controller's that only runs when it is resumed.
type task struct {
	name   string
	w      *world
	resume func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool
	until  func() bool // nil: it can go on
	dead   bool        // the controller is: whatever it does has no effect any more
}

// begin starts a task, which runs up to its first pause when it is resumed.
func (c *controller) begin(name string, do func(*task)) {
	t := &task{name: name, w: c.w}
	t.resume, t.stop = iter.Pull(func(yield func(struct{}) bool) {
		t.yield = yield
		if yield(struct{}{}) {
			do(t)
		}
	})
	t.resume()
	c.tasks = append(c.tasks, t)
}

// pause lets others go on until a condition holds, nil being none. It says whether the controller still lives.
func (t *task) pause(until func() bool) bool {
	if t.dead {
		return false
	}
	t.until = until
	t.dead = !t.yield(struct{}{})
	t.until = nil
	return !t.dead
}

func (t *task) ready() bool { return t.until == nil || t.until() }

// taskStep lets a task go on to its next pause.
func (c *controller) taskStep(t *task) {
	if _, more := t.resume(); !more {
		c.tasks = slices.DeleteFunc(c.tasks, func(o *task) bool { return o == t })
	}
}

// killController ends the controller at this instant.
func (w *world) killController() {
	c := w.controller
	w.controller = nil
	w.say("controller dies")
	for _, t := range c.tasks {
		t.stop()
	}
	for _, q := range w.inbox {
		q.dropped = true
	}
	w.die(c.p, syscall.WaitStatus(syscall.SIGKILL))
}

var errDead = errors.New("the controller is dead")

// records is the store as one task sees it: a kill, a full disk or a power cut may come before, after, and in between.
type records struct {
	*controller
	t *task
}

func (r records) Record(name string) (store.Record, error) { return r.db.Record(name) }

func (r records) Commit(ctx context.Context, c store.Change) error {
	if !r.t.pause(nil) {
		return errDead
	}
	if r.w.fullState {
		return errors.New("no space left on device")
	}
	if err := r.w.commit(ctx, r.db, c); err != nil {
		return err
	}
	if !r.t.pause(nil) {
		return errDead
	}
	r.w.commits.returned()
	return nil
}
