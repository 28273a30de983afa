package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"go.etcd.io/bbolt"
)

// snapshotOf is where the snapshot of a store lies.
func snapshotOf(path string) string { return path + ".snapshot" }

// Snapshot writes what is committed into a file beside the store, for the day on which the store is damaged or gone. It is
// made aside and moved into place, so there always is a whole one. A file that turns out to be damaged, or has a record that
// cannot be read, takes no good one's place: ErrCorrupt, or a *RecordError. Nothing is written if nothing was committed since
// the last call. The writer does not wait for it. ctx cuts it short.
func (db *DB) Snapshot(ctx context.Context) error {
	if db.requests == nil {
		return ErrReadOnly
	}
	file := db.tree.(boltTree).db
	db.snapshots.Lock()
	defer db.snapshots.Unlock()
	err := file.View(func(tx *bbolt.Tx) error {
		if tx.ID() == db.snapshotted {
			return nil
		}
		if err := writeSnapshot(ctx, tx, snapshotOf(file.Path())); err != nil {
			return err
		}
		db.snapshotted = tx.ID()
		return nil
	})
	if err != nil {
		return fmt.Errorf("snapshot of the store: %w", boltClosed(err))
	}
	return nil
}

// legible returns an error for a record that cannot be read, unless it is history.
func legible(tx *bbolt.Tx) error {
	for _, outer := range [][]byte{bucketMeta, bucketSources, bucketDesired, bucketConfigs, bucketOverrides, bucketStatus} {
		for k, v := range (boltBucket{tx.Bucket(outer), outer, nil}).from(nil) {
			if bytes.Equal(k, keySchema) || bytes.Equal(k, keyNames) {
				continue
			}
			if _, err := v.unsealed(); err != nil {
				return &RecordError{Bucket: v.at.bucket, Name: v.at.key, Err: err}
			}
		}
	}
	return nil
}

func writeSnapshot(ctx context.Context, tx *bbolt.Tx, path string) error {
	aside := path + ".new"
	f, err := createAside(aside)
	if err != nil {
		return err
	}
	_, err = tx.WriteTo(untilDone{ctx, f})
	switch {
	case ctx.Err() != nil:
		err = ctx.Err() // bbolt does not wrap it
	case errors.Is(err, io.EOF):
		err = damaged("it ends before its last page")
	}
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = inspect(aside)
	}
	if err == nil {
		err = legible(tx) // which follows pages, so they come first
	}
	if err != nil {
		return errors.Join(err, os.Remove(aside))
	}
	return replace(aside, path)
}

// untilDone is a writer that fails once a context has ended.
type untilDone struct {
	ctx context.Context
	w   io.Writer
}

func (u untilDone) Write(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.w.Write(b)
}

// createAside makes an empty file, mode 0600, in place of what a killed writer may have left.
func createAside(path string) (*os.File, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|noFollow, 0o600)
}
