package store

import (
	"bytes"
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
	get(key []byte) value // none if there is none
	put(key []byte, v any) error
	drop(key []byte) error
	Sequence() uint64 // the last one given
	NextSequence() (uint64, error)

	from(key []byte) iter.Seq2[[]byte, value] // the entries from key on, in order; the loop's body must not write
	inner(name []byte) bucket                 // nil if there is none
	makeInner(name []byte) (bucket, error)    // inner, made if it is not there
	dropInner(name []byte) (found bool, err error)
}

// value is what lies under a key. A file keeps bytes, which have to be decoded. The memory keeps what was put, so whoever
// puts something does not change it later, nor does whoever gets it.
type value struct {
	at   place
	raw  []byte
	kept any
}

// place says where a value lies, in words for people.
type place struct{ bucket, key string }

func (v value) none() bool { return v.raw == nil && v.kept == nil }

// clone is v for after its transaction.
func (v value) clone() value {
	v.raw = bytes.Clone(v.raw)
	return v
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

func (t boltTx) bucket(outer []byte) bucket { return boltBucket{t.tx.Bucket(outer), outer, nil} }

type boltBucket struct {
	*bbolt.Bucket
	outer, name []byte // name is nil if it is the outer one
}

func (b boltBucket) value(key, raw []byte) value {
	return value{at: placeOf(b.outer, b.name, key), raw: raw}
}

func (b boltBucket) get(key []byte) value { return b.value(key, b.Get(key)) }

func (b boltBucket) put(key []byte, v any) error {
	text, err := encode(v)
	if err != nil {
		return err
	}
	if b.Get(key) == nil {
		if err := b.changed(key); err != nil {
			return err
		}
	}
	return b.Put(key, append(placeOf(b.outer, b.name, key).seal(text), text...))
}

func (b boltBucket) drop(key []byte) error {
	if b.Get(key) != nil {
		if err := b.changed(key); err != nil {
			return err
		}
	}
	return b.Delete(key)
}

func (b boltBucket) from(key []byte) iter.Seq2[[]byte, value] {
	return func(yield func([]byte, value) bool) {
		c := b.Cursor()
		for k, v := c.Seek(key); k != nil && yield(k, b.value(k, v)); {
			k, v = c.Next()
		}
	}
}

func (b boltBucket) inner(name []byte) bucket {
	if in := b.Bucket.Bucket(name); in != nil {
		return boltBucket{in, b.outer, name}
	}
	return nil
}

func (b boltBucket) makeInner(name []byte) (bucket, error) {
	if in := b.inner(name); in != nil {
		return in, nil
	}
	if err := b.changed(name); err != nil {
		return nil, err
	}
	in, err := b.CreateBucket(name)
	if err != nil {
		return nil, fmt.Errorf("bucket %q: %w", name, err)
	}
	return boltBucket{in, b.outer, name}, nil
}

func (b boltBucket) dropInner(name []byte) (bool, error) {
	if b.inner(name) == nil {
		return false, nil
	}
	return true, errors.Join(b.changed(name), b.DeleteBucket(name))
}
