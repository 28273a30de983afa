package store

import (
	"context"
	"slices"
)

// maxGroup bounds how much one transaction holds, and so how long its first caller waits for the others.
const maxGroup = 256

// request is one caller's part of a group. apply may run more than once, each time in a transaction that knows nothing
// of the time before.
type request struct {
	apply   func(tx) error
	touches Touched
	done    chan error // has room for the one answer
}

// do has apply carried out by the writer and returns once the outcome is on disk and the subscriptions were told.
func (db *DB) do(ctx context.Context, touches Touched, apply func(tx) error) error {
	if db.requests == nil && !db.direct {
		return ErrReadOnly
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	r := request{apply: apply, touches: touches, done: make(chan error, 1)}
	if db.direct {
		db.commit([]request{r})
		return <-r.done
	}
	select {
	case db.requests <- r:
		return <-r.done
	case <-ctx.Done():
		return ctx.Err()
	case <-db.quit:
		return ErrClosed
	}
}

// write is the one writer.
func (db *DB) write() {
	for {
		select {
		case r := <-db.requests:
			db.commit(db.gather(r))
		case <-db.quit:
			return
		}
	}
}

// gather adds to first whoever came while the last group was written. It waits for nobody: a timer, as in bbolt's own
// Batch, makes a single caller slower and a burst no faster.
func (db *DB) gather(first request) []request {
	group := []request{first}
	for len(group) < maxGroup {
		select {
		case r := <-db.requests:
			group = append(group, r)
		default:
			return group
		}
	}
	return group
}

// commit writes a group in one transaction. A request that fails is taken out and the rest begun anew, since what it
// wrote until then cannot be told from what others wrote.
func (db *DB) commit(group []request) {
	for len(group) > 0 {
		failed := -1
		err := db.tree.update(func(tx tx) error {
			for i, r := range group {
				if err := r.apply(tx); err != nil {
					failed = i
					return err
				}
			}
			return nil
		})
		if failed < 0 {
			for _, r := range group {
				if err == nil {
					db.tell(r.touches)
				}
				r.done <- err
			}
			return
		}
		group[failed].done <- err
		group = slices.Delete(group, failed, failed+1)
	}
}
