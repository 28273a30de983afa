package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// world is a whole node, and what its promises are held against.
type world struct {
	*tape
	Options
	kernel
	pair
	machine
	truth
	course
	controller *controller // nil: dead
	wishes     []*wish
}

// machine is what the node has beside its processes.
type machine struct {
	mono    time.Duration   // a clock that never steps
	stepped time.Duration   // how far the wall clock was set off
	alarms  []time.Duration // when a task that waits is to look at the clock
	calls   []*call         // of the runtime, under way
	run     *runDir
	logs    map[string]int // by name: the highest attempt that has a log

	disk     *store.Memory
	commits  commits
	snapshot *store.Memory // of the store; nil if there is none
	doubt    bool          // the store is from a snapshot, and not all wishes were taken in since

	fullRun, fullState bool // no space is left
}

// truth is what really happened.
type truth struct {
	instances map[string]*instance // by id, for ever
	all       []*instance          // the same, in the order in which they came up
	started   []*instance          // those whose code has run
	broken    *Broken              // the first promise that was broken
}

// course is how far a run has come.
type course struct {
	steps   int
	storm   int           // steps with faults
	foul    int           // how many of 64 choices are a fault
	weights []int         // of each fault
	struck  []int         // how often each fault struck
	calm    bool          // no faults any more, and nobody changes anything but us
	calmAt  time.Duration // since when
	acted   bool          // an action was begun
	ready   []actor       // scratch of act
	boots   int
	trace   strings.Builder
}

// Options of a run.
type Options struct {
	Trace bool // keep an account of what happened
	Steps int  // with faults, at most; 0 for what is usual
}

var epoch = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)

// now is the wall clock.
func (w *world) now() time.Time { return epoch.Add(w.mono + w.stepped) }

// faulty: things still go wrong.
func (w *world) faulty() bool { return !w.calm }

// say adds a line to the account.
func (w *world) say(format string, a ...any) {
	if w.Trace {
		fmt.Fprintf(&w.trace, "> "+format+"\n", a...)
	}
}

// runDir is the run directory, which a wipe replaces by an empty one.
type runDir struct {
	root      map[string]*container // the runtime's
	bundles   map[string]*bundle
	instances map[string]subreaper.Process
	launching map[string]bool
	exits     map[string]subreaper.Exit
}

// bundle is a derived bundle: what it was made from, and the pid that the runtime wrote beside it.
type bundle struct {
	origin  observed.Origin
	pidFile int
}

func newRunDir() *runDir {
	return &runDir{
		root: map[string]*container{}, bundles: map[string]*bundle{}, instances: map[string]subreaper.Process{},
		launching: map[string]bool{}, exits: map[string]subreaper.Exit{},
	}
}

func sortedKeys[V any](m map[string]V) []string {
	if len(m) == 0 {
		return nil
	}
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// instance is the truth about one instance.
type instance struct {
	id, name  string
	number    int
	spec      string // its hash
	resources string
	private   bool
	stubborn  bool // ignores every signal but SIGKILL

	init      *proc // nil: it was never created
	committed bool  // its start was committed: an exit is owed, whether it ran or not
	recorded  *store.Exit
	unwanted  bool // it may be stopped: at some time since its launch it was not wanted as it was, or its runtime lost it
	wiped     bool // its runtime, or more than that, lost what it knew of it
	lost      bool // the store was lost since it was made
	owed      bool // and by what it carries its exit is owed all the same
	asked     bool // a signal was sent to it
	unseen    bool // nobody of ours may have been able to see its end
}

// instance returns the truth about an instance, which begins with its launch.
func (w *world) instance(id string) *instance {
	i := w.instances[id]
	if i == nil {
		name, n, _ := observed.ParseInstanceID(id)
		i = &instance{id: id, name: name, number: n}
		w.instances[id] = i
		w.all = append(w.all, i)
	}
	return i
}

// began: an instance's code runs.
func (w *world) began(p *proc) {
	i := w.instance(p.instance)
	w.say("%s runs as pid %d", p.instance, p.PID)
	if !i.committed && !i.lost { // a start may be under way when the controller dies and the store is lost
		w.broke("intent", "%s was started before that was on record", p.instance)
	}
	w.started = append(w.started, i)
	if !i.private && w.one(2) {
		w.fork(p, childOfInit, p.instance, w.mono)
	}
	w.checkTwins()
}

// fellToPID1: a process has lost both guard and reaper. What pid 1 reaps first, nobody of ours may see.
func (w *world) fellToPID1(p *proc) {
	if p.kind == initProcess {
		w.instance(p.instance).unseen = true
	}
}

// changed has whoever watches a process look at it.
func (w *world) changed(p *proc) {
	if w.guard != nil {
		w.guard.due = true
	}
	if w.reaper != nil {
		w.reaper.due = true
	}
	if p.kind == initProcess {
		if c := w.controller; c != nil && c.held[p.instance].p == p {
			c.told = append(c.told, p.instance)
		}
		if w.Trace && p.life == zombie {
			w.say("%s dies: %#x", p.instance, uint32(p.status))
		}
	}
}

// event has the pair and the controller told of a change to files about an instance.
func (w *world) event(id string) {
	if w.guard != nil {
		w.guard.due = true
	}
	if w.reaper != nil {
		w.reaper.due = true
	}
	if w.controller != nil {
		w.controller.told = append(w.controller.told, id)
	}
}

// appeared: the runtime's root has a new directory.
func (w *world) appeared(id string) {
	if w.controller != nil {
		w.controller.made = append(w.controller.made, id)
	}
	w.event(id)
}
