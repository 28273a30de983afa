package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
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
		b.AllocSize = 1 << 20 // what a file grows by; bbolt's own 16 MiB is more than most ever need
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

// replace moves a file into the place of another, durably.
func replace(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDir(to)
}

// syncDir makes durable what files there are beside path.
func syncDir(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
