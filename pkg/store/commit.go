package store

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"reconciler.dev/reconciler/pkg/subreaper"
)

// Commit makes a change, whole or not at all; it is durable when Commit returns nil. ctx bounds the wait for the writer,
// not a transaction under way. Changes of several callers share transactions; one that fails does so alone.
//
// Exit is recorded exactly once an attempt: the first trustworthy record stands. It is held against the attempt as the
// change's own Record has it, else the stored record, else the attempts' history. It is refused with ErrMismatch if that
// attempt is of another pid, start time or boot, and with ErrNotStarted if no start was committed. An exit that is there
// already makes this one ignored, without an error; only `unknown` gives way to one whose source is known.
//
// Record is refused with ErrAttemptReused if its LastAttempt is lower than the stored one, or than one of its own
// attempts. With RemovedAt set it is a tombstone, and stays.
func (db *DB) Commit(ctx context.Context, c Change) error {
	err := db.do(ctx, c.touches(), func(tx tx) error { return apply(tx, &c) })
	if err != nil {
		return fmt.Errorf("store commit: %w", err)
	}
	return nil
}

// apply writes the parts of a change. The exit comes before the record that may drop its attempt.
func apply(tx tx, c *Change) error {
	for _, name := range c.Removed {
		for _, bucket := range [][]byte{bucketDesired, bucketConfigs, bucketOverrides} {
			if err := tx.bucket(bucket).drop([]byte(name)); err != nil {
				return fmt.Errorf("remove %q: %w", name, err)
			}
		}
	}
	for i := range c.Desired {
		if err := putDesired(tx, &c.Desired[i]); err != nil {
			return fmt.Errorf("desire %q: %w", c.Desired[i].Container.Name, err)
		}
	}
	if c.Source != nil {
		if err := tx.bucket(bucketSources).put([]byte(c.Source.Name), *c.Source); err != nil {
			return fmt.Errorf("source %q: %w", c.Source.Name, err)
		}
	}
	if err := putDown(tx, c); err != nil {
		return fmt.Errorf("down: %w", err)
	}
	if c.ManifestsRead {
		if err := tx.bucket(bucketMeta).drop(keyRestored); err != nil {
			return err
		}
	}
	if c.Attempt != nil {
		if err := putAttempt(tx, c.Attempt); err != nil {
			return fmt.Errorf("attempt %q: %w", c.Attempt.Instance, err)
		}
	}
	if c.Exit != nil {
		if err := putExit(tx, c.Exit, c.Record); err != nil {
			return fmt.Errorf("exit of %q: %w", c.Exit.Instance, err)
		}
	}
	if c.Record != nil {
		if err := putRecord(tx, c.Record); err != nil {
			return fmt.Errorf("record of %q: %w", c.Record.Name, err)
		}
	}
	return putEvents(tx, c.Events)
}

func putDesired(tx tx, d *Desired) error {
	key, configs := []byte(d.Container.Name), tx.bucket(bucketConfigs)
	if d.InputHash != "" && !sameConfig(configs.get(key), d.Config) {
		if err := configs.put(key, bytes.Clone(d.Config)); err != nil {
			return err
		}
	}
	bare := *d
	bare.Config, bare.Verbs, bare.Held = nil, Verbs{}, nil
	return tx.bucket(bucketDesired).put(key, bare)
}

func sameConfig(kept value, config []byte) bool {
	was, err := configOf(kept)
	return err == nil && bytes.Equal(was, config)
}

func putDown(tx tx, c *Change) error {
	switch b := tx.bucket(bucketMeta); {
	case c.Up:
		return b.drop(keyDown)
	case c.Down != nil:
		return b.put(keyDown, *c.Down)
	}
	return nil
}

func putRecord(tx tx, r *Record) error {
	b := tx.bucket(bucketStatus)
	old, err := decodeRecord(r.Name, b.get([]byte(r.Name)))
	if err != nil {
		return err // its counter is not known, so no number is safe
	}
	highest := old.LastAttempt
	for _, a := range r.Attempts {
		highest = max(highest, a.Number)
	}
	if r.LastAttempt < highest {
		return fmt.Errorf("%w: last attempt %d, but %d was used", ErrAttemptReused, r.LastAttempt, highest)
	}
	own := *r
	own.Attempts, own.InDoubt = slices.Clone(r.Attempts), false
	return b.put([]byte(r.Name), own)
}

func putAttempt(tx tx, a *Attempt) error {
	name, ok := nameOf(a.Instance, a.Number)
	if !ok {
		return fmt.Errorf("it is not the instance of attempt %d", a.Number)
	}
	return putHistory(tx, bucketAttempts, name, a.Number, *a)
}

// putExit records an exit once: see Commit. own is the record of the same change, or nil.
func putExit(tx tx, e *Exit, own *Record) error {
	name, ok := nameOf(e.Instance, e.Attempt)
	if !ok {
		return fmt.Errorf("%w: it says attempt %d", ErrMismatch, e.Attempt)
	}
	first, recorded := exitOf(tx, name, e.Attempt)
	owner, err := attemptOf(tx, name, e.Attempt, own)
	switch {
	case err != nil:
		return err
	case owner == nil && recorded:
		owner = &Attempt{Process: &first.Process} // what is kept of attempts is bounded, and this one is gone
	case owner == nil || owner.StartCommitted.IsZero():
		return ErrNotStarted
	}
	if owner.Process == nil || *owner.Process != e.Process {
		return fmt.Errorf("%w: got %+v, have %+v", ErrMismatch, e.Process, owner.Process)
	}
	if recorded && (first.Source != subreaper.SourceUnknown || e.Source == subreaper.SourceUnknown) {
		return nil
	}
	return putHistory(tx, bucketExits, name, e.Attempt, *e)
}

// exitOf returns the exit on record. One that cannot be read counts as none: it gives way, as unknown does.
func exitOf(tx tx, name string, n int) (e Exit, recorded bool) {
	b, key := tx.bucket(bucketExits).inner([]byte(name)), number(uint64(n))
	if b == nil || b.get(key).none() {
		return Exit{}, false
	}
	e, err := decodeExit(name, key, b.get(key))
	return e, err == nil
}

// attemptOf returns an attempt as own has it, else as the stored record, else as the history; nil if none knows it.
func attemptOf(tx tx, name string, n int, own *Record) (*Attempt, error) {
	stored, err := decodeRecord(name, tx.bucket(bucketStatus).get([]byte(name)))
	if err != nil {
		return nil, err
	}
	known := stored.Attempts
	if own != nil && own.Name == name {
		known = slices.Concat(own.Attempts, known)
	}
	if i := slices.IndexFunc(known, func(a Attempt) bool { return a.Number == n }); i >= 0 {
		return &known[i], nil
	}
	b, key := tx.bucket(bucketAttempts).inner([]byte(name)), number(uint64(n))
	if b == nil || b.get(key).none() {
		return nil, nil
	}
	a, err := decodeAttempt(name, key, b.get(key))
	return &a, err
}

// UpdateVerbs changes the verbs of a desired name: f gets them as they are and no other change comes between. f may be
// called more than once, each time with fresh verbs; its error leaves all as it was and is returned. ErrNotFound: the
// name is not desired. Durability and ctx are as with Commit.
func (db *DB) UpdateVerbs(ctx context.Context, name string, f func(*Verbs) error) error {
	err := db.do(ctx, Touched{Names: map[string]bool{name: true}}, func(tx tx) error {
		if tx.bucket(bucketDesired).get([]byte(name)).none() {
			return ErrNotFound
		}
		b := tx.bucket(bucketOverrides)
		v, err := decodeVerbs(b.get([]byte(name)).clone())
		if err != nil {
			return err
		}
		if err := f(&v); err != nil {
			return err
		}
		return b.put([]byte(name), v)
	})
	if err != nil {
		return fmt.Errorf("update verbs of %q: %w", name, err)
	}
	return nil
}
