package reconcile

import (
	"context"
	"time"

	"github.com/go-logr/logr"

	"reconciler.dev/reconciler/pkg/store"
)

// Snapshots keeps a snapshot of the store that is not much older than the store. Where none can be written, that is told
// once, and nothing else changes.
type Snapshots struct {
	Store interface {
		Snapshot(ctx context.Context) error
		Commit(ctx context.Context, c store.Change) error
	}
	Log  logr.Logger
	told bool
}

// Run takes one soon after the start, when there may be none yet, and one an hour from then on, until ctx ends.
func (s *Snapshots) Run(ctx context.Context) error {
	for wait := time.Minute; ; wait = time.Hour {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		s.Take(ctx)
	}
}

// Take takes one now, unless nothing was committed since the last. Only one call may be under way.
func (s *Snapshots) Take(ctx context.Context) {
	err := s.Store.Snapshot(ctx)
	if err == nil {
		s.told = false
		return
	}
	if ctx.Err() != nil {
		return
	}
	s.Log.Error(err, "no snapshot of the store can be taken")
	if s.told {
		return
	}
	told := store.Event{Time: time.Now().UTC(), Type: store.Warning, Reason: "SnapshotFailed", Object: "node", Message: err.Error()}
	if err := s.Store.Commit(ctx, store.Change{Events: []store.Event{told}}); err != nil {
		s.Log.Error(err, "nor can that be put on record")
		return
	}
	s.told = true
}
