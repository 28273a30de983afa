package store

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"reconciler.dev/reconciler/pkg/subreaper"
)

// The tree of buckets. Values are JSON behind a seal (seal.go); numbers used as keys are big-endian, 8 bytes, so that they sort.
//
//	meta/schema                    the version of this tree, as it is
//	meta/names                     a checksum of which keys there are, as it is
//	meta/down                      Down, while the node is held
//	meta/restored                  Restored, while the store is not known to be up to date
//	sources/<source>               Source
//	desired/<name>                 Desired, without its Config and Verbs
//	configs/<name>                 config.json that instances are made from, as it is
//	overrides/<name>               Verbs
//	status/<name>                  Record; a tombstone once the name is removed
//	attempts/<name>/<attempt>      Attempt
//	exits/<name>/<attempt>         Exit
//	events/<seq>                   Event
var (
	bucketMeta      = []byte("meta")
	bucketSources   = []byte("sources")
	bucketDesired   = []byte("desired")
	bucketConfigs   = []byte("configs")
	bucketOverrides = []byte("overrides")
	bucketStatus    = []byte("status")
	bucketAttempts  = []byte("attempts")
	bucketExits     = []byte("exits")
	bucketEvents    = []byte("events")
)

// lockWait is how long Open waits for bbolt's lock: a reader that copies the file holds it for milliseconds.
const lockWait = 5 * time.Second

// Options of Open.
type Options struct {
	// NoSync leaves out every fsync: for tests and simulations only, a power cut loses or tears the file.
	NoSync bool
	// BootID is that of the running boot; empty for what the kernel says.
	BootID string
}

func (o Options) boot() (string, error) {
	if o.BootID != "" {
		return o.BootID, nil
	}
	return subreaper.BootID()
}

func (o Options) bolt(wait time.Duration) *bbolt.Options {
	return &bbolt.Options{
		Timeout: wait,
		// A third faster per commit, paid for with one walk over the file at start.
		NoFreelistSync: true,
		// Address space, not memory. A file that outgrows its map is mapped anew, for which bbolt waits until no reader is
		// left, and a snapshot reads for as long as the disk takes.
		InitialMmapSize: 256 << 20,
		FreelistType:    bbolt.FreelistMapType,
		NoSync:          o.NoSync,
		NoGrowSync:      o.NoSync,
	}
}

// DB is an open store. Its methods may be called from any goroutine.
type DB struct {
	tree        tree
	boot        string // of the running boot
	recovered   string
	desired     memo[*Desired]
	records     memo[Record]
	requests    chan request // to the writer; nil: there is none, as in a copy
	direct      bool         // each caller is the writer, one at a time: in memory there is no disk to share a wait for
	subscribers sync.Map     // of *Subscription
	quit        chan struct{}
	writer      sync.WaitGroup
	close       func() error
	snapshots   sync.Mutex // one at a time
	snapshotted int        // the last transaction in the snapshot that this process wrote
}

// Open opens the store at path, or begins one (mode 0600) in a directory that must be there. One process at a time may
// call it for a path: the caller holds a lock that says so, bbolt's own lock is only waited for, up to 5 s, for readers
// to go away (then ErrLocked).
//
// A file that is damaged is moved aside, never wiped. In its place comes the last Snapshot, marked as Restored, or an empty
// store where there is none; likewise where the file is gone. Recovered tells, and so does an event. A store of a newer
// schema is refused untouched: ErrNewerSchema.
func Open(path string, o Options) (*DB, error) {
	boot, err := o.boot()
	if err != nil {
		return nil, err
	}
	recovered, err := prepare(path, boot, o)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|noFollow, 0)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	b, err := openBolt(f, o.bolt(lockWait))
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	mark, err := oneHeaded(f, b)
	if err == nil {
		err = b.Update(func(tx *bbolt.Tx) error {
			if err := migrate(tx); err != nil || mark == nil {
				return err
			}
			recovered = mark.Why
			return doubt(boltTx{tx}, *mark, boot)
		})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", path, err), b.Close())
	}
	db := newDB(boltTree{b}, boot)
	db.recovered = recovered
	db.requests = make(chan request)
	db.writer.Go(db.write)
	return db, nil
}

func newDB(t tree, boot string) *DB {
	db := &DB{tree: t, boot: boot, quit: make(chan struct{})}
	db.close = sync.OnceValue(func() error {
		close(db.quit)
		db.writer.Wait()
		return db.tree.close()
	})
	return db
}

// Recovered says, in a sentence for people, that Open found a damaged file or none, where that was moved, and what took its
// place; empty if it did not.
func (db *DB) Recovered() string { return db.recovered }

// Close waits for the commit and the reads under way, and closes the store. Whatever is asked later gets ErrClosed.
// Closing again returns what the first call returned.
func (db *DB) Close() error { return db.close() }
