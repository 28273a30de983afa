package store

import (
	"bytes"
	"errors"
	"iter"
	"slices"
)

// row is one entry of a bucket, copied: it outlives the transaction.
type row struct {
	key   []byte
	value value
}

// value returns a copy of one value.
func (db *DB) value(bucket []byte, key string) (value, error) {
	var v value
	err := db.tree.view(func(tx tx) error {
		v = tx.bucket(bucket).get([]byte(key)).clone()
		return nil
	})
	return v, err
}

// rowsOf copies a bucket, which may be nil, in the order of its keys.
func rowsOf(b bucket) []row {
	if b == nil {
		return nil
	}
	var rows []row
	for k, v := range b.from(nil) {
		rows = append(rows, row{bytes.Clone(k), v.clone()})
	}
	return rows
}

// Desired returns what is wanted of a name, ErrNotFound if it is not desired. Maps, slices and what is pointed to are
// shared between all who ask: they must not be changed. The same goes for AllDesired and for records, but for the slice
// of attempts, which is the caller's own.
func (db *DB) Desired(name string) (d *Desired, err error) {
	viewErr := db.tree.view(func(tx tx) error {
		d, err = db.desiredIn(tx, name, tx.bucket(bucketDesired).get([]byte(name)))
		if err == nil && d.InputHash != "" {
			config, configErr := configOf(tx.bucket(bucketConfigs).get([]byte(name)))
			d.Config, err = bytes.Clone(config), configErr
		}
		return nil
	})
	switch {
	case viewErr != nil:
		return nil, viewErr
	case err != nil:
		return nil, err
	case d.InputHash != "" && d.Config == nil:
		return nil, &RecordError{Bucket: string(bucketConfigs), Name: name, Err: errors.New("it is missing")}
	}
	return d, nil
}

// desiredIn is Desired, without its Config.
func (db *DB) desiredIn(tx tx, name string, raw value) (*Desired, error) {
	kept, err := db.desired.get(name, raw, decodeDesired)
	if err != nil {
		return nil, err
	}
	d := new(*kept)
	if d.Verbs, err = decodeVerbs(tx.bucket(bucketOverrides).get([]byte(name))); err != nil {
		return nil, err
	}
	held, err := db.decodeDown(tx.bucket(bucketMeta).get(keyDown))
	if err != nil {
		return nil, err // held or not is not known, so neither is what is wanted
	}
	if held != nil {
		d.Held = held.override()
	}
	return d, nil
}

// Down returns what holds the whole node, nil if nothing does: what an earlier boot was held by is void.
func (db *DB) Down() (*Down, error) {
	raw, err := db.value(bucketMeta, string(keyDown))
	if err != nil {
		return nil, err
	}
	return db.decodeDown(raw)
}

// AllDesired yields what is wanted of every name, without its Config, as of one moment, in name order. One that cannot be
// read is yielded as a *RecordError, which names it: it is not known, not unwanted. Any other error ends the sequence. The
// loop's body may use the store.
func (db *DB) AllDesired() iter.Seq2[*Desired, error] { return all(db, bucketDesired, db.desiredIn) }

// Record returns what is on record about a name: a record with nothing but the name if there is none. A record that
// cannot be read is a *RecordError.
func (db *DB) Record(name string) (r Record, err error) {
	viewErr := db.tree.view(func(tx tx) error {
		r, err = db.recordIn(tx, name, tx.bucket(bucketStatus).get([]byte(name)))
		return nil
	})
	if viewErr != nil {
		return Record{Name: name}, viewErr
	}
	return r, err
}

func (db *DB) recordIn(tx tx, name string, raw value) (Record, error) {
	r, err := db.records.get(name, raw, decodeRecord)
	r.InDoubt = !tx.bucket(bucketMeta).get(keyRestored).none()
	r.Attempts = slices.Clone(r.Attempts)
	return r, err
}

// Records yields every record, tombstones included, as of one moment, in name order. One that cannot be read is yielded
// with its name and a *RecordError; any other error ends the sequence. The loop's body may use the store.
func (db *DB) Records() iter.Seq2[Record, error] { return all(db, bucketStatus, db.recordIn) }

// all yields the values of a bucket, read in one transaction that is over when the first is yielded.
func all[T any](db *DB, bucket []byte, read func(tx tx, name string, raw value) (T, error)) iter.Seq2[T, error] {
	type result struct {
		v   T
		err error
	}
	return func(yield func(T, error) bool) {
		var results []result
		err := db.tree.view(func(tx tx) error {
			for k, raw := range tx.bucket(bucket).from(nil) {
				v, err := read(tx, string(k), raw)
				results = append(results, result{v, err})
			}
			return nil
		})
		if err != nil {
			var none T
			yield(none, err)
			return
		}
		for _, r := range results {
			if !yield(r.v, r.err) {
				return
			}
		}
	}
}

// Names returns every name that is desired or has a record, tombstones included, sorted.
func (db *DB) Names() ([]string, error) {
	var names []string
	err := db.tree.view(func(tx tx) error {
		for _, bucket := range [][]byte{bucketDesired, bucketStatus} {
			for k := range tx.bucket(bucket).from(nil) {
				names = append(names, string(k))
			}
		}
		return nil
	})
	slices.Sort(names)
	return slices.Compact(names), err
}

// Source returns what is remembered of a source, ErrNotFound if nothing is.
func (db *DB) Source(name string) (*Source, error) {
	raw, err := db.value(bucketSources, name)
	if err != nil {
		return nil, err
	}
	if raw.none() {
		return nil, ErrNotFound
	}
	s, err := decodeSource(name, raw)
	if err != nil {
		return nil, err
	}
	return &s, nil
}

// Attempts returns the attempts of a name that are kept, oldest first; none is no error. Those that can be read come
// with the joined *RecordErrors of those that cannot.
func (db *DB) Attempts(name string) ([]Attempt, error) {
	return history(db, bucketAttempts, name, decodeAttempt)
}

// Exits is Attempts for exit records.
func (db *DB) Exits(name string) ([]Exit, error) { return history(db, bucketExits, name, decodeExit) }

func history[T any](db *DB, bucket []byte, name string, decode func(string, []byte, value) (T, error)) ([]T, error) {
	var rows []row
	err := db.tree.view(func(tx tx) error {
		rows = rowsOf(tx.bucket(bucket).inner([]byte(name)))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return decodeAll(rows, func(r row) (T, error) { return decode(name, r.key, r.value) })
}

// Events returns the events behind the sequence number after, oldest first, limit of them at most; 0 is no limit. Those
// that can be read come with the joined *RecordErrors of those that cannot.
func (db *DB) Events(after uint64, limit int) ([]Event, error) {
	var rows []row
	err := db.tree.view(func(tx tx) error {
		for k, v := range tx.bucket(bucketEvents).from(number(after + 1)) {
			if limit > 0 && len(rows) == limit {
				break
			}
			rows = append(rows, row{bytes.Clone(k), v.clone()})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return decodeAll(rows, func(r row) (Event, error) { return decodeEvent(r.key, r.value) })
}

func decodeAll[T any](rows []row, decode func(row) (T, error)) ([]T, error) {
	all := make([]T, 0, len(rows))
	var errs []error
	for _, r := range rows {
		v, err := decode(r)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, v)
	}
	return all, errors.Join(errs...)
}
