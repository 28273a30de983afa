package runc

import (
	"fmt"
	"syscall"
)

// ExitStatus is how a process ended: by its own exit with Code, or by Signal, in which case Code is 0.
type ExitStatus struct {
	Code       int
	Signal     syscall.Signal // 0 if it exited by itself
	CoreDumped bool
}

func exitStatus(w syscall.WaitStatus) ExitStatus {
	if w.Signaled() {
		return ExitStatus{Signal: w.Signal(), CoreDumped: w.CoreDump()}
	}
	return ExitStatus{Code: w.ExitStatus()}
}

// Shell returns the status as a shell's $?: the code, or 128 plus the signal. It cannot tell the two apart.
func (s ExitStatus) Shell() int {
	if s.Signal != 0 {
		return 128 + int(s.Signal)
	}
	return s.Code
}

func (s ExitStatus) String() string {
	switch {
	case s.CoreDumped:
		return fmt.Sprintf("signal %d, core dumped", int(s.Signal))
	case s.Signal != 0:
		return fmt.Sprintf("signal %d", int(s.Signal))
	}
	return fmt.Sprintf("exit status %d", s.Code)
}
