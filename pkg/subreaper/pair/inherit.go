package pair

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/subreaper"
	"reconciler.dev/reconciler/pkg/subreaper/internal/raw"
)

// inherit takes over commands that a dead reaper, or this process in another role, left running. Nearly all of them
// complete, and killing one leaves more to clean up than letting it end: only its time limit is kept. Nothing is
// committed for it, since the new reaper already answers that the id is lost.
func (r *routine) inherit() {
	if !r.heirDue {
		return
	}
	r.heirDue = false
	orphans := r.orphanedLaunches()
	if len(orphans) == 0 {
		return
	}
	for _, pid := range children() {
		s, err := subreaper.ReadStat(pid)
		switch {
		case err != nil || s.State == 'Z' || r.launchOf(pid) != nil:
			continue
		case s.Forked: // its command line is still the dead reaper's: it is about to call execve
			r.lookIn(time.Millisecond)
			continue
		}
		if group, err := unix.Getpgid(pid); err != nil || group != pid {
			continue // a helper of a command, not the command itself
		}
		if l := orphanOf(pid, orphans); l != nil {
			l.command = pid
			if err := r.pollLaunch(l); err == nil {
				r.launches[l.id] = l
			}
		}
	}
}

// orphanedLaunches returns the launches that were begun in this boot and neither committed nor are known here, by the
// arguments of their command, which name the instance and so are its own.
func (r *routine) orphanedLaunches() map[string]*launch {
	orphans := map[string]*launch{}
	for name := range raw.Names(r.run.InstancesDir()) {
		id, ok := strings.CutSuffix(name, ".launching")
		if !ok || r.launches[id] != nil || raw.Exists(r.run.Instance(id)) {
			continue
		}
		var s spent
		b, err := raw.ReadFile(r.run.Launching(id), scratch[:])
		if err != nil || json.Unmarshal(b, &s) != nil || s.BootID != r.bootID || len(s.Args) == 0 {
			continue
		}
		args := s.Args[min(1, len(s.Args)-1):]
		orphans["\x00"+strings.Join(args, "\x00")+"\x00"] = &launch{id: id, deadline: s.Deadline, fd: -1}
	}
	return orphans
}

// orphanOf finds the launch of a process by the end of its command line. The beginning is not the command's own: a
// script's interpreter stands there, and a wrapper has perhaps made way for the runtime that it wraps.
func orphanOf(pid int, orphans map[string]*launch) *launch {
	b, _ := raw.ReadFile("/proc/"+strconv.Itoa(pid)+"/cmdline", scratch[:])
	line := "\x00" + string(b)
	for args, l := range orphans {
		if strings.HasSuffix(line, args) {
			return l
		}
	}
	return nil
}
