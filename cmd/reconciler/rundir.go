package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// runMode is that of the run directory: on the way to the API's socket, for its group.
const runMode = 0o711

// keepRunDir sees to it that the run directory is there and ours for as long as we run: /run is anyone's broom. A wipe is
// told by events; what no event tells, such as a mount, is seen at a resync.
func (d *daemon) keepRunDir(ctx context.Context) error {
	const pause = time.Second
	resync := time.NewTicker(d.options.Resync)
	defer resync.Stop()
	retry := time.NewTimer(pause)
	retry.Stop()
	defer retry.Stop()
	for {
		wiped := true
		select {
		case <-ctx.Done():
			return nil
		case <-resync.C:
			wiped = false
		case <-d.wiped:
		case <-retry.C:
		}
		again, err := d.remakeRunDir(ctx)
		if again {
			d.log.Info("the run directory was wiped and is made again", "run", d.paths.Run)
		}
		if wiped || again {
			d.loop.WakeAll() // whatever happened while nobody watched
		}
		switch _, held := errors.AsType[heldError](err); {
		case held:
			return err
		case err != nil && ctx.Err() == nil:
			d.log.Error(err, "the run directory cannot be made again")
			retry.Reset(pause)
		}
	}
}

// remakeRunDir makes what is missing of the run directory, and says whether what shows it to be ours was. The lock comes
// first: a directory that another controller has made its own is not touched.
func (d *daemon) remakeRunDir(ctx context.Context) (again bool, err error) {
	if err := makePlace(d.paths.Run, runMode); err != nil {
		return false, err
	}
	locked, err := d.runLock.keep(ctx)
	if err != nil {
		return false, err
	}
	bound, err := d.listener.Keep()
	return locked || bound, errors.Join(err, d.observer.Rewatch())
}

// dirLock is the lock that one controller holds on a directory.
type dirLock struct {
	dir  string
	file *os.File
}

// keep takes the lock again, and says so, if the file that is locked is not that of the directory any more: a lock on a
// directory that was moved away keeps nobody out of the one in its place. If somebody else is in there by now, the error
// is a heldError.
func (l *dirLock) keep(ctx context.Context) (again bool, err error) {
	for {
		if there, err := l.there(); there || err != nil {
			return again, err
		}
		file, err := lockController(ctx, l.dir)
		if err != nil {
			return again, err
		}
		_ = l.file.Close()
		l.file, again = file, true
	}
}

func (l *dirLock) there() (bool, error) {
	held, err := l.file.Stat()
	if err != nil {
		return false, err
	}
	info, err := os.Lstat(lockPath(l.dir))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(held, info), err
}

func lockPath(dir string) string { return filepath.Join(dir, "controller.lock") }

// heldError says which controller has a directory.
type heldError struct {
	path string
	pid  int
}

func (e heldError) Error() string {
	return fmt.Sprintf("%s is held by another controller, pid %d: stop that one, or use another --root", e.path, e.pid)
}
