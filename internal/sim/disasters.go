package sim

import "reconciler.dev/reconciler/pkg/store"

// wiped: the runtime has lost what it knew, which is a reason to end what runs.
func (w *world) wiped() {
	for _, i := range w.all {
		i.unwanted, i.wiped, i.owed = true, true, false
	}
	w.changedDisk()
	if w.controller != nil {
		for _, i := range w.all {
			w.controller.told = append(w.controller.told, i.id)
		}
	}
}

func (w *world) changedDisk() {
	for _, r := range []*role{w.guard, w.reaper} {
		if r != nil {
			r.due = true
		}
	}
}

// powerCut ends everything. What is on disk stays; a commit that had not returned may be there or not. The run directory
// is on a tmpfs.
func (w *world) powerCut() {
	w.say("power is cut")
	if c := w.controller; c != nil {
		w.controller = nil
		for _, t := range c.tasks {
			t.stop()
		}
	}
	if before := w.commits.before; before != nil && w.one(2) {
		w.disk = before
		for _, undo := range w.commits.undo {
			undo()
		}
	}
	w.commits.returned()
	for _, i := range w.all {
		if i.init != nil && i.init.life != reaped {
			i.init.life = reaped // with the kernel that knew it
		}
		if i.init != nil && !i.init.running && !i.committed {
			i.init = nil // it has run nothing, and nothing is left of it: it may be created again
		}
		i.unseen, i.owed = i.unseen || i.recorded == nil, false
	}
	w.pair, w.calls, w.alarms = pair{}, nil, nil
	w.run = newRunDir()
	w.bootKernel()
}

// loseStore has the controller die and leave a store that cannot be used. What is told by what runs is known again; what
// had ended is not, nor what was about to be started.
func (w *world) loseStore() {
	if w.controller != nil {
		w.killController()
	}
	w.say("the store is lost")
	w.disk, w.doubt = &store.Memory{}, false
	w.commits.returned()
	for _, i := range w.all {
		c := w.run.root[i.id]
		i.owed = i.init != nil && i.init.running && i.init.life == alive && !i.wiped && c != nil && !c.fifo
		i.unseen = i.unseen || i.recorded != nil // its files may be gone with it
		i.recorded, i.committed, i.lost = nil, false, true
	}
	for _, x := range w.wishes {
		x.due = true
	}
}

// restoreStore has the controller die and find a store that is older than what runs.
func (w *world) restoreStore() {
	w.loseStore()
	w.say("the store is restored from its snapshot")
	w.disk, w.snapshot, w.doubt = w.snapshot, nil, true
	if err := w.disk.Doubt(store.Restored{At: w.now(), Why: "it was lost"}, w.boot); err != nil {
		w.broke("refused", "the store refuses: %v", err)
	}
	db := w.disk.Open(w.boot)
	for _, i := range w.all {
		r, _ := db.Record(i.name)
		exits, _ := db.Exits(i.name)
		for _, e := range exits {
			if e.Instance == i.id {
				i.recorded, i.committed = &e, true
			}
		}
		for _, a := range r.Attempts {
			i.committed = i.committed || a.Instance == i.id && !a.StartCommitted.IsZero()
		}
	}
}

func (w *world) bootKernel() {
	w.boots++
	w.kernel = kernel{boot: bootID(w.boots), tells: w.tells, cgroups: map[string]*cgroup{}}
}
