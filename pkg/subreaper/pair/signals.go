package pair

import (
	"os"
	"os/signal"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// signals turns signals into a readable descriptor for epoll.
type signals struct {
	fd                                 int // eventfd, non-blocking
	child, hangup, terminate           atomic.Bool
	onChild, onHangup, onTerm, dropped chan os.Signal
}

// catchSignals must run before the first look at children: a death between the two would go unseen. Each kind has a
// channel of its own, so that a burst of SIGCHLD cannot push out a SIGTERM.
func catchSignals() (*signals, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, err
	}
	s := &signals{
		fd:      fd,
		onChild: make(chan os.Signal, 1), onHangup: make(chan os.Signal, 1), onTerm: make(chan os.Signal, 1),
		dropped: make(chan os.Signal, 1),
	}
	signal.Notify(s.onChild, unix.SIGCHLD)
	s.catchHangup()
	signal.Notify(s.onTerm, unix.SIGTERM)
	// Caught and dropped, not ignored: SIG_IGN would be inherited by every runtime and container, a handler is not.
	signal.Notify(s.dropped, unix.SIGINT, unix.SIGQUIT, unix.SIGPIPE, unix.SIGALRM, unix.SIGUSR1, unix.SIGUSR2)
	go s.forward()
	return s, nil
}

func (s *signals) forward() {
	for {
		select {
		case <-s.onChild:
			s.child.Store(true)
		case <-s.onHangup:
			s.hangup.Store(true)
		case <-s.onTerm:
			s.terminate.Store(true)
		case <-s.dropped:
			continue
		}
		_, _ = unix.Write(s.fd, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // cannot fail before 2^64 unread ones
	}
}

// drain makes the descriptor unreadable; it comes BEFORE the flags are read.
func (s *signals) drain() {
	var count [8]byte
	_, _ = unix.Read(s.fd, count[:])
}

// ignoreHangup is called just before execve: until the new image catches it, a SIGHUP would kill that image, and
// upgrades are asked for by whoever likes. An ignored signal stays so over execve, and the one that is lost asked for
// what is being done. SIGTERM cannot be kept off in that way, nor be blocked: the Go runtime does as it likes with it
// until Notify. In that millisecond it is a kill like any other, and the other process heals it.
func (s *signals) ignoreHangup() { signal.Ignore(unix.SIGHUP) }

// catchHangup undoes ignoreHangup, and must come before any fork: containers would inherit it.
func (s *signals) catchHangup() { signal.Notify(s.onHangup, unix.SIGHUP) }
