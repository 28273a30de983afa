package relay

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/subreaper"
	"reconciler.dev/reconciler/pkg/subreaper/internal/raw"
)

// scan finds all outputs there are, and those that are no more.
func (r *relay) scan() {
	r.scanDue, r.scanAt = false, 0
	if err := r.prepareDirectories(); err != nil { // no room to watch them, say: what is there can be read all the same
		r.complain(string(r.dirs.Run), err)
		r.scanAgain()
	} else {
		delete(r.failures, string(r.dirs.Run))
	}
	there := map[string]bool{}
	for name, err := range raw.Names(r.dirs.Run.FIFOsDir()) {
		if err != nil {
			r.complain(r.dirs.Run.FIFOsDir(), err)
			r.scanAgain()
			return
		}
		if id, ok := strings.CutSuffix(name, ".json"); ok && subreaper.ValidID(id) {
			there[id] = true
			if r.outputs[id] == nil {
				r.adopt(id)
			}
		}
	}
	delete(r.failures, r.dirs.Run.FIFOsDir())
	for id, o := range r.outputs {
		if !there[id] {
			r.end(o)
		}
	}
	r.lookDue = true
}

// scanAgain has everything looked at again after a pause.
func (r *relay) scanAgain() { r.scanAt = monotonic() + retryPause }

// prepareDirectories makes what the run directory must hold, or must hold again after it was wiped, and has inotify
// tell of new and changed bounds, of new exits and of instances that are forgotten. Adding what is watched already
// changes nothing.
func (r *relay) prepareDirectories() error {
	run := r.dirs.Run
	if err := os.MkdirAll(string(run), 0o711); err != nil { // as the pair makes it
		return err
	}
	const wiped = unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR
	watch := func(dir string, events uint32) error {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if _, err := unix.InotifyAddWatch(r.inotify, dir, events|wiped); err != nil {
			return fmt.Errorf("watch %s: %w", dir, err)
		}
		return nil
	}
	return errors.Join(
		watch(string(run), unix.IN_DELETE|unix.IN_MOVED_FROM),
		watch(run.FIFOsDir(), unix.IN_MOVED_TO|unix.IN_DELETE|unix.IN_MOVED_FROM),
		watch(run.ExitsDir(), unix.IN_CREATE|unix.IN_MOVED_TO),
		watch(run.InstancesDir(), unix.IN_DELETE|unix.IN_MOVED_FROM),
	)
}

// adopt opens an output and takes it up where it was left. Where that fails it is tried again.
func (r *relay) adopt(id string) {
	r.untidy++
	o, err := openOutput(r.dirs.Run, id)
	if err == nil {
		if err = r.recover(o); err == nil && o.state.complete() {
			err = errOver
		}
		if err == nil {
			err = r.poll(o)
		}
		if err != nil {
			o.close()
		}
	}
	if errors.Is(err, errOver) {
		err = remove(r.dirs.Run, id)
		if err == nil {
			return
		}
	}
	if err != nil {
		r.complain("output of "+id, err)
		r.scanAgain()
		return
	}
	r.outputs[id] = o
	r.rebound(o)
	r.prune(o) // of what the attempts before have left
	r.look(o)
	r.enqueue(o)
}

// poll adds the FIFOs to the epoll set, unarmed.
func (r *relay) poll(o *output) error {
	for i := range o.streams {
		s := &o.streams[i]
		e := unix.EpollEvent{Fd: int32(s.fifo)}
		if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, s.fifo, &e); err != nil {
			return fmt.Errorf("epoll: %w", err)
		}
		r.byFD[s.fifo] = s
	}
	return nil
}

// rebound reads the bound of an output, which may have been changed. Without one it has ended.
func (r *relay) rebound(o *output) {
	bound, err := subreaper.ReadOutput(r.dirs.Run, o.id)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.end(o)
	case err != nil:
		r.complain("bound of "+o.id, err)
	case bound != o.bound:
		o.bound = bound
		r.prune(o)
		fallthrough
	default:
		delete(r.failures, "bound of "+o.id)
	}
}

// prune makes room for a whole file of an output. Where that cannot be done now the next rotation does it.
func (r *relay) prune(o *output) {
	if dir, err := r.logDir(o.name); err == nil {
		o.prune(r, dir)
		_ = unix.Close(dir)
	}
}

// look ends the output of an instance that has ended.
func (r *relay) look(o *output) {
	if subreaper.Ended(r.dirs.Run, o.id) {
		r.end(o)
	}
}

func (r *relay) lookAtAll() {
	r.lookDue = false
	for _, o := range r.outputs {
		r.look(o)
	}
}

// end has an output drained and closed. What its init wrote is in the FIFOs; whoever else writes on cannot keep it open
// for ever, since no more is taken than the FIFOs hold.
func (r *relay) end(o *output) {
	if o.ending {
		return
	}
	o.ending, o.wakeAt = true, 0
	for i := range o.streams {
		s := &o.streams[i]
		s.armed, s.left = false, atOnce
		if n, err := unix.FcntlInt(uintptr(s.fifo), unix.F_GETPIPE_SZ, 0); err == nil {
			s.left = int64(n)
		}
	}
	r.enqueue(o)
}

// finish forgets an output that is complete.
func (r *relay) finish(o *output) {
	r.untidy++
	for i := range o.streams {
		delete(r.byFD, o.streams[i].fifo)
	}
	delete(r.outputs, o.id)
	delete(r.failures, o.label)
	delete(r.failures, "bound of "+o.id)
	o.close()
	if err := remove(r.dirs.Run, o.id); err != nil {
		r.complain(o.label, err)
		r.scanAgain()
	}
}

// filesChanged drains inotify.
func (r *relay) filesChanged() {
	var buf [4096]byte
	for {
		n, err := unix.Read(r.inotify, buf[:])
		if n <= 0 || err != nil {
			return
		}
		for b := buf[:n]; len(b) >= unix.SizeofInotifyEvent; {
			length := int(b[12]) | int(b[13])<<8 | int(b[14])<<16 | int(b[15])<<24 // inotify_event.len
			r.fileChanged(unix.ByteSliceToString(b[unix.SizeofInotifyEvent : unix.SizeofInotifyEvent+length]))
			b = b[unix.SizeofInotifyEvent+length:]
		}
	}
}

// fileChanged looks at what a file is about. No name: a directory went away, or the queue overflowed.
func (r *relay) fileChanged(name string) {
	id, isRecord := strings.CutSuffix(name, ".json")
	if !isRecord {
		id, isRecord = strings.CutSuffix(name, ".launching")
	}
	switch o := r.outputs[id]; {
	case o != nil:
		r.rebound(o)
		r.look(o)
	case isRecord && subreaper.ValidID(id) && raw.Exists(r.dirs.Run.Output(id)):
		r.adopt(id)
	case name == "" || !isRecord && !strings.Contains(name, "."):
		r.scanDue = true
	}
}
