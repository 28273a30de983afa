package runc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// handle is a pidfd. Its number is no business of anyone else's, so the process it stands for cannot change.
type handle struct{ *os.File }

// open verifies the process after the pidfd pins it: before, its pid may be another's already. One that is gone was
// reaped by somebody else, so the error is ErrNotChild.
func open(p Process) (handle, error) {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return handle{}, ErrNotChild
	}
	if err != nil {
		return handle{}, fmt.Errorf("pidfd of %d: %w", p.PID, err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // else os.NewFile would not hand it to the poller
		unix.Close(fd)
		return handle{}, fmt.Errorf("pidfd of %d: %w", p.PID, err)
	}
	h := handle{os.NewFile(uintptr(fd), fmt.Sprintf("pidfd of %d", p.PID))}
	now, err := identify(p.PID)
	switch {
	case vanished(err), err == nil && now != p:
		err = ErrNotChild
	case err == nil:
		return h, nil
	}
	h.Close()
	return handle{}, err
}

// end waits for the end of a process and reaps it.
func end(ctx context.Context, p Process) (ExitStatus, error) {
	h, err := open(p)
	if err != nil {
		return ExitStatus{}, err
	}
	defer h.Close()
	if err := h.death(ctx); err != nil {
		return ExitStatus{}, err
	}
	return h.reap()
}

// death waits until the process is a zombie or gone.
func (h handle) death(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { h.SetReadDeadline(time.Unix(1, 0)) })()
	conn, err := h.SyscallConn()
	if err != nil {
		return err
	}
	var polled error
	err = conn.Read(func(fd uintptr) (done bool) {
		var events int16
		events, polled = poll(fd)
		return events != 0 || polled != nil
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrStillRunning, ctx.Err())
	}
	return errors.Join(err, polled)
}

// poll returns POLLIN for a zombie, with POLLHUP once it was reaped, and 0 for a living process.
func poll(fd uintptr) (int16, error) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds, 0)
		if !errors.Is(err, unix.EINTR) {
			return fds[0].Revents, err
		}
	}
}

// reap takes the exit status of a zombie. One whose parent is about to die is not our child yet: crun's intermediate
// process may take 4 ms to go.
func (h handle) reap() (status ExitStatus, err error) {
	const adoption = time.Second
	for deadline := time.Now().Add(adoption); ; time.Sleep(time.Millisecond) {
		var reaped bool
		controlErr := h.control(func(fd uintptr) { status, reaped, err = waitid(fd) })
		if err := errors.Join(controlErr, err); err != nil || reaped {
			return status, err
		}
		if time.Now().After(deadline) {
			return ExitStatus{}, ErrNotChild
		}
	}
}

func (h handle) control(f func(fd uintptr)) error {
	conn, err := h.SyscallConn()
	if err != nil {
		return err
	}
	return conn.Control(f)
}

// waitid reaps a zombie that is a child of ours: false if it is not, or not yet. Once somebody else has reaped it, the
// error is ErrNotChild.
func waitid(fd uintptr) (ExitStatus, bool, error) {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PIDFD, int(fd), &info, unix.WEXITED|unix.WNOHANG, nil)
	switch {
	case err == nil && info.Signo != 0:
		return decodeSiginfo(&info), true, nil
	case err == nil, errors.Is(err, unix.EINTR): // 0: a child of ours, and alive
		return ExitStatus{}, false, nil
	case !errors.Is(err, unix.ECHILD):
		return ExitStatus{}, false, fmt.Errorf("waitid: %w", err)
	}
	events, err := poll(fd)
	if err == nil && events&unix.POLLHUP != 0 {
		err = ErrNotChild
	}
	return ExitStatus{}, false, err
}

// decodeSiginfo reads si_status, which x/sys keeps in its padding: the code or the signal, by si_code.
func decodeSiginfo(info *unix.Siginfo) ExitStatus {
	const offset = 24 // of si_status in a 64-bit siginfo_t
	b := (*[unsafe.Sizeof(*info)]byte)(unsafe.Pointer(info))
	status := int(binary.NativeEndian.Uint32(b[offset:]))
	const exited, dumped = 1, 3 // CLD_EXITED and CLD_DUMPED, sigaction(2)
	if info.Code == exited {
		return ExitStatus{Code: status}
	}
	return ExitStatus{Signal: syscall.Signal(status), CoreDumped: info.Code == dumped}
}

// openInit opens the init that a create left in its pid file.
func openInit(cmd *Command) (handle, error) {
	p, err := cmd.readPID()
	if err != nil {
		return handle{}, err
	}
	return open(p)
}

// kill sends SIGKILL. One that is gone is no error.
func (h handle) kill() error {
	var err error
	controlErr := h.control(func(fd uintptr) { err = unix.PidfdSendSignal(int(fd), unix.SIGKILL, nil, 0) })
	if errors.Is(err, unix.ESRCH) {
		err = nil
	}
	return errors.Join(controlErr, err)
}

// discard waits for a process that was killed, reaps it if it is a child, and closes the handle.
func (h handle) discard(ctx context.Context) error {
	defer h.Close()
	if err := h.death(ctx); err != nil {
		return err
	}
	if _, err := h.reap(); err != nil && !errors.Is(err, ErrNotChild) {
		return err
	}
	return nil
}
