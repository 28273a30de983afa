package reconcile

import (
	"maps"
	"slices"
	"time"
)

// Queue knows which names are to be looked at, which have an effect in flight, and which effects wait for others to end.
// It has no clock and no goroutine: its user says what happens, in the order Wake, Take, Planned, Finished, and does what
// is returned. Loop is one, for the real world; a simulation is another. Times are of a clock that never steps, as what
// has passed since any one moment. It is not safe for use by several goroutines.
type Queue struct {
	dirty    map[string]bool // names to look at
	backlog  []string        // names to look at when there is time, a batch a pass
	busy     map[string]bool // names with an effect in flight, or at rest after one that could not be recorded
	alarms   alarms          // the next look at a name that waits, or the end of its rest
	unquiet  map[string]bool // names whose last plan was not to hold
	rests    map[string]time.Duration
	draining bool

	room    map[Verb]*slots // verbs without any wait for nobody
	waiting map[*slots][]Action
	holds   map[string]*slots // of names whose effect has a slot
	overdue alarms            // when such a name loses it
	late    map[string]bool   // names that lost it and whose effect goes on
	ready   []Action          // those whose turn came by that
}

// slowCall is how long an effect has its slot: one that hangs does not keep the others waiting for its time limit.
const slowCall = time.Second

// maxLate is how many effects may go on without a slot: a machine that is slow with all of them is not asked for more.
const maxLate = 64

// slots is how many more effects of some verbs may be in flight.
type slots int

// NewQueue returns an empty queue. calls is how many effects may call the runtime at once; launches, four times as many.
func NewQueue(calls int) *Queue {
	call, launch := slots(calls), slots(4*calls)
	return &Queue{
		dirty: map[string]bool{}, busy: map[string]bool{}, unquiet: map[string]bool{}, rests: map[string]time.Duration{},
		room:    map[Verb]*slots{Start: &call, Clean: &call, Pause: &call, Resume: &call, Update: &call, Launch: &launch},
		waiting: map[*slots][]Action{}, holds: map[string]*slots{}, late: map[string]bool{},
	}
}

// Wake has names looked at.
func (q *Queue) Wake(names ...string) {
	for _, name := range names {
		q.dirty[name] = true
	}
}

// WakeAll has names looked at a batch at a time: one that is woken meanwhile need not wait for all.
func (q *Queue) WakeAll(names []string) { q.backlog = names }

// batch is how many names of a backlog are planned in one pass.
const batch = 256

// Drain has names looked at as if all were wanted Stopped: Draining tells.
func (q *Queue) Drain(names []string) {
	q.draining = true
	q.Wake(names...)
}

// Draining says that nothing is to be started any more.
func (q *Queue) Draining() bool { return q.draining }

// Drained says that all was looked at since Drain, and nothing is left to do about any.
func (q *Queue) Drained() bool {
	return q.draining && len(q.dirty) == 0 && len(q.unquiet) == 0 && len(q.busy) == 0
}

// Due says that Take would have something to look at.
func (q *Queue) Due() bool { return len(q.dirty) > 0 || len(q.backlog) > 0 }

// Next is when the next alarm rings.
func (q *Queue) Next() (at time.Duration, any bool) {
	at, any = q.alarms.next()
	if overdue, hangs := q.overdue.next(); hangs && (!any || overdue < at) {
		return overdue, true
	}
	return at, any
}

// Take returns the names to plan for now, in order. Those with an effect in flight are left out: they are looked at when
// it is finished.
func (q *Queue) Take(now time.Duration) []string {
	for name, rings := q.alarms.ring(now); rings; name, rings = q.alarms.ring(now) {
		delete(q.busy, name) // its rest is over
		q.dirty[name] = true
	}
	for name, rings := q.overdue.ring(now); rings; name, rings = q.overdue.ring(now) {
		if len(q.late) == maxLate {
			q.overdue.set(name, now+slowCall)
			continue
		}
		q.late[name] = true
		q.ready = append(q.ready, q.leave(name, now)...)
	}
	n := min(batch, len(q.backlog))
	q.Wake(q.backlog[:n]...)
	q.backlog = q.backlog[n:]
	maps.DeleteFunc(q.dirty, func(name string, _ bool) bool { return q.busy[name] })
	due := slices.Sorted(maps.Keys(q.dirty))
	clear(q.dirty)
	return due
}

// Planned takes in what was planned, at wall time, for the names taken; unread are those that could not be planned for.
// It returns the actions to be carried out now.
func (q *Queue) Planned(due, unread []string, steps Steps, now time.Duration, wall time.Time) (begin []Action) {
	begin, q.ready = q.ready, nil
	for _, name := range due { // what was planned before, for a name of which nothing is wanted or on record any more, too
		q.alarms.cancel(name)
		delete(q.unquiet, name)
	}
	for _, name := range unread {
		q.unquiet[name] = true
	}
	for _, a := range steps.Actions {
		if a.Verb == Hold {
			continue
		}
		q.unquiet[a.Name] = true
		if a.Verb == Wait {
			q.alarms.set(a.Name, now+a.When.Sub(wall))
			continue
		}
		q.busy[a.Name] = true
		if q.enter(a, now) {
			begin = append(begin, a)
		}
	}
	return begin
}

// enter takes a slot for an action, or has it wait for one.
func (q *Queue) enter(a Action, now time.Duration) bool {
	room := q.room[a.Verb]
	switch {
	case room == nil:
		return true
	case *room > 0:
		*room--
		q.hold(a, now)
		return true
	}
	q.waiting[room] = append(q.waiting[room], a)
	return false
}

// Finished takes in the end of an action. One that is not on record is tried again after a rest, since nothing else keeps
// it from being tried at once. It returns the action that waited for this one's slot.
func (q *Queue) Finished(a Action, onRecord bool, now time.Duration) (begin []Action) {
	if onRecord {
		delete(q.busy, a.Name)
		delete(q.rests, a.Name)
		q.Wake(a.Name)
	} else {
		q.rests[a.Name] = min(max(2*q.rests[a.Name], minRetry), maxRetry)
		q.alarms.set(a.Name, now+q.rests[a.Name])
	}
	delete(q.late, a.Name)
	return q.leave(a.Name, now)
}

func (q *Queue) hold(a Action, now time.Duration) {
	q.holds[a.Name] = q.room[a.Verb]
	q.overdue.set(a.Name, now+slowCall)
}

// leave gives up a name's slot, if it has one, to the action that waited longest.
func (q *Queue) leave(name string, now time.Duration) (begin []Action) {
	room := q.holds[name]
	if room == nil {
		return nil
	}
	delete(q.holds, name)
	q.overdue.cancel(name)
	if next := q.waiting[room]; len(next) > 0 {
		q.waiting[room] = next[1:]
		q.hold(next[0], now)
		return next[:1:1]
	}
	*room++
	return nil
}
