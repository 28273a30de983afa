package subreaper

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Life is how far a process has come.
type Life string

const (
	Alive  Life = "Alive"
	Zombie Life = "Zombie" // dead, its parent has not reaped it
	Reaped Life = "Reaped" // nothing is left of it but what a pidfd still tells
)

// Sighting is what the kernel tells of a process to whoever holds its pidfd, child or not.
type Sighting struct {
	Life   Life
	Parent int                // of a zombie
	Status syscall.WaitStatus // means nothing if Source is empty
	Source Source             // SourceProcstat, SourcePidfd, or empty: the status is not known
}

// Witness asks the kernel about p through its pidfd. It never blocks.
func Witness(pidfd int, p Process) (Sighting, error) {
	events, err := Poll(pidfd)
	if err != nil {
		return Sighting{}, fmt.Errorf("poll pidfd of %d: %w", p.PID, err)
	}
	if events == 0 {
		return Sighting{Life: Alive}, nil
	}
	if events&unix.POLLHUP == 0 {
		s, err := ReadStat(p.PID)
		switch {
		case err == nil && s.State == 'Z' && s.StartTime == p.StartTime:
			return zombie(s), nil
		case err == nil && s.StartTime == p.StartTime:
			// Its first thread has ended and others live on, or it is about to be a zombie: the pidfd fires again.
			return Sighting{Life: Alive}, nil
		case err != nil && !errors.Is(err, ErrGone):
			return Sighting{}, err
		}
		// Reaped since the poll; before Linux 6.9 a pidfd never reports POLLHUP.
	}
	return reaped(pidfd), nil
}

func zombie(s Stat) Sighting {
	return Sighting{Life: Zombie, Parent: s.Parent, Status: s.Status, Source: SourceProcstat}
}

// reaped asks for the status that the kernel keeps in the pidfd from Linux 6.15 on.
func reaped(pidfd int) Sighting {
	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
	// The returned mask is the answer: without the bit the call succeeds as well, and Exit_code is 0.
	if err := unix.IoctlPidfdInfo(pidfd, &info); err != nil || info.Mask&unix.PIDFD_INFO_EXIT == 0 {
		return Sighting{Life: Reaped}
	}
	return Sighting{Life: Reaped, Status: syscall.WaitStatus(uint32(info.Exit_code)), Source: SourcePidfd}
}

// Poll returns the poll(2) events of a pidfd: 0 while the process lives, POLLIN once it is dead, and POLLHUP with it
// once it has been reaped. It never blocks.
func Poll(pidfd int) (int16, error) {
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return fds[0].Revents, err
	}
}
