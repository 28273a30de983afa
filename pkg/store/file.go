package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"
)

// noFollow: a link in place of the store is refused, not followed.
const noFollow = syscall.O_NOFOLLOW

// openBolt gives f to bbolt, which closes it, on failure too. Handing over an open file instead of a path keeps
// creation, links and modes in our hands.
func openBolt(f *os.File, o *bbolt.Options) (*bbolt.DB, error) {
	o.OpenFile = func(string, int, os.FileMode) (*os.File, error) { return f, nil }
	b, err := bbolt.Open(f.Name(), 0, o)
	_, system := errors.AsType[syscall.Errno](err)
	switch {
	case err == nil:
		return b, nil
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, ErrLocked
	case errors.Is(err, bolterrors.ErrVersionMismatch):
		return nil, fmt.Errorf("%w (the format of the file itself): use that version, or move the file away", ErrNewerSchema)
	case system:
		return nil, err // says nothing about what the file holds
	}
	return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
}

// openReading is openBolt for reading only.
func openReading(f *os.File, wait time.Duration) (*bbolt.DB, error) {
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err == nil && info.Size() == 0 {
		err = damaged("it is empty") // bbolt would take it for a new file and write to it
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	o := Options{}.bolt(wait)
	o.ReadOnly = true
	return openBolt(f, o)
}

// inspect says whether the file at path is a whole store of a schema we know; it changes nothing. It must come before
// bbolt opens the file for writing: that walks all pages, and panics in a goroutine of its own on a damaged one.
func inspect(path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return err
	}
	b, err := openReading(f, lockWait)
	if err != nil {
		return err
	}
	defer b.Close()
	return b.View(func(tx *bbolt.Tx) error {
		if err := verify(f, tx); err != nil {
			return err
		}
		_, err := schemaOf(tx)
		return err
	})
}

// create begins a store at path. It is made aside and moved into place, so that a file at path is never half of one.
func create(path string, o Options, recovered string) error {
	aside := path + ".new"
	if err := os.Remove(aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(aside, os.O_RDWR|os.O_CREATE|os.O_EXCL|noFollow, 0o600)
	if err != nil {
		return err
	}
	b, err := openBolt(f, o.bolt(lockWait))
	if err != nil {
		return err
	}
	err = b.Update(func(tx *bbolt.Tx) error {
		if err := plant(tx); err != nil || recovered == "" {
			return err
		}
		e := Event{Time: time.Now().UTC(), Type: Warning, Reason: "StoreRecovered", Object: "node", Message: recovered}
		return putEvents(boltTx{tx}, []Event{e})
	})
	if err := errors.Join(err, b.Close()); err != nil {
		return err
	}
	return move(aside, path)
}

// moveAside keeps a damaged store for whoever wants to look into it.
func moveAside(path string) (aside string, err error) {
	aside = path + ".corrupt-" + time.Now().UTC().Format("20060102T150405.000000000Z")
	return aside, move(path, aside)
}

// move renames, durably, and never over a file that is there.
func move(from, to string) error {
	if err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	dir, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
