package sim

import (
	"slices"
	"syscall"

	"reconciler.dev/reconciler/pkg/subreaper"
)

// pair is guard and reaper, as far as others can tell them from the real ones (pkg/subreaper/pair): who is whose child,
// which files are written in which order, what is answered. nil: dead.
type pair struct {
	guard, reaper *role
	inbox         []*request // the listener's, which both hold
}

// role is one of the two. All it knows is gone when it dies; what it did is in files and in the kernel.
type role struct {
	p        *proc
	watches  []*watch
	launches []*launch
	held     map[string]*proc // by instance id: pidfds that an execve handed on
	due      bool             // something may have happened
	stopped  bool             // by SIGSTOP
}

// watch is an instance without an exit record, by its pidfd.
type watch struct {
	id string
	p  *proc
}

// startGuard is the controller's part: a new pair where none lives.
func (w *world) startGuard() {
	w.guard = &role{p: w.fork(w.controller.p, pairProcess, "", w.mono), due: true}
	w.say("pair starts")
}

func (w *world) isRole(p *proc) bool {
	return p != nil && p.life == alive && p.kind == pairProcess
}

// killRole kills the guard or the reaper.
func (w *world) killRole(r *role) {
	if r == w.guard {
		w.guard = nil
	} else {
		w.reaper = nil
	}
	for _, l := range r.launches {
		for _, q := range l.waiters {
			q.dropped = true
		}
	}
	if w.guard == nil && w.reaper == nil {
		for _, q := range w.inbox {
			q.dropped = true
		}
		w.inbox = nil
	}
	w.die(r.p, syscall.WaitStatus(syscall.SIGKILL))
}

// roleStep has a role do the next thing that is due, and says whether there was any.
func (w *world) roleStep(r *role) bool {
	done := w.changeRole(r) || w.advance(r) || w.scan(r) || w.settle(r) || w.reapOthers(r) || w.accept(r)
	r.due = done
	return done
}

// changeRole: the reaper becomes the guard when that has died; the guard sees to it that there is a reaper.
func (w *world) changeRole(r *role) bool {
	switch {
	case r == w.reaper && !w.isRole(r.p.parent):
		for _, l := range r.launches {
			for _, q := range l.waiters {
				q.dropped = true
			}
		}
		w.guard, w.reaper = r.heir(), nil
		w.say("reaper becomes guard")
		return true
	case r == w.guard && w.reaper == nil:
		w.reaper = &role{p: w.fork(r.p, pairProcess, "", w.mono), due: true}
		w.say("guard starts a reaper")
		return true
	}
	return false
}

// heir is what an execve makes of a role: its process, and pidfds of those who are not its children.
func (r *role) heir() *role {
	heir := &role{p: r.p, held: map[string]*proc{}, due: true}
	for _, t := range r.watches {
		if t.p.parent != r.p {
			heir.held[t.id] = t.p
		}
	}
	return heir
}

// scan watches every instance that has a file and no exit record. The guard settles what cannot be watched.
func (w *world) scan(r *role) bool {
	for _, id := range sortedKeys(w.run.instances) {
		if _, ended := w.run.exits[id]; ended || slices.ContainsFunc(r.watches, func(t *watch) bool { return t.id == id }) {
			continue
		}
		process := w.run.instances[id]
		p := r.held[id]
		delete(r.held, id)
		if p == nil {
			p = w.open(process)
		}
		switch {
		case p != nil:
			r.watches = append(r.watches, &watch{id, p})
			return true
		case process.BootID != w.boot:
			if w.recordForeign(r, w.unknown(id, process, subreaper.ReasonHostRebooted)) {
				return true
			}
		case w.recordForeign(r, w.unknown(id, process, subreaper.ReasonUnseen)):
			return true
		}
	}
	return false
}

func (w *world) unknown(id string, p subreaper.Process, reason string) subreaper.Exit {
	return subreaper.Exit{Instance: id, Process: p, Source: subreaper.SourceUnknown, Reason: reason, FinishedAt: w.now()}
}

// settle closes the matter of the first watch whose process is dead: the record first, and in a step of its own the reap.
func (w *world) settle(r *role) bool {
	for _, t := range r.watches {
		_, recorded := w.run.exits[t.id]
		switch {
		case recorded:
			if t.p.life == zombie && t.p.parent == r.p {
				w.reap(t.p)
			}
			r.forget(t)
			return true
		case t.p.life == alive:
		case t.p.life == zombie && t.p.parent == r.p:
			if w.fullRun {
				continue // it is kept until there is room
			}
			w.writeExit(subreaper.Exit{Instance: t.id, Process: t.p.Process, Status: t.p.status, Source: subreaper.SourceWaitid, FinishedAt: w.now()})
			return true
		case w.settleForeign(r, t):
			return true
		}
	}
	return false
}

// settleForeign is the guard's for a dead process that is not its child; a living reaper's are the reaper's.
func (w *world) settleForeign(r *role, t *watch) bool {
	if r != w.guard {
		if _, there := w.run.instances[t.id]; t.p.life == reaped && !there {
			r.forget(t)
			return true
		}
		return false
	}
	e := subreaper.Exit{Instance: t.id, Process: t.p.Process, Status: t.p.status, FinishedAt: w.now()}
	switch {
	case t.p.life == zombie && w.isRole(t.p.parent):
		return false
	case t.p.life == zombie:
		e.Source = subreaper.SourceProcstat
	case w.tells:
		e.Source = subreaper.SourcePidfd
	default:
		e = w.unknown(t.id, t.p.Process, subreaper.ReasonForeignReap)
	}
	if !w.recordForeign(r, e) {
		return false
	}
	if _, recorded := w.run.exits[t.id]; !recorded {
		r.forget(t)
	}
	return true
}

func (r *role) forget(t *watch) {
	r.watches = slices.DeleteFunc(r.watches, func(o *watch) bool { return o == t })
}

// recordForeign records the end of what is nobody's child here, unless the controller is done with it.
func (w *world) recordForeign(r *role, e subreaper.Exit) bool {
	if r != w.guard {
		return false
	}
	if _, there := w.run.instances[e.Instance]; !there {
		return true
	}
	if w.fullRun {
		return false
	}
	w.writeExit(e)
	return true
}

func (w *world) writeExit(e subreaper.Exit) {
	if _, there := w.run.exits[e.Instance]; there {
		return
	}
	w.run.exits[e.Instance] = e
	w.event(e.Instance)
	w.say("exit file %s %s", e.Instance, e.Source)
}

// reapOthers reaps a zombie that is neither a watched init nor a launch's command.
func (w *world) reapOthers(r *role) bool {
	for _, p := range w.procs {
		if p.parent != r.p || p.life != zombie ||
			slices.ContainsFunc(r.watches, func(t *watch) bool { return t.p == p }) ||
			slices.ContainsFunc(r.launches, func(l *launch) bool { return l.call != nil && l.call.p == p }) {
			continue
		}
		w.reap(p)
		return true
	}
	return false
}
