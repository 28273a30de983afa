package store

import (
	"errors"
	"fmt"
	"iter"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// tree is what the rules of this package are written on: buckets of sorted keys, and transactions. There are two, bbolt's
// and one in memory, and the rules cannot tell them apart. After close, both calls return ErrClosed.
type tree interface {
	view(func(tx) error) error
	update(func(tx) error) error // nothing of it is kept if f fails
	close() error
}

// tx is one transaction, and as of one moment. What it returns is good until it ends, and not to be changed.
type tx interface {
	bucket(outer []byte) bucket // one of buckets, which are there
}

type bucket interface {
	Get(key []byte) []byte // nil if there is none
	Put(key, value []byte) error
	Delete(key []byte) error
	Sequence() uint64 // the last one given
	NextSequence() (uint64, error)

	from(key []byte) iter.Seq2[[]byte, []byte] // the entries from key on, in order; the loop's body must not write
	inner(name []byte) bucket                  // nil if there is none
	makeInner(name []byte) (bucket, error)     // inner, made if it is not there
	dropInner(name []byte) (found bool, err error)
}

type boltTree struct{ db *bbolt.DB }

func (t boltTree) view(f func(tx) error) error {
	return boltClosed(t.db.View(func(b *bbolt.Tx) error { return f(boltTx{b}) }))
}

func (t boltTree) update(f func(tx) error) error {
	return boltClosed(t.db.Update(func(b *bbolt.Tx) error { return f(boltTx{b}) }))
}

func (t boltTree) close() error { return t.db.Close() }

func boltClosed(err error) error {
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		return ErrClosed
	}
	return err
}

type boltTx struct{ tx *bbolt.Tx }

func (t boltTx) bucket(outer []byte) bucket { return boltBucket{t.tx.Bucket(outer)} }

type boltBucket struct{ *bbolt.Bucket }

func (b boltBucket) from(key []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		c := b.Cursor()
		for k, v := c.Seek(key); k != nil && yield(k, v); {
			k, v = c.Next()
		}
	}
}

func (b boltBucket) inner(name []byte) bucket {
	if in := b.Bucket.Bucket(name); in != nil {
		return boltBucket{in}
	}
	return nil
}

func (b boltBucket) makeInner(name []byte) (bucket, error) {
	in, err := b.CreateBucketIfNotExists(name)
	if err != nil {
		return nil, fmt.Errorf("bucket %q: %w", name, err)
	}
	return boltBucket{in}, nil
}

func (b boltBucket) dropInner(name []byte) (bool, error) {
	err := b.DeleteBucket(name)
	if errors.Is(err, bolterrors.ErrBucketNotFound) {
		return false, nil
	}
	return err == nil, err
}
