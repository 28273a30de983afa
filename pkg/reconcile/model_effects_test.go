package reconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"syscall"

	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/subreaper"
)

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

func (m *model) Launch(_ context.Context, d *store.Desired, a *store.Attempt, again bool) error {
	lost := false
	err := m.effect("launch", func() {
		if m.procs[a.Instance] != nil {
			return // launched already: answered from the file
		}
		if lost = again; lost {
			return // it is not on file, and nobody knows any more whether it was
		}
		if m.recordOf(a.Instance) == nil {
			m.fault("%s was launched before that was on record", a.Instance)
		}
		m.nextPID++
		m.procs[a.Instance] = &proc{process: m.process(), ours: true, launch: true, shared: !a.Private, origin: &observed.Origin{
			InputHash: d.InputHash, SpecHash: a.SpecHash, Resources: a.Resources, Private: a.Private, MadeAt: m.now,
		}}
		if name, _, _ := observed.ParseInstanceID(a.Instance); d.Container.Name != name {
			m.fault("%s launched from the manifest of %s", a.Instance, d.Container.Name)
		}
	})
	if lost && err == nil {
		return &NotLaunched{subreaper.ErrLost}
	}
	return err
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
			switch {
			case q.process != p:
			case signal == "SIGKILL":
				m.die(id, syscall.WaitStatus(syscall.SIGKILL))
			case q.frozen && !m.ignores[name]:
				q.pending = syscall.WaitStatus(signals[signal])
			case !m.ignores[name]:
				m.die(id, syscall.WaitStatus(signals[signal]))
			}
		}
	})
}

func (m *model) Pause(_ context.Context, instance string) error {
	return m.effect("pause", func() {
		if p := m.procs[instance]; !p.started {
			m.fault("%s was paused before it was started", instance)
		} else if !p.dead {
			p.frozen = true
		}
	})
}

func (m *model) Resume(_ context.Context, instance string) error {
	return m.effect("resume", func() {
		p := m.procs[instance]
		if p.frozen = false; p.pending != 0 {
			m.die(instance, p.pending)
		}
	})
}

func (m *model) Update(_ context.Context, instance string, resources json.RawMessage) error {
	return m.effect("update", func() {
		if m.procs[instance].dead {
			return
		}
		m.updated = append(m.updated, fmt.Sprintf("%s %s", instance, resources))
	})
}

var signals = map[string]syscall.Signal{"SIGTERM": syscall.SIGTERM, "SIGKILL": syscall.SIGKILL, "SIGINT": syscall.SIGINT}

// die ends an instance with a raw wait status, seen by the subreaper.
func (m *model) die(id string, status syscall.WaitStatus) {
	p := m.procs[id]
	if p == nil || p.dead {
		return
	}
	p.dead, p.frozen = true, false
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
