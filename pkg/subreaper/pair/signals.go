package pair

import (
	"errors"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

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
	signal.Notify(s.onHangup, unix.SIGHUP)
	signal.Notify(s.onTerm, unix.SIGTERM)
	// Caught and dropped, not ignored: SIG_IGN would be inherited by every runtime and container, a handler is not.
	signal.Notify(s.dropped, unix.SIGINT, unix.SIGQUIT, unix.SIGPIPE, unix.SIGALRM, unix.SIGUSR1, unix.SIGUSR2)
	go s.forward()
	return s, unblockSignals()
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

// blockSignals is called just before execve and fork of one of ours: until the new image has called catchSignals,
// SIGHUP and SIGTERM would kill it. The mask survives both.
func blockSignals() error {
	set := unix.Sigset_t{}
	for _, s := range []syscall.Signal{unix.SIGHUP, unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGPIPE, unix.SIGALRM, unix.SIGUSR1, unix.SIGUSR2} {
		bit := uint(s) - 1
		set.Val[bit/64] |= 1 << (bit % 64)
	}
	return maskError(unix.PthreadSigmask(unix.SIG_BLOCK, &set, nil))
}

// unblockSignals empties the calling thread's mask: runtimes are forked from it, and a container that inherits a
// blocked SIGTERM cannot be stopped.
func unblockSignals() error {
	return maskError(unix.PthreadSigmask(unix.SIG_SETMASK, &unix.Sigset_t{}, nil))
}

func maskError(err error) error {
	if err != nil {
		return errors.Join(errors.New("signal mask"), err)
	}
	return nil
}
