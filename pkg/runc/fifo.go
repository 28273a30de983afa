package runc

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Both runc and crun have init hold, from create until it runs the user's program, the fifo at which it waits for Start.
// Start removes it. One that was killed before it did leaves it: the container runs, the runtime calls it created, and
// the next start would wait at the fifo for somebody who never comes.

func (c *Container) fifo() string { return filepath.Join(c.r.root, c.id, "exec.fifo") }

// Waits reports whether the container's init, which is process pid, still waits for Start: it has run nothing of the
// user's.
func (c *Container) Waits(pid int) (bool, error) {
	var fifo unix.Stat_t
	err := unix.Lstat(c.fifo(), &fifo)
	if vanished(err) {
		return false, nil
	}
	if err != nil {
		return false, &fs.PathError{Op: "lstat", Path: c.fifo(), Err: err}
	}
	fds := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, err := os.ReadDir(fds)
	if vanished(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		var held unix.Stat_t
		if unix.Stat(filepath.Join(fds, e.Name()), &held) == nil && held.Dev == fifo.Dev && held.Ino == fifo.Ino {
			return true, nil
		}
	}
	return false, nil
}

// FinishStart does what a start that was killed left to do, if there was one: init, which is process pid, no longer waits.
// Start then tells that the container is running.
func (c *Container) FinishStart(pid int) error {
	waits, err := c.Waits(pid)
	if waits || err != nil {
		return err
	}
	return removeFile(c.fifo())
}
