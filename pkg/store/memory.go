package store

import (
	"iter"
	"strings"
	"sync"
	"sync/atomic"
)

// Memory is a disk in memory with one store on it: the same rules, no file and no goroutine. It is for simulations, which
// commit often, must come out the same each time, and cut the power. The zero value is an empty disk. Its methods may be
// called from any goroutine.
//
// A commit is all there or not at all once Commit returns, as with a file. What a power cut in the middle of one leaves is
// a Clone from before it, or one from after it.
type Memory struct {
	writing sync.Mutex
	root    atomic.Pointer[node]
}

// Clone is another disk with the same store on it as of the last commit. It costs nothing, however much is stored.
func (m *Memory) Clone() *Memory {
	c := new(Memory)
	c.root.Store(m.root.Load())
	return c
}

// Open opens the store on the disk, during the boot with that id. Opening it again is what a controller does that was
// killed: the store that was open before must not be used any more.
func (m *Memory) Open(bootID string) *DB {
	db := newDB(&memoryTree{disk: m}, bootID)
	db.direct = true
	return db
}

// Doubt marks the store on the disk as one that comes from a snapshot, as Open does with a file that it restores.
func (m *Memory) Doubt(mark Restored, bootID string) error {
	return (&memoryTree{disk: m}).update(func(tx tx) error { return doubt(tx, mark, bootID) })
}

type memoryTree struct {
	disk   *Memory
	closed atomic.Bool
}

func (t *memoryTree) view(f func(tx) error) error {
	if t.closed.Load() {
		return ErrClosed
	}
	return f(&memoryTx{t.disk.root.Load()})
}

func (t *memoryTree) update(f func(tx) error) error {
	t.disk.writing.Lock()
	defer t.disk.writing.Unlock()
	if t.closed.Load() {
		return ErrClosed
	}
	tx := &memoryTx{t.disk.root.Load()}
	if err := f(tx); err != nil {
		return err
	}
	t.disk.root.Store(tx.root)
	return nil
}

func (t *memoryTree) close() error {
	t.disk.writing.Lock()
	defer t.disk.writing.Unlock()
	t.closed.Store(true)
	return nil
}

type memoryTx struct{ root *node }

func (t *memoryTx) bucket(outer []byte) bucket {
	return memoryBucket{t, string(outer) + "\x00", outer, nil}
}

// memoryBucket is all entries whose keys begin with its path, the names of buckets with a NUL behind each, as no name has
// one. So a bucket is there as soon as something is in it.
type memoryBucket struct {
	tx          *memoryTx
	path        string
	outer, name []byte // as in boltBucket
}

func (b memoryBucket) get(key []byte) value {
	kept := b.tx.root.get(b.path + string(key))
	if kept == nil {
		return value{}
	}
	return value{at: placeOf(b.outer, b.name, key), kept: kept}
}

func (b memoryBucket) put(key []byte, v any) error {
	b.tx.root = b.tx.root.put(b.path+string(key), v)
	return nil
}

func (b memoryBucket) drop(key []byte) error {
	b.tx.root = b.tx.root.without(b.path + string(key))
	return nil
}

// counter is the key of the last sequence number given, in a bucket that holds nothing else.
func (b memoryBucket) counter() string { return "\x00" + b.path }

func (b memoryBucket) Sequence() uint64 {
	n, _ := b.tx.root.get(b.counter()).(uint64)
	return n
}

func (b memoryBucket) NextSequence() (uint64, error) {
	next := b.Sequence() + 1
	b.tx.root = b.tx.root.put(b.counter(), next)
	return next, nil
}

func (b memoryBucket) from(key []byte) iter.Seq2[[]byte, value] {
	return func(yield func([]byte, value) bool) {
		b.tx.root.from(b.path+string(key), func(n *node) bool {
			k, ours := strings.CutPrefix(n.key, b.path)
			return ours && yield([]byte(k), value{at: placeOf(b.outer, b.name, []byte(k)), kept: n.value})
		})
	}
}

func (b memoryBucket) inner(name []byte) bucket {
	return memoryBucket{b.tx, b.path + string(name) + "\x00", b.outer, name}
}

func (b memoryBucket) makeInner(name []byte) (bucket, error) { return b.inner(name), nil }

func (b memoryBucket) dropInner(name []byte) (found bool, err error) {
	in := b.inner(name)
	for k := range in.from(nil) {
		found = true
		if err := in.drop(k); err != nil {
			return found, err
		}
	}
	return found, nil
}
