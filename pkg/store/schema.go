package store

import (
	"bytes"
	"fmt"
	"strconv"

	"go.etcd.io/bbolt"
)

// steps[i] brings a store of schema i+1 to schema i+2. Each step is a file of its own, migrate_<to>.go, with a database
// of the old schema in testdata.
var steps = []func(*bbolt.Tx) error{toSchema2, toSchema3}

// buckets of the current schema, the outermost ones.
var buckets = [][]byte{
	bucketMeta, bucketSources, bucketDesired, bucketConfigs, bucketOverrides, bucketStatus, bucketAttempts, bucketExits, bucketEvents,
}

var (
	keySchema   = []byte("schema")
	keyNames    = []byte("names")
	keyDown     = []byte("down")
	keyRestored = []byte("restored")
)

// sealedSchema is the first one with seals and meta/names.
const sealedSchema = 3

// current is the schema that this program writes.
func current() int { return len(steps) + 1 }

// plant makes the empty tree of the current schema.
func plant(tx *bbolt.Tx) error {
	for _, name := range buckets {
		if _, err := tx.CreateBucket(name); err != nil {
			return fmt.Errorf("create bucket %s: %w", name, err)
		}
	}
	return putSchema(tx, current())
}

func putSchema(tx *bbolt.Tx, n int) error {
	meta := tx.Bucket(bucketMeta)
	if err := meta.Put(keySchema, schemaText(n)); err != nil {
		return err
	}
	return meta.Put(keyNames, namesOf(tx, n))
}

func schemaText(n int) []byte { return strconv.AppendInt(nil, int64(n), 10) }

// schemaOf tells the schema of a store, ErrNewerSchema if it is not one of ours yet, and ErrCorrupt if the file is a
// bbolt database but no store: one is put in place only with its schema in it.
func schemaOf(tx *bbolt.Tx) (int, error) {
	meta := tx.Bucket(bucketMeta)
	if meta == nil {
		return 0, damaged("it is a bbolt database, but not of this program")
	}
	n, err := strconv.Atoi(string(meta.Get(keySchema)))
	if err != nil || n < 1 {
		return 0, damaged("its schema is %q", meta.Get(keySchema))
	}
	names := meta.Get(keyNames)
	if n != current() && bytes.Equal(names, namesOf(tx, current())) || n < sealedSchema && names != nil {
		return 0, damaged("its schema reads %d, and is another one by its checksum", n)
	}
	if n > current() {
		return n, fmt.Errorf("%w: it has schema %d, this version knows up to %d; "+
			"use the newer version, or move the file and its snapshot away to begin without its history", ErrNewerSchema, n, current())
	}
	if n == current() {
		return n, check(tx)
	}
	return n, nil
}

// migrate brings a store to the current schema, all steps in the one transaction: it is old or new, nothing between.
func migrate(tx *bbolt.Tx) error {
	from, err := schemaOf(tx)
	if err != nil || from == current() {
		return err
	}
	for i, step := range steps[from-1:] {
		if err := step(tx); err != nil {
			return fmt.Errorf("migrate from schema %d to %d: %w", from+i, from+i+1, err)
		}
	}
	return putSchema(tx, current())
}
