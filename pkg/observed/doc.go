// Package observed answers what is true now of the instances it is asked about. It changes nothing, and a read that
// failed is never reported as absence.
//
//	instance file, exit file ----+
//	/proc/<pid>/stat, pidfd -----+--> Judge -> Instance: no process, alive, dead (and how), or unknown
//	OOM count of the cgroup -----+
//	runtime's list, run dir -----+--> Index -> Seen: of which instances there is anything at all
//	inotify, epoll on pidfds -------> Watch -> "look at web": events only say when to look
//
// An Observer also holds a pidfd of every init it saw alive. That makes the controller a witness: should guard and
// reaper die together, the status of a container that ends before they are back is still read from the zombie, or, from
// Linux 6.15 on, from the pidfd after the zombie was reaped by a stranger.
package observed
