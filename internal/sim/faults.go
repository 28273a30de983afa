package sim

import (
	"syscall"
	"time"
)

// fault is one kind of mishap. It says whether it could strike.
type fault struct {
	name   string
	weight int
	strike func(w *world) bool
}

var faults = []fault{
	{"the controller is killed", 8, func(w *world) bool {
		if w.controller == nil {
			return false
		}
		w.killController()
		return true
	}},
	{"the guard is killed", 3, func(w *world) bool { return w.killed(w.guard) }},
	{"the reaper is killed", 3, func(w *world) bool { return w.killed(w.reaper) }},
	{"guard and reaper are killed", 1, func(w *world) bool { return w.killed(w.guard) && w.killed(w.reaper) }},
	{"everything of ours is killed", 1, func(w *world) bool {
		if w.controller != nil {
			w.killController()
		}
		return w.killed(w.guard) && w.killed(w.reaper)
	}},
	{"a runtime is killed", 5, func(w *world) bool {
		if len(w.calls) == 0 {
			return false
		}
		c := w.calls[w.pick(len(w.calls))]
		w.say("the runtime's %s is killed", c)
		w.killCall(c)
		return true
	}},
	{"a container is killed by a stranger", 4, func(w *world) bool {
		i := w.some()
		if i == nil {
			return false
		}
		w.say("kill %s", i.id)
		w.die(i.init, syscall.WaitStatus(syscall.SIGKILL))
		return true
	}},
	{"a container is frozen by a stranger", 1, func(w *world) bool {
		i := w.some()
		if i == nil || w.cgroups[i.id] == nil {
			return false
		}
		w.say("freeze %s", i.id)
		w.cgroups[i.id].frozen = true
		w.event(i.id)
		return true
	}},
	{"a container is deleted by a stranger", 1, func(w *world) bool {
		i := w.some()
		if i == nil {
			return false
		}
		w.say("delete --force %s", i.id)
		w.die(i.init, syscall.WaitStatus(syscall.SIGKILL))
		delete(w.run.root, i.id)
		i.wiped, i.owed = true, false
		w.event(i.id)
		return true
	}},
	{"the runtime's root is wiped", 1, func(w *world) bool {
		w.say("the runtime's root is wiped")
		w.run.root = map[string]*container{}
		w.wiped()
		return true
	}},
	{"the run directory is wiped", 1, func(w *world) bool {
		w.say("the run directory is wiped")
		w.run = newRunDir()
		w.wiped()
		for _, i := range w.all {
			i.unseen = i.unseen || i.recorded == nil
		}
		return true
	}},
	{"the disk of the run directory is full", 1, func(w *world) bool {
		w.fullRun = !w.fullRun
		w.say("the run directory's disk is full: %t", w.fullRun)
		w.changedDisk()
		return true
	}},
	{"the disk of the store is full", 1, func(w *world) bool {
		w.fullState = !w.fullState
		w.say("the store's disk is full: %t", w.fullState)
		return true
	}},
	{"somebody is stopped", 2, func(w *world) bool {
		switch stopped := []*bool{w.controllerStopped(), w.guard.stop(), w.reaper.stop()}[w.pick(3)]; {
		case stopped == nil:
			return false
		default:
			*stopped = !*stopped
			w.say("SIGSTOP or SIGCONT: %t", *stopped)
		}
		return true
	}},
	{"the clock is set", 1, func(w *world) bool {
		w.stepped += time.Duration(w.pick(7201)-3600) * time.Second
		w.say("the clock is set to %s", w.now().Format(time.TimeOnly))
		return true
	}},
	{"a stranger forks", 4, func(w *world) bool {
		if p := w.oldest(stranger); p != nil && w.one(2) {
			w.die(p, 0)
			return true
		}
		w.fork(nil, stranger, "", w.mono)
		return true
	}},
	{"guard or reaper is replaced by another build", 1, func(w *world) bool {
		r := []*role{w.guard, w.reaper}[w.pick(2)]
		if r == nil || len(r.launches) > 0 {
			return false
		}
		w.say("the %s is replaced in place", w.nameOf(r))
		*r = *r.heir()
		return true
	}},
	{"the store is lost", 1, func(w *world) bool { w.loseStore(); return true }},
	{"the store is restored from its snapshot", 2, func(w *world) bool {
		if w.snapshot == nil {
			w.say("a snapshot of the store is made")
			w.snapshot = w.disk.Clone()
			return false
		}
		w.restoreStore()
		return true
	}},
	{"power is cut", 1, func(w *world) bool { w.powerCut(); return true }},
}

// weather chooses how often there are faults in this run, and which: with few kinds at a time each strikes so often that
// they meet themselves.
func (w *world) weather() {
	w.foul = []int{1, 2, 3, 6}[w.pick(4)]
	w.weights = make([]int, len(faults))
	for i, f := range faults {
		if w.one(2) {
			w.weights[i] = f.weight
		}
	}
}

func (w *world) fault() {
	total := 0
	for _, n := range w.weights {
		total += n
	}
	n := w.pick(max(1, total))
	for i := range faults {
		if n -= w.weights[i]; n < 0 {
			if faults[i].strike(w) {
				w.struck[i]++
			}
			return
		}
	}
}

func (w *world) killed(r *role) bool {
	if r == nil {
		return false
	}
	w.say("the %s is killed", w.nameOf(r))
	w.killRole(r)
	return true
}

func (w *world) nameOf(r *role) string {
	if r == w.guard {
		return "guard"
	}
	return "reaper"
}

func (r *role) stop() *bool {
	if r == nil {
		return nil
	}
	return &r.stopped
}

func (w *world) controllerStopped() *bool {
	if w.controller == nil {
		return nil
	}
	return &w.controller.stopped
}

// some returns one of the instances whose code runs.
func (w *world) some() *instance {
	var live []*instance
	for _, i := range w.started {
		if i.init.life == alive {
			live = append(live, i)
		}
	}
	if len(live) == 0 {
		return nil
	}
	return live[w.pick(len(live))]
}

func (w *world) oldest(k kind) *proc {
	for _, p := range w.procs {
		if p.kind == k && p.life == alive {
			return p
		}
	}
	return nil
}

// Faults are the names of what goes wrong in a run.
func Faults() (names []string) {
	for _, f := range faults {
		names = append(names, f.name)
	}
	return names
}
