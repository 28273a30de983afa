package sim

import (
	"cmp"
	"fmt"
	"slices"
	"syscall"
	"time"

	"reconciler.dev/reconciler/pkg/reconcile"
	"reconciler.dev/reconciler/pkg/store"
)

// Result is what became of a run.
type Result struct {
	Steps  int
	Broken *Broken // nil: every promise was kept
	Trace  string
	Struck []int // how often each fault struck
	record []uint16
}

const (
	stormy  = 1000 // steps with faults, at most
	patient = 6000 // steps after which it must have settled
	never   = time.Duration(1) << 62
	soon    = 20 * time.Second // a full pass does not come to help before 30 s are over
)

// Run makes one run: faults, then calm, in which all must come to be as it is wanted. A seed makes the same run each time.
func Run(seed uint64, o Options) Result { return run(drawn(seed), o) }

func run(t *tape, o Options) Result {
	w := newWorld(t, o)
	w.weatherTheStorm()
	if c := w.controller; c != nil {
		for _, t := range c.tasks {
			t.stop()
		}
	}
	return Result{Steps: w.steps, Broken: w.broken, Trace: w.trace.String(), Struck: w.struck, record: t.record}
}

// weatherTheStorm is a whole run.
func (w *world) weatherTheStorm() {
	defer func() {
		if p := recover(); p != nil {
			w.broke("panic", "%v", p)
		}
	}()
	for w.steps < w.storm && w.broken == nil {
		w.step()
	}
	w.calmDown()
	w.untilSettled()
	if w.broken == nil {
		w.settled()
	}
}

func newWorld(t *tape, o Options) *world {
	w := &world{tape: t, Options: o}
	w.run, w.disk, w.logs, w.instances = newRunDir(), &store.Memory{}, map[string]int{}, map[string]*instance{}
	w.struck = make([]int, len(faults))
	w.tells = t.one(2)
	w.storm = 50 + t.pick(cmp.Or(o.Steps, stormy))
	w.weather()
	w.bootKernel()
	for n := range 1 + t.pick(3) {
		w.wishes = append(w.wishes, w.newWish([]string{"web", "db", "job"}[n]))
	}
	return w
}

func bootID(n int) string { return fmt.Sprintf("boot-%d", n) }

// calmDown ends all faults. The controller lists once more, since it may have missed what the kernel told.
func (w *world) calmDown() {
	w.say("calm")
	w.calm, w.fullRun, w.fullState = true, false, false
	for _, r := range []*role{w.guard, w.reaper} {
		if r != nil {
			r.stopped, r.due = false, true
		}
	}
	if w.controller != nil {
		w.controller.stopped, w.controller.relist = false, min(w.controller.relist, w.mono)
	}
	w.calmAt = w.mono
	for _, c := range w.calls {
		c.hangs = false
	}
}

// untilSettled lets the world go on until nothing happens but that the controller looks at everything again, three times.
func (w *world) untilSettled() {
	for limit, quiet := w.steps+patient, 0; w.broken == nil && quiet < 3; {
		if w.steps > limit {
			w.broke("unsettled", "it does not come to rest")
		}
		w.acted = false
		for w.act() && w.broken == nil && w.steps <= limit {
		}
		if w.acted {
			quiet = 0
		}
		if w.controller != nil && w.nextAlarm() == w.controller.relist {
			quiet++
		}
		w.mono = max(w.mono, w.nextAlarm())
	}
}

// step is one step of a storm.
func (w *world) step() {
	w.steps++
	switch n := w.pick(64); {
	case n >= 64-w.foul:
		w.fault()
	case n >= 58:
		w.userStep()
	case n >= 56:
		w.programEnds()
	case n >= 53:
		w.mono += time.Duration(1+w.pick(500)) * time.Millisecond
	default:
		if !w.act() {
			w.mono = max(w.mono+time.Millisecond, min(w.nextAlarm(), w.mono+time.Minute))
		}
	}
}

// programEnds has one that runs end by itself.
func (w *world) programEnds() {
	if i := w.some(); i != nil && !w.frozen(i.id) {
		code := w.pick(3)
		w.say("exit %s %d", i.id, code)
		w.die(i.init, syscall.WaitStatus(code<<8))
	}
}

// actor is somebody who can do something now.
type actor struct {
	do   func(w *world, a actor) bool
	task *task
	call *call
	role *role
	wish *wish
	proc *proc
}

// act has one of those who can do something do it, and says whether there was one.
func (w *world) act() bool {
	for {
		w.mono += 100 * time.Microsecond
		w.ready = w.ready[:0]
		w.outside()
		w.inside()
		if len(w.ready) == 0 {
			return false
		}
		a := w.ready[w.pick(len(w.ready))]
		if a.do(w, a) {
			w.steps++
			return true
		}
	}
}

// moveOn has the world, but not the controller, do one thing.
func (w *world) moveOn() {
	w.ready = w.ready[:0]
	w.outside()
	if len(w.ready) > 0 {
		a := w.ready[w.pick(len(w.ready))]
		a.do(w, a)
	}
}

// outside are those who can act outside of the controller.
func (w *world) outside() {
	for _, r := range []*role{w.guard, w.reaper} {
		if r != nil && !r.stopped && (r.due || r.overdue(w.mono)) {
			w.ready = append(w.ready, actor{do: func(w *world, a actor) bool { return w.roleStep(a.role) }, role: r})
		}
	}
	for _, c := range w.calls {
		if !c.hangs {
			w.ready = append(w.ready, actor{do: func(w *world, a actor) bool { return w.callStep(a.call) }, call: c})
		}
	}
	for _, p := range w.procs {
		if p.life == zombie && w.unattended(p) {
			w.ready = append(w.ready, actor{do: func(w *world, a actor) bool { w.reap(a.proc); return true }, proc: p})
		}
	}
}

// unattended: pid 1 reaps it, or the controller a guard of its own.
func (w *world) unattended(p *proc) bool {
	return p.parent == nil || p.kind == pairProcess && w.controller != nil && p.parent == w.controller.p
}

// inside are those who can act inside the controller, and who starts it.
func (w *world) inside() {
	c := w.controller
	switch {
	case c == nil:
		w.ready = append(w.ready, actor{do: func(w *world, _ actor) bool { w.bootController(); return true }})
		return
	case c.stopped:
		return
	}
	if w.guard == nil && w.reaper == nil {
		w.ready = append(w.ready, actor{do: func(w *world, _ actor) bool { w.startGuard(); return true }})
	}
	if len(c.told) > 0 || len(c.made) > 0 {
		w.ready = append(w.ready, actor{do: func(w *world, _ actor) bool { w.controller.hear(); return true }})
	}
	if c.due() {
		w.ready = append(w.ready, actor{do: func(w *world, _ actor) bool { w.controller.pass(); return true }})
	}
	if c.relist <= w.mono {
		w.ready = append(w.ready, actor{do: func(w *world, _ actor) bool {
			w.controller.relist = never
			w.controller.begin("", w.controller.list)
			return true
		}})
	}
	if w.doubt && !w.fullState && !slices.ContainsFunc(w.wishes, func(x *wish) bool { return x.due }) {
		w.ready = append(w.ready, actor{do: func(w *world, _ actor) bool { w.allRead(); return true }})
	}
	for _, x := range w.wishes {
		if x.due && !w.fullState {
			w.ready = append(w.ready, actor{do: func(w *world, a actor) bool { w.takeIn(a.wish); return true }, wish: x})
		}
	}
	for _, t := range c.tasks {
		if t.ready() {
			w.ready = append(w.ready, actor{do: func(w *world, a actor) bool { w.controller.taskStep(a.task); return true }, task: t})
		}
	}
}

// alarm has the clock go on to a moment at which somebody who waits must look, should nothing else happen before.
func (w *world) alarm(at time.Duration) { w.alarms = append(w.alarms, at) }

// nextAlarm is when something is due that only the clock makes due.
func (w *world) nextAlarm() time.Duration {
	next := never
	w.alarms = slices.DeleteFunc(w.alarms, func(at time.Duration) bool { return at <= w.mono })
	for _, at := range w.alarms {
		next = min(next, at)
	}
	if c := w.controller; c != nil {
		next = min(next, c.relist)
		if at, any := c.queue.Next(); any {
			next = min(next, at)
		}
	}
	if r := w.reaper; r != nil {
		for _, l := range r.launches {
			if l.call != nil && l.call.hangs {
				next = min(next, max(l.deadline, w.mono))
			}
		}
	}
	return next
}

// planned takes note of an action.
func (w *world) planned(a reconcile.Action) {
	w.acted = true
	if w.calm && w.mono-w.calmAt > soon && isWaitedFor(a) {
		w.broke("slow", "%s comes %s after the last fault", a, w.mono-w.calmAt)
	}
	if a.Reason == "Adopted" {
		w.instance(a.Attempt.Instance).spec = a.Attempt.SpecHash
	}
	if w.Trace {
		fmt.Fprintln(&w.trace, a)
	}
}

// isWaitedFor: somebody is waiting for that action; nobody is for remains to go.
func isWaitedFor(a reconcile.Action) bool {
	return a.Exit != nil || a.Verb != reconcile.Note && a.Verb != reconcile.Clean && a.Verb != reconcile.Forget
}
