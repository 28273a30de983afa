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
	updated     []string
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
	frozen  bool
	pending syscall.WaitStatus // of a signal that waits until it is thawed
	origin  *observed.Origin
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
				i.Process, i.Ours, i.Exit, i.Lost, i.Frozen = p.process, p.ours, p.exit, p.lost, p.frozen
				i.Life = observed.Alive
				if p.dead {
					i.Life = observed.Dead
				}
			}
			i.Unknown = m.blind[q.ID]
			s.Instances[q.ID] = i
		}
	}
	for id, p := range m.procs {
		name, n, _ := observed.ParseInstanceID(id)
		s.Seen[name] = append(s.Seen[name], n)
		if _, asked := s.Instances[id]; !asked {
			s.Instances[id] = m.stranger(id, p)
		}
	}
	for _, n := range s.Seen {
		slices.Sort(n)
	}
	return s
}

// stranger is what is seen of an instance that nobody has on record.
func (m *model) stranger(id string, p *proc) observed.Instance {
	i := observed.Instance{ID: id, Process: p.process, Ours: p.ours, Life: observed.Alive, Exit: p.exit, Frozen: p.frozen, Unknown: m.blind[id]}
	if p.dead {
		i.Life = observed.Dead
	}
	if p.origin != nil {
		i.Origin = new(*p.origin)
		i.Origin.Started = p.started
	}
	return i
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
