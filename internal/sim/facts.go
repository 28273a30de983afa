package sim

import (
	"errors"
	"io/fs"
	"maps"
	"time"

	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// facts are what the controller reads of the world: the world moves on between any two of them.
type facts struct{ *controller }

var _ observed.Facts = facts{}

var errRead = errors.New("input/output error")

// read is a moment between two reads. It may fail.
func (f facts) read() error {
	if f.w.calm {
		return nil
	}
	if f.w.one(8) {
		f.w.moveOn()
	}
	if f.w.one(400) {
		return errRead
	}
	return nil
}

func (f facts) Launched(id string) (subreaper.Instance, error) {
	if err := f.read(); err != nil {
		return subreaper.Instance{}, err
	}
	p, there := f.w.run.instances[id]
	if !there {
		return subreaper.Instance{}, fs.ErrNotExist
	}
	return subreaper.Instance{ID: id, Process: p}, nil
}

func (f facts) Recorded(id string) (subreaper.Exit, error) {
	if err := f.read(); err != nil {
		return subreaper.Exit{}, err
	}
	e, there := f.w.run.exits[id]
	if !there {
		return subreaper.Exit{}, fs.ErrNotExist
	}
	return e, nil
}

func (f facts) Boot() (string, error) { return f.w.boot, nil }

// holding is a pidfd of the controller's.
type holding struct {
	process subreaper.Process
	p       *proc
}

func (f facts) Witness(id string, process subreaper.Process) (subreaper.Sighting, error) {
	if err := f.read(); err != nil {
		return subreaper.Sighting{}, err
	}
	h := f.held[id]
	if h.p == nil || h.process != process {
		p := f.w.open(process)
		if p == nil {
			delete(f.held, id)
			return subreaper.Sighting{}, subreaper.ErrGone
		}
		h = holding{process, p}
		f.held[id] = h
	}
	switch {
	case h.p.life == alive:
		return subreaper.Sighting{Life: subreaper.Alive}, nil
	case h.p.life == zombie:
		return subreaper.Sighting{Life: subreaper.Zombie, Parent: pidOf(h.p.parent), Status: h.p.status, Source: subreaper.SourceProcstat}, nil
	case f.w.tells:
		return subreaper.Sighting{Life: subreaper.Reaped, Status: h.p.status, Source: subreaper.SourcePidfd}, nil
	}
	return subreaper.Sighting{Life: subreaper.Reaped}, nil
}

func pidOf(p *proc) int {
	if p == nil {
		return 1
	}
	return p.PID
}

func (f facts) Child(pid int) bool {
	p := f.w.find(pid)
	return p != nil && f.Role(pidOf(p.parent))
}

func (f facts) Role(pid int) bool { return f.w.isRole(f.w.find(pid)) }

func (f facts) OOMKilled(string) bool { return false }

func (f facts) Listed(id string) bool { return f.w.run.root[id] != nil }

func (f facts) Frozen(id string) (bool, error) { return f.w.frozen(id), f.read() }

func (f facts) Origin(id string) (*observed.Origin, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	b, c := f.w.run.bundles[id], f.w.run.root[id]
	if b == nil || c == nil {
		return nil, nil
	}
	o := b.origin
	o.Started = !c.fifo
	return &o, nil
}

func (f facts) Now() time.Time { return f.w.now() }

// Look and List make the controller a reconcile.World.
func (c *controller) Look(names []string, questions []observed.Question) observed.Snapshot {
	s := c.index.Snapshot(names)
	for _, q := range questions {
		s.Instances[q.ID] = observed.Judge(q, facts{c})
	}
	return s
}

// list finds out of which instances there is anything, as Observer.List does, from one place after the other.
func (c *controller) list(t *task) {
	w := c.w
	c.index.Begin()
	c.relist = never
	if w.faulty() && w.one(10) {
		c.index.Fail(errRead)
		c.relist = c.mono() + time.Second
		return
	}
	var ids []string
	for id, have := range w.run.root {
		if have.state {
			ids = append(ids, id)
		}
	}
	for _, place := range []func(){
		func() { ids = append(ids, sortedKeys(w.cgroups)...) },
		func() { ids = append(ids, sortedKeys(w.run.root)...) },
		func() { ids = append(ids, sortedKeys(w.run.bundles)...) },
		func() {
			ids = append(ids, sortedKeys(w.run.instances)...)
			ids = append(ids, sortedKeys(w.run.launching)...)
		},
		func() { ids = append(ids, sortedKeys(w.run.exits)...) },
	} {
		if !t.pause(nil) {
			return
		}
		place()
	}
	c.index.End(ids, c.foreign, maps.Clone(w.logs))
	c.relist = c.mono() + resync
	names, err := c.Names()
	if err == nil {
		c.queue.WakeAll(names)
	}
}

// foreign is Observer.foreign.
func (c *controller) foreign(id string) bool {
	r := c.w.run
	_, ended := r.exits[id]
	_, launched := r.instances[id]
	return c.w.cgroups[id] == nil && r.bundles[id] == nil && !launched && !r.launching[id] && !ended
}
