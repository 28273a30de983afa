package relay

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/subreaper"
)

// LockPath names the file in the state directory whose flock(2) says whether a relay lives. The holder's identity is
// in it.
func LockPath(state string) string { return filepath.Join(state, "relay.lock") }

// takeLock returns the lock, held until this process ends: a relay never forks. Whoever holds it is killed, for two of
// them would take from the same FIFOs; one that was stopped is killed as well.
func takeLock(state string) (fd int, err error) {
	if err := os.MkdirAll(state, 0o700); err != nil {
		return -1, err
	}
	fd, err = open(unix.AT_FDCWD, LockPath(state), unix.O_RDWR|unix.O_CREAT, unix.S_IFREG)
	if err != nil {
		return -1, err
	}
	for {
		err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			err = sign(fd)
		} else if errors.Is(err, unix.EWOULDBLOCK) {
			if err = killHolder(fd); err == nil {
				continue
			}
		}
		if err != nil {
			_ = unix.Close(fd)
			return -1, fmt.Errorf("take the lock %s: %w", LockPath(state), err)
		}
		return fd, nil
	}
}

// sign tells the next one whom to kill.
func sign(fd int) error {
	boot, err := subreaper.BootID()
	if err != nil {
		return err
	}
	stat, err := subreaper.ReadStat(os.Getpid())
	if err != nil {
		return err
	}
	b, err := json.Marshal(subreaper.Process{PID: os.Getpid(), StartTime: stat.StartTime, BootID: boot})
	if err != nil {
		return err
	}
	if err := unix.Ftruncate(fd, 0); err != nil {
		return err
	}
	return writeAt(fd, b, 0)
}

// killHolder kills the process that signed the lock and returns when it is dead, and so the lock free. Between the
// lock's taking and its signing a holder cannot be told: then it waits a moment.
func killHolder(fd int) error {
	const moment = time.Millisecond
	var b [256]byte
	n, err := unix.Pread(fd, b[:], 0)
	if err != nil {
		return err
	}
	var p subreaper.Process
	if json.Unmarshal(b[:max(n, 0)], &p) != nil || p.PID <= 1 || p.PID == os.Getpid() {
		time.Sleep(moment)
		return nil
	}
	pidfd, err := p.Open()
	if errors.Is(err, subreaper.ErrGone) { // the signature is of the one before
		time.Sleep(moment)
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(pidfd) }()
	if err := unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill the relay %d: %w", p.PID, err)
	}
	_, err = unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, -1)
	if errors.Is(err, unix.EINTR) {
		err = nil
	}
	return err
}
