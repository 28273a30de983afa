package pair

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// commit writes v as the JSON file path, whole or not at all, and never over one that is there: that is fs.ErrExist.
// It is written aside and linked into place. No fsync: a kill -9 loses nothing of the page cache, and a power cut ends
// the containers too.
//
// The name aside is one per role, removed BEFORE it is written: a writer killed after its link left a name of a record
// that counts, and opening that with O_TRUNC would destroy it.
func (r *routine) commit(path string, v any) (err error) {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	aside := filepath.Join(filepath.Dir(path), "."+r.role)
	if err := os.Remove(aside); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := writeNew(aside, b); err != nil {
		return errors.Join(err, removed(aside)) // an empty file keeps its inode busy on a full disk
	}
	return errors.Join(os.Link(aside, path), removed(aside))
}

func writeNew(path string, b []byte) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &os.PathError{Op: "create", Path: path, Err: err}
	}
	n, err := unix.Write(fd, b)
	if err == nil && n < len(b) {
		err = syscall.ENOSPC
	}
	if err = errors.Join(err, unix.Close(fd)); err != nil {
		return &os.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}

func removed(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
