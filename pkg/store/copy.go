package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"go.etcd.io/bbolt"
)

// copyLockWait is how long a reader waits: only a running daemon holds the lock for longer than an instant.
const copyLockWait = 200 * time.Millisecond

// OpenCopy opens a private copy of the store at path, for readers while no daemon runs. The store's lock is held no
// longer than copying takes. The copy has no name any more when this returns, so a killed reader leaves nothing behind.
// ErrLocked: somebody has the store open, ask the daemon. fs.ErrNotExist: there is none. Commit and its like return
// ErrReadOnly.
func OpenCopy(path string) (*DB, error) {
	db, err := openCopy(path)
	if err != nil {
		return nil, fmt.Errorf("read store %s: %w", path, err)
	}
	return db, nil
}

func openCopy(path string) (*DB, error) {
	boot, err := Options{}.boot()
	if err != nil {
		return nil, err
	}
	name, err := copyFile(path)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_RDWR|noFollow, 0)
	if err != nil {
		return nil, errors.Join(err, os.Remove(name))
	}
	if err := errors.Join(inspect(name), os.Remove(name)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	b, err := openBolt(f, Options{NoSync: true}.bolt(copyLockWait))
	if err != nil {
		return nil, err
	}
	if err := b.Update(migrate); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return newDB(boltTree{b}, boot), nil
}

// copyFile copies the store at path to a file of its own, mode 0600, and returns its name.
func copyFile(path string) (string, error) {
	from, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return "", err
	}
	b, err := openReading(from, copyLockWait)
	if err != nil {
		return "", err
	}
	defer b.Close()
	to, err := os.CreateTemp("", "reconciler-*.db")
	if err != nil {
		return "", err
	}
	err = b.View(func(tx *bbolt.Tx) error {
		_, err := tx.WriteTo(to)
		if errors.Is(err, io.EOF) {
			return damaged("it ends before its last page")
		}
		return err
	})
	if err := errors.Join(err, to.Close()); err != nil {
		return "", errors.Join(err, os.Remove(to.Name()))
	}
	return to.Name(), nil
}
