package pair

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/subreaper"
	"reconciler.dev/reconciler/pkg/subreaper/internal/raw"
)

// scan watches every instance that has a file and no exit record, whoever's child it is: a process watched before it
// fell to anybody can never be missed later.
func (r *routine) scan() {
	if !r.scanDue {
		return
	}
	r.scanDue, r.blind, r.seenAt = false, false, now()
	if err := r.prepareDirectories(); err != nil { // no room to watch them, say: what is there can be read all the same
		r.complain(string(r.run), "run directory: %v", err)
		r.retry()
	}
	for name, err := range raw.Names(r.run.InstancesDir()) {
		if err != nil {
			r.complain(r.run.InstancesDir(), "list instances: %v", err)
			r.missed()
			return
		}
		id, ok := strings.CutSuffix(name, ".json")
		if ok && subreaper.ValidID(id) && r.watches[id] == nil && !raw.Exists(r.run.Exit(id)) {
			r.adopt(id)
		}
	}
	for id, fd := range r.held { // inherited, and settled by now
		_ = unix.Close(fd)
		delete(r.held, id)
	}
}

// prepareDirectories makes what the run directory must hold, or must hold again after it was wiped, and has inotify
// tell when that changes. Adding a directory that is watched already changes nothing.
func (r *routine) prepareDirectories() error {
	if err := os.MkdirAll(string(r.run), 0o711); err != nil { // on the way to the API's socket, for its group
		return err
	}
	for _, dir := range []string{r.run.InstancesDir(), r.run.ExitsDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	const wiped = unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR
	_, err1 := unix.InotifyAddWatch(r.inotify, string(r.run), unix.IN_DELETE|unix.IN_MOVED_FROM|wiped)
	_, err2 := unix.InotifyAddWatch(r.inotify, r.run.InstancesDir(), unix.IN_CREATE|unix.IN_MOVED_TO|wiped)
	return errors.Join(err1, err2, r.keepLog(), r.keepListener())
}

// adopt watches the instance, or settles it if there is nothing left to watch. The latter is the guard's alone.
func (r *routine) adopt(id string) {
	in, err := subreaper.ReadInstance(r.run, id)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return // the controller has just forgotten it
	case errors.Is(err, subreaper.ErrDamaged):
		r.complain(id, "instance %s is left alone: %v", id, err)
		return
	case err != nil:
		r.complain(id, "read instance %s: %v", id, err)
		r.missed()
		return
	case in.Process.BootID != r.bootID:
		r.recordUnknown(id, in.Process, subreaper.ReasonHostRebooted)
		return
	}
	fd, inherited := r.held[id]
	delete(r.held, id)
	if !inherited {
		fd, err = in.Process.Open()
	}
	switch {
	case errors.Is(err, subreaper.ErrGone):
		r.recordUnknown(id, in.Process, subreaper.ReasonUnseen)
	case err != nil:
		r.complain(id, "watch instance %s: %v", id, err)
		r.missed()
	default:
		r.watch(id, in.Process, fd)
	}
}

// missed is for a scan that may have overlooked an instance: nobody unknown is reaped until one has not.
func (r *routine) missed() {
	r.blind = true
	r.retry()
}

// reapOthers reaps every dead child that is no instance's init, at once: a runtime killed in mid-create leaves some,
// and the zombie of an exec'd process holds back the death of its pid namespace, and so of its container.
func (r *routine) reapOthers() {
	if !r.childrenDue {
		return
	}
	r.childrenDue = false
	scanned := false
	for _, pid := range children() {
		if !deadChild(pid) || r.launchOf(pid) != nil {
			continue // the end of a launch's command is seen through its own pidfd
		}
		if pid == r.reaperPID {
			r.reaperDied()
			continue
		}
		w := r.watchOf(pid)
		if w == nil && !scanned {
			// A reaper killed just after a commit leaves an instance whose file nobody here has read yet.
			scanned, r.scanDue = true, true
			r.scan()
			w = r.watchOf(pid)
		}
		switch {
		case w == nil && r.blind: // it may be the init of an instance that could not be read; the retry looks again
		case w == nil:
			_, _, _ = reap(pid)
		case !w.held:
			w.due = true
		}
	}
}

// watchOf returns the watch of pid, if that is still the process which was watched: it may be one that took over the
// pid of an instance which a stranger reaped.
func (r *routine) watchOf(pid int) *watch {
	for _, w := range r.watches {
		if w.process.PID == pid {
			// A zombie is there to be read; where that fails it is for lack of descriptors, and must not be reaped.
			if s, err := subreaper.ReadStat(pid); err == nil && s.StartTime == w.process.StartTime || err != nil && !errors.Is(err, subreaper.ErrGone) {
				return w
			}
		}
	}
	return nil
}

// scratch is what the main thread reads files to, one at a time: it has room for any request and for 16 000 pids, and
// pages that are never filled cost nothing.
var scratch [subreaper.MaxPacket]byte

// children lists the children of all threads: an orphan falls to any of them.
func children() []int {
	var pids []int
	for thread := range raw.Names("/proc/self/task") {
		b, _ := raw.ReadFile("/proc/self/task/"+thread+"/children", scratch[:]) // a thread that has ended passed its children on
		for f := range bytes.FieldsSeq(b) {
			if pid, err := strconv.Atoi(string(f)); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// recordUnknown is for a process that nobody can be asked about any more.
func (r *routine) recordUnknown(id string, p subreaper.Process, reason string) {
	r.recordForeign(subreaper.Exit{
		Instance: id, Process: p, Source: subreaper.SourceUnknown, Reason: reason, FinishedAt: time.Now().UTC(),
	})
}

// recordForeign records the end of a process that is not this one's child; the guard alone does that. It reports
// whether the matter is closed.
//
// The controller may have done with the instance since somebody else recorded it, and have deleted both files: then
// this record is no one's. It deletes the instance file first, so one that still stands after the link proves that
// the record will be deleted with it.
func (r *routine) recordForeign(e subreaper.Exit) bool {
	if r.role != subreaper.RoleGuard {
		return false
	}
	if !raw.Exists(r.run.Instance(e.Instance)) {
		return true
	}
	err := r.commit(r.run.Exit(e.Instance), e)
	switch {
	case errors.Is(err, fs.ErrExist):
		return true
	case err != nil:
		r.complain(e.Instance, "record the exit of %s: %v", e.Instance, err)
		r.retry()
		return false
	}
	if !raw.Exists(r.run.Instance(e.Instance)) {
		_ = removed(r.run.Exit(e.Instance))
		return true
	}
	r.log("%s ended as pid %d: status %#x by %s %s", e.Instance, e.Process.PID, uint32(e.Status), e.Source, e.Reason)
	return true
}
