package sim

import (
	"errors"
	"fmt"
	"syscall"
)

// What a call of the runtime may end with, other than success.
var (
	errNotExist   = errors.New("container does not exist")
	errExist      = errors.New("container with given ID already exists")
	errNotRunning = errors.New("container not running")
	errAlready    = errors.New("cannot start an already running container")
	errNotStopped = errors.New("cannot delete container that is not stopped")
	errKilled     = errors.New("the runtime was killed")
	errBroken     = errors.New("the runtime failed")
	errNoEffect   = errors.New("reported success without effect")
)

// container is what the runtime keeps of one in its root.
type container struct {
	state bool // its state file is written, and it is in the list
	init  *proc
	fifo  bool // exec.fifo is there: it waits to be started
}

// call is one run of the runtime's command line. It does one thing a step, and goes on when whoever started it has died.
type call struct {
	verb, id string
	p        *proc
	at       int // steps done
	err      error
	hangs    bool // for ever
}

// begin starts the runtime as a child of parent.
func (w *world) begin(parent *proc, verb, id string) *call {
	c := &call{verb: verb, id: id, p: w.fork(parent, runtimeCall, "", w.mono)}
	c.hangs = w.faulty() && w.one(100)
	w.calls = append(w.calls, c)
	return c
}

// callStep has a call do the next thing, and says whether it did any.
func (w *world) callStep(c *call) bool {
	switch {
	case c.hangs:
		return false
	case w.faulty() && w.one(200):
		w.end(c, errBroken)
		return true
	case w.faulty() && w.one(300):
		w.say("the runtime's %s says that it is done", c)
		w.end(c, nil)
		return true
	}
	c.at++
	done, err := false, error(nil)
	switch c.verb {
	case "create":
		done, err = w.create(c)
	case "start":
		done, err = w.startStep(c)
	case "delete":
		done, err = w.deleteStep(c)
	case "pause":
		done, err = true, w.pause(c.id)
	case "resume":
		done, err = true, w.resume(c.id)
	case "update":
		done, err = true, w.runningInit(c.id)
	}
	if done || err != nil {
		w.end(c, err)
	}
	return true
}

// end has a call exit.
func (w *world) end(c *call, err error) {
	c.err = err
	for i, d := range w.calls {
		if d == c {
			w.calls = append(w.calls[:i:i], w.calls[i+1:]...)
			break
		}
	}
	if err != nil && c.verb == "create" && !errors.Is(err, errKilled) && !errors.Is(err, errExist) {
		w.undoCreate(c)
	}
	status := syscall.WaitStatus(0)
	if err != nil {
		status = 1 << 8
	}
	w.die(c.p, status)
}

// kill ends a call at once, with whatever it has done until then.
func (w *world) killCall(c *call) { w.end(c, errKilled) }

// create makes a container that waits to be started. What is there before its state file is written is not listed.
func (w *world) create(c *call) (done bool, err error) {
	have := w.run.root[c.id]
	switch c.at {
	case 1:
		switch {
		case w.run.bundles[c.id] == nil:
			return true, errBroken
		case have != nil:
			return true, errExist
		}
		w.run.root[c.id] = &container{fifo: true}
		w.appeared(c.id)
	case 2:
		if w.cgroups[c.id] == nil {
			w.cgroups[c.id] = &cgroup{}
		}
	case 3:
		if have != nil {
			have.init = w.fork(c.p, initProcess, c.id, w.mono)
			w.created(have.init)
		}
	case 4:
		if have != nil && have.init != nil && w.cgroups[c.id] != nil {
			have.state = true
		}
	case 5:
		b := w.run.bundles[c.id]
		if have == nil || !have.state || b == nil {
			return true, errBroken // its directories were wiped
		}
		b.pidFile = have.init.PID
		return true, nil
	}
	return false, nil
}

// undoCreate is what a runtime does when it fails by itself.
func (w *world) undoCreate(c *call) {
	for _, p := range w.procs {
		if p.kind == initProcess && p.instance == c.id && p.parent == c.p {
			w.die(p, syscall.WaitStatus(syscall.SIGKILL))
		}
	}
	delete(w.run.root, c.id)
	w.removeCgroup(c.id)
}

// holdsState says whether an init is on record with the runtime: then it outlives its create.
func (w *world) holdsState(p *proc) bool {
	c := w.run.root[p.instance]
	return c != nil && c.state && c.init == p
}

func (w *world) runningInit(id string) error {
	switch c := w.run.root[id]; {
	case c == nil || !c.state:
		return errNotExist
	case c.init.life != alive:
		return errNotRunning
	}
	return nil
}

// startStep lets an init go on by opening its exec.fifo, and then removes that.
func (w *world) startStep(c *call) (done bool, err error) {
	have := w.run.root[c.id]
	if c.at == 2 {
		if have != nil {
			have.fifo = false
		}
		return true, nil
	}
	if err := w.runningInit(c.id); err != nil {
		return true, err
	}
	switch {
	case !have.fifo:
		return true, errAlready
	case have.init.running:
		c.hangs = true // nobody opens the other end any more
		return false, nil
	}
	have.init.running = true
	w.began(have.init)
	return false, nil
}

func (w *world) deleteStep(c *call) (done bool, err error) {
	have := w.run.root[c.id]
	switch c.at {
	case 1:
		switch {
		case have == nil:
			return true, errNotExist
		case have.state && have.init.life == alive && have.init.running:
			return true, errNotStopped
		case have.state:
			w.die(have.init, syscall.WaitStatus(syscall.SIGKILL))
		}
	case 2:
		delete(w.run.root, c.id)
		w.event(c.id)
	case 3:
		w.removeCgroup(c.id)
		return true, nil
	}
	return false, nil
}

func (w *world) pause(id string) error {
	if err := w.runningInit(id); err != nil {
		return err
	}
	if g := w.cgroups[id]; g != nil {
		g.frozen = true
		w.event(id)
	}
	return nil
}

func (w *world) resume(id string) error {
	if err := w.runningInit(id); err != nil {
		return err
	}
	w.thaw(id)
	return nil
}

// held holds what a call has reported against what can be seen of it, as pkg/runc does.
func (w *world) held(c *call) error {
	have := w.run.root[c.id]
	if c.err == nil && have != nil && (c.verb == "delete" || c.verb == "start" && have.fifo) {
		return errNoEffect
	}
	return c.err
}

func (c *call) String() string { return fmt.Sprintf("%s %s", c.verb, c.id) }
