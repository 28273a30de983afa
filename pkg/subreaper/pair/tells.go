package pair

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/subreaper"
)

// tellsEnv hands the answer on to the next image and to the other role. It is no argument: an older image that takes the
// place of this one would refuse a flag that it does not know.
const tellsEnv = "RECONCILER_TELLS_EXITS"

// learn finds out, once in the life of a pair, whether this kernel tells how a process ended that somebody else has
// reaped. Nothing is decided by it, since each exit is asked for when it matters: people are told what to expect of the
// second loss of a parent.
func (r *routine) learn() {
	var err error
	if r.tells, err = strconv.ParseBool(os.Getenv(tellsEnv)); err == nil {
		return
	}
	r.tells, err = r.tellsExits()
	switch {
	case err != nil:
		r.log("it is not known whether this kernel tells the exits of reaped processes: %v", err)
		return // the next image asks again
	case r.tells:
		r.log("this kernel tells the exits of reaped processes")
	default:
		r.log("this kernel does not tell the exits of reaped processes: after a second loss in its run an exit may stay unknown")
	}
	_ = os.Setenv(tellsEnv, strconv.FormatBool(r.tells)) // fails for odd names and values only
}

// tellsExits asks about a child of its own that has been reaped. The version of the kernel would not do: features are
// ported back, and a filter of system calls may hide them.
func (r *routine) tellsExits() (bool, error) {
	const refused = 2 // the exit status of this program for arguments that make no sense
	pid, err := syscall.ForkExec("/proc/self/exe", []string{r.program, "no-role"}, &syscall.ProcAttr{
		Dir: "/", Files: []uintptr{uintptr(r.null), uintptr(r.null), uintptr(r.null)},
	})
	if err != nil {
		return false, fmt.Errorf("start a child: %w", err)
	}
	fd, openErr := unix.PidfdOpen(pid, 0)
	if openErr == nil {
		defer func() { _ = unix.Close(fd) }()
	}
	var status syscall.WaitStatus
	for {
		if _, err = syscall.Wait4(pid, &status, 0, nil); !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err := errors.Join(openErr, err); err != nil {
		return false, fmt.Errorf("child %d: %w", pid, err)
	}
	seen, err := subreaper.Witness(fd, subreaper.Process{PID: pid})
	return seen.Source == subreaper.SourcePidfd && seen.Status == status && status.ExitStatus() == refused, err
}
