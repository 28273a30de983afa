package runc

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// TtyRelay joins connections to a process's terminal. It holds the master: when it is closed the terminal hangs up.
type TtyRelay struct{ relay }

func newTtyRelay(c Connections, master *os.File) *TtyRelay {
	return &TtyRelay{newRelay(c, master, master)}
}

// Resize tells the terminal's size in characters; the process in its foreground gets SIGWINCH if that is a change. Once
// the terminal is closed there is nothing to tell: that is no error, as it may close at any time.
func (t *TtyRelay) Resize(columns, rows uint16) error {
	conn, err := t.in.SyscallConn()
	if err != nil {
		return err
	}
	closed := conn.Control(func(fd uintptr) {
		err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows})
	})
	if closed == nil && err != nil {
		return fmt.Errorf("resize the terminal: %w", err)
	}
	return nil
}

// openMaster takes a descriptor that must be a terminal's master: only that knows its other side's number.
func openMaster(fd int) (*os.File, error) {
	if _, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("not the master of a terminal: %w", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // else os.NewFile would not hand it to the poller
		unix.Close(fd)
		return nil, fmt.Errorf("master of a terminal: %w", err)
	}
	f := os.NewFile(uintptr(fd), "terminal")
	if err := f.SetReadDeadline(time.Time{}); err != nil {
		f.Close()
		return nil, fmt.Errorf("master of a terminal: %w", err)
	}
	return f, nil
}
