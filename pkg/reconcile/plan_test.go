package reconcile

import (
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// TestPlanIsTotal asks for every combination of what one name can be: each has an action with a reason, each action acts
// on something, and none begins or starts anything where something is unknown or still lives.
func TestPlanIsTotal(t *testing.T) {
	n, verbs := 0, map[Verb]int{}
	for s := range states() {
		n++
		var before string
		if sample := n%97 == 0; sample {
			before = s.String()
		}
		steps := Plan(s.want, s.have, s.recs, testEpoch)
		if before != "" && s.String() != before {
			t.Fatalf("Plan changed its argument\n%s\n%s", before, s)
		}
		if len(steps.Actions) != 1 {
			t.Fatalf("%s: %d actions", s, len(steps.Actions))
		}
		a := steps.Actions[0]
		verbs[a.Verb]++
		if a.Reason == "" || strings.ContainsAny(a.Reason, " \n") {
			t.Errorf("%s: %v: no reason", s, a)
		}
		if again := Plan(s.want, s.have, s.recs, testEpoch); before != "" && !reflect.DeepEqual(steps, again) {
			t.Errorf("%s: not deterministic", s)
		}
		s.judge(t, a)
	}
	for _, v := range []Verb{Hold, Wait, Note, Launch, Start, Signal, Kill, Pause, Resume, Update, Clean, Forget} {
		if verbs[v] == 0 {
			t.Errorf("no state leads to %q", v)
		}
	}
	t.Logf("%d states: %v", n, verbs)
}

type state struct {
	want map[string]*store.Desired
	have observed.Snapshot
	recs map[string]store.Record
}

// String is everything there is to a state, pointers followed.
func (s state) String() string {
	b, err := json.Marshal([]any{s.want, s.have, s.recs})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// judge holds an action against what must never be.
func (s state) judge(t *testing.T, a Action) {
	t.Helper()
	r := s.recs["web"]
	cur := last(slices.Clone(r.Attempts))
	seen := observed.Instance{}
	if cur != nil {
		seen = s.have.Instances[cur.Instance]
	}
	lives := cur != nil && !cur.Over && !cur.StartCommitted.IsZero() && seen.Life != observed.Dead
	switch {
	case a.Verb == Launch && a.Record != nil && (s.want["web"] == nil || s.want["web"].State() == desired.Stopped):
		t.Errorf("%s: %v: not wanted", s, a)
	case a.Verb == Launch && a.Record != nil && lives:
		t.Errorf("%s: %v: a twin", s, a)
	case a.Verb == Launch && a.Record != nil && s.have.Unlisted != "" && (cur == nil || cur.Over):
		t.Errorf("%s: %v: there may be one already", s, a)
	case a.Acts() && cur != nil && !cur.Over && seen.Unknown != "":
		t.Errorf("%s: %v: acts on what is unknown", s, a)
	case a.Verb == Start && (seen.Life != observed.Alive || cur.StartCommitted.IsZero() && !seen.Ours):
		t.Errorf("%s: %v: starts what the pair does not hold", s, a)
	case a.Verb == Start && a.Record.Attempts[len(a.Record.Attempts)-1].StartCommitted.IsZero():
		t.Errorf("%s: %v: starts before it commits", s, a)
	case a.Exit != nil && seen.Exit == nil:
		t.Errorf("%s: %v: invents an exit", s, a)
	case (a.Verb == Signal || a.Verb == Kill) && seen.Life != observed.Alive:
		t.Errorf("%s: %v: signals the dead", s, a)
	case lives && seen.Life == observed.Alive && seen.Unknown == "" && cur.Stop != nil && cur.Stop.Sent && a.Verb == Resume && !testEpoch.Before(cur.Stop.Wait.Until):
		t.Errorf("%s: %v: its grace period is over", s, a)
	case a.Verb == Pause && (seen.Life != observed.Alive || seen.Frozen || s.want["web"].State() != desired.Paused):
		t.Errorf("%s: %v: pauses what is not to be", s, a)
	case a.Verb == Resume && !seen.Frozen, a.Verb == Update && seen.Life != observed.Alive:
		t.Errorf("%s: %v: there is nothing to do it to", s, a)
	case a.Reason == "Adopted" && cur != nil && !cur.Over && !cur.StartCommitted.IsZero():
		t.Errorf("%s: %v: takes a second one", s, a)
	case a.Verb == Clean && !a.Attempt.Over:
		t.Errorf("%s: %v: removes what is not over", s, a)
	case a.Record != nil && a.Record.LastAttempt < r.LastAttempt:
		t.Errorf("%s: %v: reuses numbers", s, a)
	}
}

// TestPlanSettles drives the real planner and executor through random lives of two containers: exits, edits, removals,
// failing effects, deaths of the controller between any two steps. No promise may break on the way, and once the faults
// stop the plan comes to an end.
func TestPlanSettles(t *testing.T) {
	if err := flag.Set("rapid.checks", "3000"); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		m := newModel()
		names := []string{"a", "b"}
		for range rapid.IntRange(1, 40).Draw(t, "length") {
			name := rapid.SampledFrom(names).Draw(t, "name")
			switch rapid.SampledFrom([]string{"desire", "undesire", "stop", "run", "run", "step", "exit", "kill", "advance", "back", "fail", "spent", "die", "orphan", "lost", "pause", "freeze", "resize", "unfit", "forget", "restored"}).Draw(t, "what") {
			case "desire":
				m.desire(name, func(d *store.Desired) {
					d.Container.Spec.State = desired.Running
					d.InputHash = rapid.SampledFrom([]string{"h1", "h2"}).Draw(t, "hash")
					d.Container.Spec.Restart.Policy = rapid.SampledFrom([]desired.Policy{desired.Always, desired.OnFailure, desired.Never}).Draw(t, "policy")
					d.Private = rapid.Bool().Draw(t, "private")
				})
			case "undesire":
				delete(m.want, name)
			case "stop":
				if m.want[name] != nil {
					m.desire(name, func(d *store.Desired) { d.Container.Spec.State = desired.Stopped })
				}
			case "run":
				settle(t, m, 30)
			case "step":
				_, _ = m.step(func(Action) {})
			case "exit":
				m.dieAny(name, syscall.WaitStatus(rapid.IntRange(0, 3).Draw(t, "code")<<8))
			case "kill":
				m.dieAny(name, 9)
			case "advance":
				m.now = m.now.Add(time.Duration(rapid.IntRange(0, 100_000).Draw(t, "ms")) * time.Millisecond)
			case "back":
				m.now = m.now.Add(-time.Hour)
			case "fail":
				m.fails[rapid.SampledFrom([]string{"launch", "start", "signal", "pause", "resume", "update", "clean", "commit"}).Draw(t, "verb")] = os.ErrDeadlineExceeded
			case "pause":
				if m.want[name] != nil {
					m.desire(name, func(d *store.Desired) { d.Container.Spec.State = desired.Paused })
				}
			case "freeze":
				for _, p := range m.procs {
					p.frozen = p.started && !p.dead
				}
			case "resize":
				if m.want[name] != nil {
					m.desire(name, func(d *store.Desired) {
						d.Container.Spec.Resources = []byte(rapid.SampledFrom([]string{`{"pids":{"limit":7}}`, `{"pids":{"limit":8}}`, `{"network":{"classID":7}}`}).Draw(t, "resources"))
					})
				}
			case "unfit":
				m.fails["update"] = &Unfit{os.ErrInvalid}
			case "restored": // the store is an older one
				if m.living(name) == 0 {
					m.nextPID++
					m.procs[observed.InstanceID(name, m.recs[name].LastAttempt+2)] = &proc{process: m.process(), launch: true, ours: true, started: true,
						origin: &observed.Origin{InputHash: "h1", SpecHash: "h1", MadeAt: m.now}}
				}
			case "forget": // the store is lost
				m.recs, m.exits = map[string]store.Record{}, map[string]store.Exit{}
			case "spent":
				m.fails["launch"] = &NotLaunched{os.ErrInvalid}
			case "die":
				m.dies = rapid.IntRange(0, 6).Draw(t, "after")
			case "orphan":
				for _, p := range m.procs {
					p.ours = false
				}
			case "lost":
				for id, p := range m.procs {
					if n, _, _ := observed.ParseInstanceID(id); n == name && !p.dead && p.started {
						m.die(id, 0)
						p.exit.Source, p.exit.Reason = subreaper.SourceUnknown, "Unseen"
					}
				}
			}
			if m.dies == 0 {
				m.dies = -1 // it died; the next controller is here
			}
		}
		m.dies, m.fails = -1, map[string]error{}
		for i := 0; ; i++ {
			s := m.plan()
			if i == 200 {
				t.Fatalf("it does not settle: %v", s)
			}
			if !slices.ContainsFunc(s.Actions, func(a Action) bool { return a.Verb != Hold }) {
				break
			}
			if _, err := m.step(func(Action) {}); err != nil {
				t.Fatal(err)
			}
			if !s.WakeAt.IsZero() {
				m.now = s.WakeAt
			}
		}
		m.judge(t, names)
	})
}

func settle(t *rapid.T, m *model, most int) {
	for range most {
		if acted, err := m.step(func(Action) {}); !acted || err != nil {
			return
		}
	}
}

func (m *model) living(name string) (n int) {
	for id, p := range m.procs {
		if is, _, _ := observed.ParseInstanceID(id); is == name && (!p.dead || p.shared) {
			n++
		}
	}
	return n
}

func (m *model) dieAny(name string, status syscall.WaitStatus) {
	for id, p := range m.procs {
		if n, _, _ := observed.ParseInstanceID(id); n == name && !p.dead {
			m.die(id, status)
		}
	}
}

// judge compares a settled model with what is wanted.
func (m *model) judge(t *rapid.T, names []string) {
	for _, f := range m.faults {
		t.Errorf("broken promise: %s", f)
	}
	for _, name := range names {
		d, r := m.want[name], m.recs[name]
		if d == nil && r.ChangedAt.IsZero() {
			continue // what is there of it is an orphan
		}
		v := viewOf(name, d, m.look(), r, m.now)
		switch {
		case v.alive() && v.current() && v.o.Frozen == v.paused() && !v.resized(), !v.alive() && v.idle() != "":
		default:
			t.Errorf("%s settled at odds with what is wanted: %v, %q", name, v.alive(), v.idle())
		}
		for id, p := range m.procs {
			if n, _, _ := observed.ParseInstanceID(id); n == name && (d == nil || p.dead || !p.started) {
				t.Errorf("%s is left behind: %+v", id, p)
			}
		}
	}
}
