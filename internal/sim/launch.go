package sim

import (
	"slices"
	"time"

	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// request is a client's question, answered once.
type request struct {
	id       string
	again    bool // it may have been asked for before: nothing new is made
	from     *controller
	answered bool
	process  *subreaper.Process
	lost     bool
	failed   bool // for good
	dropped  bool // nobody will answer: ask again
}

type launch struct {
	id       string
	call     *call // nil: the id is spent, and nothing was forked yet
	deadline time.Duration
	waiters  []*request
}

const createTimeout = time.Minute

// accept answers one request.
func (w *world) accept(r *role) bool {
	if r != w.reaper || len(w.inbox) == 0 {
		return false
	}
	q := w.inbox[0]
	w.inbox = w.inbox[1:]
	if q.from != w.controller {
		return true // its client has gone: nothing is made for it
	}
	for _, l := range r.launches {
		if l.id == q.id {
			l.waiters = append(l.waiters, q)
			return true
		}
	}
	q.answered = true
	if p, launched := w.run.instances[q.id]; launched {
		q.process = &p
		return true
	}
	if w.run.launching[q.id] || q.again {
		q.lost = true
		return true
	}
	if w.fullRun {
		return true // refused: whether it was launched is not known to the client
	}
	q.answered = false
	w.run.launching[q.id] = true
	r.launches = append(r.launches, &launch{id: q.id, waiters: []*request{q}})
	return true
}

// advance looks after launches: forks the command, believes its pid file, commits by the instance file, and then replies.
func (w *world) advance(r *role) bool {
	for _, l := range r.launches {
		switch {
		case l.call == nil:
			if b := w.run.bundles[l.id]; b != nil {
				b.pidFile = 0
			}
			l.call, l.deadline = w.begin(r.p, "create", l.id), w.mono+createTimeout
			name, n, _ := observed.ParseInstanceID(l.id)
			w.logs[name] = max(w.logs[name], n)
			return true
		case l.call.p.life == alive:
			if w.mono >= l.deadline {
				w.killCall(l.call)
				return true
			}
		default:
			w.commitLaunch(r, l)
			return true
		}
	}
	return false
}

// overdue: a launch's time is over.
func (r *role) overdue(now time.Duration) bool {
	return slices.ContainsFunc(r.launches, func(l *launch) bool { return l.call != nil && now >= l.deadline })
}

func (w *world) commitLaunch(r *role, l *launch) {
	failed := l.call.err != nil
	if l.call.p.life == zombie {
		w.reap(l.call.p)
	}
	var init *proc
	if b := w.run.bundles[l.id]; !failed && b != nil {
		init = w.find(b.pidFile)
	}
	if init == nil || init.parent != r.p || w.fullRun || slices.ContainsFunc(r.watches, func(t *watch) bool { return t.p == init }) {
		failed = true
	} else if !failed {
		w.run.instances[l.id] = init.Process
		r.watches = append(r.watches, &watch{l.id, init})
		w.event(l.id)
	}
	for _, q := range l.waiters {
		q.answered, q.failed = true, failed
		if !failed {
			q.process = &init.Process
		}
	}
	r.launches = slices.DeleteFunc(r.launches, func(o *launch) bool { return o == l })
}
