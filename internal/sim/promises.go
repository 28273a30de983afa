package sim

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/reconcile"
	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// Broken is a promise that was not kept.
type Broken struct {
	Promise string // one word
	How     string
}

func (b *Broken) Error() string { return b.Promise + ": " + b.How }

// broke notes the first promise that is broken; a run ends there.
func (w *world) broke(promise, format string, a ...any) {
	if w.broken == nil {
		w.broken = &Broken{promise, fmt.Sprintf(format, a...)}
		w.say("BROKEN %v", w.broken)
	}
}

// created: the runtime has forked an instance's init. No id is created twice.
func (w *world) created(p *proc) {
	i := w.instance(p.instance)
	if i.init != nil {
		w.broke("twice", "%s was created a second time", i.id)
	}
	i.init = p
}

// checkTwins: never two live instances of one name.
func (w *world) checkTwins() {
	for _, a := range w.started {
		for _, b := range w.started {
			if a.number < b.number && a.name == b.name && w.lives(a) && w.lives(b) {
				w.broke("twins", "%s and %s both live", a.id, b.id)
			}
		}
	}
}

// lives: user code of an instance runs.
func (w *world) lives(i *instance) bool { return i.init.life == alive || len(w.members(i.id)) > 0 }

// signalled: a signal is about to be sent in the name of an instance.
func (w *world) signalled(id string, p *proc) {
	i := w.instance(id)
	i.asked = true
	if p.instance != id {
		w.broke("stranger", "pid %d, which is of %q, was signalled as %s", p.PID, p.instance, id)
	}
	if p.running && p.life == alive && !i.unwanted {
		w.broke("disturbed", "%s was signalled and is wanted as it is", id)
	}
}

// cleaned: a process is about to be killed as part of what is left of an instance.
func (w *world) cleaned(p *proc) {
	if p.kind == initProcess && p.running && p.life == alive && w.instance(p.instance).owes() {
		w.broke("cleaned", "%s lives and is cleaned up", p.instance)
	}
}

// exitRemoved: the exit file of an instance that was cleaned up goes.
func (w *world) exitRemoved(id string) {
	if i := w.instance(id); i.owes() {
		w.broke("lost", "the exit of %s is removed and was never recorded", id)
	}
	w.instance(id).unseen = w.instance(id).unseen || w.instance(id).lost // an older store may come and ask for it
	delete(w.run.exits, id)
}

// owes: its exit is to be recorded, and is not.
func (i *instance) owes() bool { return (i.committed || i.owed) && i.recorded == nil }

// commits remembers how the disk was before a commit that has not returned: a power cut may undo that.
type commits struct {
	before *store.Memory
	undo   []func()
}

func (c *commits) returned() { *c = commits{} }

// commit has the store commit, and holds what it is told against the truth.
func (w *world) commit(ctx context.Context, db *store.DB, c store.Change) error {
	before := w.disk.Clone()
	if err := db.Commit(ctx, c); err != nil {
		w.broke("refused", "the store refuses: %v", err)
		return err
	}
	w.commits = commits{before: before}
	if c.Record != nil {
		for _, a := range c.Record.Attempts {
			if i := w.instance(a.Instance); !a.StartCommitted.IsZero() && !i.committed {
				i.committed = true
				w.commits.undo = append(w.commits.undo, func() { i.committed = false })
			}
		}
	}
	if c.Exit != nil {
		w.recordedExit(c.Exit)
	}
	return nil
}

// recordedExit: one exit an attempt, and no other than the kernel's, or unknown where nobody could see it.
func (w *world) recordedExit(e *store.Exit) {
	i := w.instance(e.Instance)
	was := i.recorded
	i.recorded = e
	w.commits.undo = append(w.commits.undo, func() { i.recorded = was })
	switch {
	case was != nil:
		w.broke("doubled", "the exit of %s was recorded twice", i.id)
	case i.init == nil || i.init.Process != e.Process:
		w.broke("invented", "the exit of %s is of process %v", i.id, e.Process)
	case i.init.life == alive:
		w.broke("invented", "%s lives and its exit is recorded", i.id)
	case e.Source == subreaper.SourceUnknown && !i.unseen:
		w.broke("lost", "the exit of %s is recorded as unknown: %s", i.id, e.Message)
	case e.Source != subreaper.SourceUnknown && !same(e, i.init.status):
		w.broke("invented", "%s ended with %#x and not as recorded: %s", i.id, uint32(i.init.status), e.Message)
	}
}

func same(e *store.Exit, status syscall.WaitStatus) bool {
	if status.Signaled() {
		return e.ExitCode == nil && e.Signal != nil && *e.Signal == int(status.Signal())
	}
	return e.ExitCode != nil && *e.ExitCode == status.ExitStatus()
}

// settled holds the end of a run, when nothing has happened for long, against what is wanted.
func (w *world) settled() {
	for _, i := range w.all {
		if i.owes() && i.init.life != alive && !w.orphan(i) {
			w.broke("lost", "the exit of %s was never recorded", i.id)
		}
	}
	current := map[string]bool{}
	for _, wish := range w.wishes {
		if id := w.asWished(wish); id != "" {
			current[id] = true
		}
	}
	w.noLeftovers(current)
}

// asWished checks that a name is as it is wanted. It returns the instance that is to live.
func (w *world) asWished(wish *wish) (current string) {
	var live []*instance
	for _, i := range w.started {
		if i.name == wish.name && w.lives(i) && !w.orphan(i) {
			live = append(live, i)
		}
	}
	db := w.controller.db
	d, err := db.Desired(wish.name)
	if errors.Is(err, store.ErrNotFound) {
		d = nil
	}
	r, _ := db.Record(wish.name)
	have := w.controller.Look([]string{wish.name}, reconcile.Questions(r))
	phase := reconcile.StatusOf(d, have, r, w.now()).Phase
	count := map[reconcile.Phase]int{reconcile.Running: 1, reconcile.Paused: 1}[phase]
	wanted := d != nil && phase == reconcile.Phase(d.State())
	switch {
	case d == nil:
		wanted = len(r.Attempts) == 0
	case phase == reconcile.Completed, phase == reconcile.Failed:
		last := w.instance(r.LastExit.Instance) // what was asked to end is no reason not to begin again
		wanted = d.Container.Spec.Restart.Policy != desired.Always && (!last.asked || last.lost)
	case d.Override() != nil && d.Override().InDoubt: // it stops nothing, and starts nothing
		wanted = true
	case d.InputHash == "": // what runs goes on, since there is nothing to take its place
		wanted = wanted || phase == reconcile.Pending
	}
	if !wanted || len(live) != count {
		w.broke("unsettled", "%s is %s with %d live instances", wish.name, phase, len(live))
		return ""
	}
	if count == 0 {
		return ""
	}
	if i := live[0]; d.InputHash != "" && i.spec != d.SpecHash() || w.frozen(i.id) != (phase == reconcile.Paused) {
		w.broke("unsettled", "%s is %s and not as wanted", i.id, phase)
	}
	return live[0].id
}

// orphan: it is nobody's since the store was lost, and left alone.
func (w *world) orphan(i *instance) bool {
	if !i.lost {
		return false
	}
	_, err := w.controller.db.Desired(i.name)
	r, _ := w.controller.db.Record(i.name)
	return err != nil && r.ChangedAt.IsZero()
}

// noLeftovers: nothing is there but what belongs to the instances that are to live.
func (w *world) noLeftovers(current map[string]bool) {
	check := func(what string, ids []string) {
		for _, id := range ids {
			if !current[id] && !w.orphan(w.instance(id)) {
				w.broke("left", "%s of %s is left behind", what, id)
			}
		}
	}
	check("the cgroup", sortedKeys(w.cgroups))
	check("the runtime's state", sortedKeys(w.run.root))
	check("the bundle", sortedKeys(w.run.bundles))
	check("the instance file", sortedKeys(w.run.instances))
	check("the launching file", sortedKeys(w.run.launching))
	check("the exit file", sortedKeys(w.run.exits))
	for _, p := range w.procs {
		if p.life == zombie || p.instance != "" && !current[p.instance] && !w.orphan(w.instance(p.instance)) || p.kind == runtimeCall {
			w.broke("left", "process %d, %s %s, is left behind", p.PID, p.kind, p.instance)
		}
	}
	check("a pidfd", sortedKeys(w.controller.held))
}
