package sim

import (
	"syscall"
	"time"

	"reconciler.dev/reconciler/pkg/subreaper"
)

// kernel has processes, cgroups and a boot id. A *proc in somebody's hands is what a pidfd is.
type kernel struct {
	boot    string
	tells   bool // it tells the status of a process that was reaped: Linux 6.15
	procs   []*proc
	lastPID int
	lastAt  uint64 // start time given last
	cgroups map[string]*cgroup
}

type life string

const (
	alive  life = "alive"
	zombie life = "zombie"
	reaped life = "reaped"
)

// kind is what a process is the image of.
type kind string

const (
	initProcess kind = "init"
	childOfInit kind = "child"
	runtimeCall kind = "runtime"
	pairProcess kind = "pair"
	controlling kind = "controller"
	stranger    kind = "stranger"
)

type proc struct {
	subreaper.Process
	kind     kind
	instance string // whose init, or child of its init
	parent   *proc  // nil: pid 1
	life     life
	status   syscall.WaitStatus
	running  bool               // an init: the user's code runs
	pending  syscall.WaitStatus // of a signal that a frozen process has yet to see
}

type cgroup struct{ frozen bool }

// pidMax is small, so that pids are used again soon.
const (
	pidMin = 100
	pidMax = 130
)

func (k *kernel) fork(parent *proc, kind kind, instance string, at time.Duration) *proc {
	for {
		if k.lastPID++; k.lastPID < pidMin || k.lastPID >= pidMax {
			k.lastPID = pidMin
		}
		if k.find(k.lastPID) == nil {
			break
		}
	}
	// A pid is not used twice within one tick: a real one has millions of others to go through before.
	k.lastAt = max(k.lastAt+1, uint64(at/(10*time.Millisecond)))
	p := &proc{
		Process: subreaper.Process{PID: k.lastPID, StartTime: k.lastAt, BootID: k.boot},
		kind:    kind, instance: instance, parent: parent, life: alive,
	}
	k.procs = append(k.procs, p)
	return p
}

// find returns the process that has a pid now, dead or alive; nil if none has.
func (k *kernel) find(pid int) *proc {
	for _, p := range k.procs {
		if p.PID == pid {
			return p
		}
	}
	return nil
}

// open is pidfd_open(2) and the comparison behind it; nil if the process is gone.
func (k *kernel) open(id subreaper.Process) *proc {
	if p := k.find(id.PID); p != nil && p.Process == id {
		return p
	}
	return nil
}

// die ends a process. Its children fall to the next subreaper above it, or to pid 1.
func (w *world) die(p *proc, status syscall.WaitStatus) {
	if p.life != alive {
		return
	}
	p.life, p.status = zombie, status
	heir := p.parent
	for heir != nil && (heir.kind != pairProcess || heir.life != alive) {
		heir = heir.parent
	}
	for _, c := range w.procs {
		if c.parent != p {
			continue
		}
		c.parent = heir
		if heir == nil {
			w.fellToPID1(c)
		}
		switch {
		case p.kind == initProcess && c.kind == childOfInit && w.instance(p.instance).private:
			c.life = zombie // it dies with its pid namespace, and its init reaps it
			w.reap(c)
		case p.kind == runtimeCall && c.kind == initProcess && !w.holdsState(c):
			w.die(c, 1<<8) // the runtime's own first process ends by itself where nobody completes it
		}
	}
	w.changed(p)
}

// reap removes a zombie.
func (w *world) reap(p *proc) {
	p.life = reaped
	for i, q := range w.procs {
		if q == p {
			w.procs = append(w.procs[:i:i], w.procs[i+1:]...)
			break
		}
	}
	w.changed(p)
}

// signal delivers a signal to a process that is held by a pidfd.
func (w *world) signal(p *proc, status syscall.WaitStatus) {
	switch {
	case p.life != alive:
	case w.frozen(p.instance):
		if p.pending != syscall.WaitStatus(syscall.SIGKILL) {
			p.pending = status
		}
	case status == syscall.WaitStatus(syscall.SIGKILL), !p.running, !w.instance(p.instance).stubborn:
		w.die(p, status)
	}
}

func (k *kernel) frozen(instance string) bool {
	g := k.cgroups[instance]
	return g != nil && g.frozen
}

// thaw lets what waited in a frozen cgroup happen.
func (w *world) thaw(instance string) {
	g := w.cgroups[instance]
	if g == nil || !g.frozen {
		return
	}
	g.frozen = false
	for _, p := range w.members(instance) {
		if status := p.pending; status != 0 {
			p.pending = 0
			w.signal(p, status)
		}
	}
	w.event(instance)
}

// members are the living processes in an instance's cgroup.
func (k *kernel) members(instance string) (in []*proc) {
	for _, p := range k.procs {
		if p.instance == instance && p.life == alive {
			in = append(in, p)
		}
	}
	return in
}

// removeCgroup is rmdir(2); it says whether nothing lived there.
func (w *world) removeCgroup(instance string) bool {
	if len(w.members(instance)) > 0 {
		return false
	}
	delete(w.cgroups, instance)
	return true
}
