package subreaper

import (
	"errors"
	"fmt"
	"syscall"
)

var (
	// ErrGone says that the process has been reaped, or that its pid belongs to another one by now.
	ErrGone = errors.New("process is gone")

	// ErrLost says that a launch was begun and never committed. Its id is spent; what it left has run no user code.
	ErrLost = errors.New("launch was begun but never committed")

	// ErrBusy says that the pair holds live instances or launches and does not stop.
	ErrBusy = errors.New("instances are still held")

	// ErrProtocol says that pair and client are of versions that do not talk.
	ErrProtocol = errors.New("subreaper speaks another protocol")

	// ErrDamaged says that a record is there and cannot be understood: records are linked whole, so it was cut short by a
	// power failure or by somebody else.
	ErrDamaged = errors.New("damaged record")

	// ErrNoPair says that no pair is alive.
	ErrNoPair = errors.New("no subreaper pair is running")
)

// LaunchError is a launch whose command failed or never ran. The id is spent all the same.
type LaunchError struct {
	Status   syscall.WaitStatus `json:"status"` // of the command; 0 if it did not run or its end was no failure
	TimedOut bool               `json:"timedOut"`
	Message  string             `json:"message"`
}

func (e *LaunchError) Error() string { return "launch failed: " + e.Message }

// Describe puts a wait status into words.
func Describe(s syscall.WaitStatus) string {
	switch {
	case s.Signaled():
		return fmt.Sprintf("killed by signal %d", s.Signal())
	case s.Exited():
		return fmt.Sprintf("exit status %d", s.ExitStatus())
	}
	return fmt.Sprintf("wait status %#x", uint32(s))
}
