package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/subreaper"
)

const testBoot = "boot-1"

var testEpoch = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)

// model is a world, a store and a clock that obey at once: the planner and the executor are the real ones. It keeps its
// own account of what must hold, and complains where it does not.
type model struct {
	now         time.Time
	want        map[string]*store.Desired
	recs        map[string]store.Record
	exits       map[string]store.Exit // by instance
	procs       map[string]*proc      // by instance: what the world holds
	nextPID     int
	fails       map[string]error // effect verb -> error of its next call
	keepFailing bool
	dies        int      // commits and effects until the controller dies; -1: never
	faults      []string // promises found broken
	unseen      string   // the list fails for this reason
	blind       map[string]string
	ignores     map[string]bool // names whose processes ignore every signal but KILL
}

type proc struct {
	process subreaper.Process
	started bool
	dead    bool
	ours    bool
	exit    *subreaper.Exit
	launch  bool // committed by an instance file
	shared  bool // in a shared pid namespace: something of it lives until it is cleaned up
	lost    bool // its runtime knows nothing of it
}

var errDied = errors.New("the controller died here")

func newModel() *model {
	return &model{
		now: testEpoch, want: map[string]*store.Desired{}, recs: map[string]store.Record{}, exits: map[string]store.Exit{},
		procs: map[string]*proc{}, nextPID: 100, fails: map[string]error{}, dies: -1, blind: map[string]string{},
		ignores: map[string]bool{},
	}
}

func (m *model) fault(format string, a ...any) {
	m.faults = append(m.faults, fmt.Sprintf(format, a...))
}

// alive is a moment's chance to die: the controller may be killed before each commit and each effect, and after.
func (m *model) alive() error {
	if m.dies == 0 {
		return errDied
	}
	if m.dies > 0 {
		m.dies--
	}
	return nil
}

func (m *model) desire(name string, edit func(*store.Desired)) {
	d := m.want[name]
	if d == nil {
		d = &store.Desired{Source: "manifests/" + name + ".yaml", InputHash: "h1", Config: []byte("{}"), Private: true}
		d.Container = desired.Container{Name: name, Spec: desired.Spec{
			State:   desired.Running,
			Restart: desired.Restart{Policy: desired.Always, Backoff: desired.Backoff{Initial: ms(100), Factor: 2, Max: ms(300_000), ResetAfter: ms(60_000)}},
			Stop:    desired.Stop{Signal: "SIGTERM", GracePeriod: ms(10_000)},
		}}
	} else {
		d = new(*d)
	}
	d.Generation++
	edit(d)
	m.want[name] = d
}

func ms(n int) desired.Duration { return desired.Duration(time.Duration(n) * time.Millisecond) }

// look is the observation of everything.
func (m *model) look() observed.Snapshot {
	s := observed.Snapshot{Instances: map[string]observed.Instance{}, Unlisted: m.unseen, Seen: map[string][]int{}}
	for _, r := range m.recs {
		for _, q := range Questions(r) {
			i := observed.Instance{ID: q.ID, Life: observed.NoProcess}
			if q.Process != nil {
				i.Process, i.Life = *q.Process, observed.Dead
			}
			if p := m.procs[q.ID]; p != nil && (p.launch || q.Process != nil) {
				i.Process, i.Ours, i.Exit, i.Lost = p.process, p.ours, p.exit, p.lost
				i.Life = observed.Alive
				if p.dead {
					i.Life = observed.Dead
				}
			}
			i.Unknown = m.blind[q.ID]
			s.Instances[q.ID] = i
		}
	}
	for id := range m.procs {
		name, n, _ := observed.ParseInstanceID(id)
		s.Seen[name] = append(s.Seen[name], n)
	}
	for _, n := range s.Seen {
		slices.Sort(n)
	}
	return s
}

func (m *model) plan() Steps { return Plan(m.want, m.look(), m.recs, m.now) }

// step plans once and carries out what acts. It says whether anything did.
func (m *model) step(log func(Action)) (acted bool, err error) {
	x := Executor{Effects: m, Records: m, Log: logr.Discard(), Now: func() time.Time { return m.now }}
	for _, a := range m.plan().Actions {
		log(a)
		if !a.Acts() {
			continue
		}
		acted = true
		if err := x.Do(context.Background(), a); errors.Is(err, errDied) {
			return true, err
		}
		m.check()
	}
	return acted, nil
}

// check looks for broken promises that can be seen at any moment.
func (m *model) check() {
	live := map[string][]string{}
	for id, p := range m.procs {
		if p.started && (!p.dead || p.shared) {
			name, _, _ := observed.ParseInstanceID(id)
			live[name] = append(live[name], id)
		}
	}
	for name, ids := range live {
		if len(ids) > 1 {
			slices.Sort(ids)
			m.fault("two live instances of %s: %v", name, ids)
		}
	}
}

func (m *model) Record(name string) (store.Record, error) {
	r := m.recs[name]
	r.Name, r.Attempts = name, slices.Clone(r.Attempts)
	return r, nil
}

func (m *model) Commit(_ context.Context, c store.Change) error {
	if err := m.alive(); err != nil {
		return err
	}
	if e := m.fails["commit"]; e != nil {
		delete(m.fails, "commit")
		return e
	}
	if c.Exit != nil {
		if _, twice := m.exits[c.Exit.Instance]; twice {
			m.fault("two exit records of %s", c.Exit.Instance)
		}
		if p := m.procs[c.Exit.Instance]; p == nil && c.Exit.Source != subreaper.SourceUnknown || p != nil && !p.dead {
			m.fault("an exit of %s was invented", c.Exit.Instance)
		}
		m.exits[c.Exit.Instance] = *c.Exit
	}
	if c.Record != nil {
		if c.Record.LastAttempt < m.recs[c.Record.Name].LastAttempt {
			m.fault("attempt numbers of %s were reused", c.Record.Name)
		}
		m.recs[c.Record.Name] = *c.Record
	}
	return m.alive()
}

// effect is what all effects have in common: the controller may die before and after, and the effect may fail.
func (m *model) effect(verb string, do func()) error {
	if err := m.alive(); err != nil {
		return err
	}
	if err := m.fails[verb]; err != nil {
		if !m.keepFailing {
			delete(m.fails, verb)
		}
		return err
	}
	do()
	return m.alive()
}

func (m *model) Expect() {}

func (m *model) Launch(_ context.Context, d *store.Desired, a *store.Attempt) error {
	return m.effect("launch", func() {
		if m.procs[a.Instance] != nil {
			return // launched already: answered from the file
		}
		if m.recordOf(a.Instance) == nil {
			m.fault("%s was launched before that was on record", a.Instance)
		}
		m.nextPID++
		m.procs[a.Instance] = &proc{process: m.process(), ours: true, launch: true, shared: !a.Private}
		if name, _, _ := observed.ParseInstanceID(a.Instance); d.Container.Name != name {
			m.fault("%s launched from the manifest of %s", a.Instance, d.Container.Name)
		}
	})
}

func (m *model) process() subreaper.Process {
	return subreaper.Process{PID: m.nextPID, StartTime: uint64(1000 + m.nextPID), BootID: testBoot}
}

func (m *model) Start(_ context.Context, instance string) error {
	return m.effect("start", func() {
		p := m.procs[instance]
		switch {
		case p == nil:
			m.fault("%s was started and never launched", instance)
		case !p.dead:
			if r := m.recordOf(instance); r == nil || r.StartCommitted.IsZero() {
				m.fault("%s was started before that was on record", instance)
			}
			p.started = true
		}
	})
}

func (m *model) recordOf(instance string) *store.Attempt {
	name, _, _ := observed.ParseInstanceID(instance)
	for _, a := range m.recs[name].Attempts {
		if a.Instance == instance {
			return &a
		}
	}
	return nil
}

func (m *model) Signal(_ string, p subreaper.Process, signal string) error {
	return m.effect("signal", func() {
		for id, q := range m.procs {
			name, _, _ := observed.ParseInstanceID(id)
			if q.process == p && (signal == "SIGKILL" || !m.ignores[name]) {
				m.die(id, syscall.WaitStatus(signals[signal]))
			}
		}
	})
}

var signals = map[string]syscall.Signal{"SIGTERM": syscall.SIGTERM, "SIGKILL": syscall.SIGKILL, "SIGINT": syscall.SIGINT}

// die ends an instance with a raw wait status, seen by the subreaper.
func (m *model) die(id string, status syscall.WaitStatus) {
	p := m.procs[id]
	if p == nil || p.dead {
		return
	}
	p.dead = true
	p.exit = &subreaper.Exit{Instance: id, Process: p.process, Status: status, Source: subreaper.SourceWaitid, FinishedAt: m.now}
}

func (m *model) Clean(_ context.Context, instance string) error {
	return m.effect("clean", func() {
		p := m.procs[instance]
		if _, recorded := m.exits[instance]; p != nil && p.started && p.ours && !recorded {
			m.fault("the exit of %s was thrown away before it was recorded", instance)
		}
		delete(m.procs, instance)
	})
}

// lives are the started and living instances.
func (m *model) lives() string {
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(m.procs)) {
		if p := m.procs[id]; p.started && !p.dead {
			ids = append(ids, id)
		}
	}
	return strings.Join(ids, " ")
}
