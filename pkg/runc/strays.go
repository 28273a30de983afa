package runc

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A failed exec of crun 1.8.1 leaves a child to the subreaper: it was in the container already, told crun what is wrong,
// and ends a moment after it. Nobody knows its pid, and unreaped it would hold back the death of the container.

// births is held for reading while a child may be born that is not in known yet. Children are the whole process's, so
// both are, too.
var births sync.RWMutex

// known are the children that somebody will reap: those that Create and Exec have returned, until they are reaped.
var known sync.Map // of Process

// bootTicks is the time since boot as in Process.StartTime.
func bootTicks() uint64 {
	var now unix.Timespec
	unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) // cannot fail
	const perSecond = 100                        // USER_HZ
	return uint64(now.Nano()) / (uint64(time.Second) / perSecond)
}

// reapStray waits for a child that was born since, into a pid namespace below ours, and that nobody knows, and reaps it.
// There may be none: it gives up after some seconds, or after a
// minute in which others always held births.
func reapStray(since uint64) {
	wait := time.Millisecond
	for looks, tries := 0, 0; looks < 13 && tries < 60; time.Sleep(wait) {
		wait = min(2*wait, time.Second)
		tries++
		if !births.TryLock() { // to wait for the lock would hold up all who come after
			continue
		}
		looks++
		found := reapStrays(since)
		births.Unlock()
		if found {
			return
		}
	}
}

// reapStrays needs births.
func reapStrays(since uint64) (found bool) {
	self, err := identify(os.Getpid())
	if err != nil {
		return false
	}
	ended, _ := zombies(self)
	for _, p := range ended {
		if _, ok := known.Load(p.Process); ok || p.StartTime < since || !joinedNamespace(p.PID) {
			continue
		}
		if h, err := open(p.Process); err == nil {
			_, err = h.reap()
			found = found || err == nil
			h.Close()
		}
	}
	return found
}

// joinedNamespace reports whether a process is in a pid namespace below this one, and not its first.
func joinedNamespace(pid int) bool {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, after, _ := strings.Cut(string(b), "\nNSpid:")
	line, _, _ := strings.Cut(after, "\n")
	pids := strings.Fields(line) // from here down
	return len(pids) > 1 && pids[len(pids)-1] != "1"
}
