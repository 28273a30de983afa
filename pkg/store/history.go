package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"reflect"
	"time"
)

// What is kept. The first attempt of a name always is: it shows since when there have been troubles.
const (
	maxHistory    = 100 // attempts of a name, and as many exits
	maxEvents     = 10_000
	keepOfTheGone = 7 * 24 * time.Hour // history of a removed name
)

// putHistory puts v, which is not changed later, as number n of a name, and drops the oldest but the first where there are
// too many.
func putHistory(tx tx, bucket []byte, name string, n int, v any) error {
	b, err := tx.bucket(bucket).makeInner([]byte(name))
	if err != nil {
		return err
	}
	if err := b.put(number(uint64(n)), v); err != nil {
		return err
	}
	var keys [][]byte
	for k := range b.from(nil) {
		if len(k) == 8 && n-int(binary.BigEndian.Uint64(k)) < maxHistory { // a damaged file may hold any key
			return nil // there are no more numbers than that
		}
		break
	}
	for k := range b.from(nil) {
		keys = append(keys, bytes.Clone(k))
	}
	for i := 1; i <= len(keys)-maxHistory; i++ {
		if err := b.drop(keys[i]); err != nil {
			return err
		}
	}
	return nil
}

// putEvents appends events and drops those that are maxEvents behind.
func putEvents(tx tx, events []Event) error {
	b := tx.bucket(bucketEvents)
	for _, e := range events {
		seq, err := b.NextSequence()
		if err != nil {
			return err
		}
		e.Seq = seq
		if err := b.put(number(seq), e); err != nil {
			return fmt.Errorf("event %s: %w", e.Reason, err)
		}
	}
	if b.Sequence() <= maxEvents {
		return nil
	}
	var old [][]byte
	for k := range b.from(nil) {
		if bytes.Compare(k, number(b.Sequence()-maxEvents)) > 0 {
			break
		}
		old = append(old, bytes.Clone(k))
	}
	for _, k := range old {
		if err := b.drop(k); err != nil {
			return err
		}
	}
	return nil
}

// Sweep forgets attempts, exits and events of names removed more than 7 days before now. Of their records it keeps the
// name, when it was removed, and the last attempt's number. Durability and ctx are as with Commit.
func (db *DB) Sweep(ctx context.Context, now time.Time) error {
	err := db.do(ctx, Touched{}, func(tx tx) error {
		gone := map[string]bool{}
		for _, r := range rowsOf(tx.bucket(bucketStatus)) {
			name := string(r.key)
			rec, err := decodeRecord(name, r.value)
			// What cannot be read is left as it is: Records tells of it.
			if err != nil || rec.RemovedAt.IsZero() || now.Sub(rec.RemovedAt) < keepOfTheGone ||
				!tx.bucket(bucketDesired).get(r.key).none() {
				continue
			}
			stripped, err := strip(tx, rec)
			if err != nil {
				return fmt.Errorf("%q: %w", name, err)
			}
			if stripped {
				gone[name] = true
			}
		}
		return dropEvents(tx, gone)
	})
	if err != nil {
		return fmt.Errorf("store sweep: %w", err)
	}
	return nil
}

// strip leaves nothing of a name but its bare tombstone. It returns false if that was all there was.
func strip(tx tx, r Record) (stripped bool, err error) {
	for _, bucket := range [][]byte{bucketAttempts, bucketExits} {
		found, err := tx.bucket(bucket).dropInner([]byte(r.Name))
		if err != nil {
			return false, err
		}
		stripped = stripped || found
	}
	bare := Record{Name: r.Name, LastAttempt: r.LastAttempt, RemovedAt: r.RemovedAt}
	if !stripped && reflect.DeepEqual(r, bare) {
		return false, nil
	}
	return true, tx.bucket(bucketStatus).put([]byte(r.Name), bare)
}

func dropEvents(tx tx, objects map[string]bool) error {
	if len(objects) == 0 {
		return nil
	}
	b := tx.bucket(bucketEvents)
	for _, r := range rowsOf(b) {
		if e, err := decodeEvent(r.key, r.value); err == nil && objects[e.Object] {
			if err := b.drop(r.key); err != nil {
				return err
			}
		}
	}
	return nil
}
