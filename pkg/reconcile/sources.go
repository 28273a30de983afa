package reconcile

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// Wishes is what Sources needs of the store.
type Wishes interface {
	Source(name string) (*store.Source, error)
	Desired(name string) (*store.Desired, error)
	AllDesired() iter.Seq2[*store.Desired, error]
	Commit(ctx context.Context, c store.Change) error
}

// Sources is the one writer of what is desired: what it reads of it stays true until it has written. Its methods may be
// called from any goroutine.
type Sources struct {
	Store Wishes
	Load  func(bundle string) (config []byte, err error)
	Wake  func(names ...string) // told of the names that changed, once that is durable
	Log   logr.Logger

	mu sync.Mutex
}

// Scanned takes in what the manifests directory holds. confirmed accepts a directory that is not the one it was.
func (s *Sources) Scanned(ctx context.Context, scan desired.Scan, confirmed bool) error {
	boot, err := subreaper.BootID()
	if err != nil {
		return err
	}
	return s.change(ctx, func(src store.Source) (store.Change, error) {
		if confirmed {
			src.Identity = ""
		}
		known, err := s.known()
		if err != nil {
			return store.Change{}, err
		}
		return Intake(scan, src, known, s.Load, boot, time.Now()), nil
	})
}

// Vanished notes that the manifests directory cannot be read: that removes nothing.
func (s *Sources) Vanished(ctx context.Context, err error) error {
	return s.change(ctx, func(src store.Source) (store.Change, error) { return Vanished(err, src, time.Now()), nil })
}

// Applied is what became of a container that was applied.
type Applied string

const (
	Created    Applied = "created"
	Configured Applied = "configured"
	Unchanged  Applied = "unchanged"
)

// OwnedError refuses a change of a name by who does not own it.
type OwnedError struct{ Name, Owner string }

func (e *OwnedError) Error() string { return fmt.Sprintf("%q belongs to %s", e.Name, e.Owner) }

// Apply makes a container desired by the API, its bundle's path absolute. The error is an *OwnedError if a manifest names
// it.
func (s *Sources) Apply(ctx context.Context, c desired.Container) (applied Applied, err error) {
	err = s.change(ctx, func(store.Source) (store.Change, error) {
		was, err := s.owned(c.Name)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return store.Change{}, err
		}
		in := intake{now: time.Now()}
		in.desire(c, APISource, was, s.Load)
		switch {
		case was == nil:
			applied = Created
		case len(in.change.Desired) > 0:
			applied = Configured
		default:
			applied = Unchanged
		}
		return in.change, nil
	})
	return applied, err
}

// Delete takes back what Apply made desired. The error is store.ErrNotFound, or an *OwnedError.
func (s *Sources) Delete(ctx context.Context, name string) error {
	return s.change(ctx, func(store.Source) (store.Change, error) {
		if _, err := s.owned(name); err != nil {
			return store.Change{}, err
		}
		in := intake{now: time.Now()}
		in.removed(name, "it was deleted")
		return in.change, nil
	})
}

// owned is what is desired of a name that the API may change.
func (s *Sources) owned(name string) (*store.Desired, error) {
	d, err := s.Store.Desired(name)
	if err == nil && d.Source != APISource {
		return nil, &OwnedError{name, d.Source}
	}
	return d, err
}

// change carries out one change, with no other between what it reads and what it writes.
func (s *Sources) change(ctx context.Context, make func(src store.Source) (store.Change, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	src, err := s.Store.Source(SourceName)
	if errors.Is(err, store.ErrNotFound) {
		src, err = &store.Source{}, nil
	}
	if err != nil {
		return err
	}
	change, err := make(*src)
	if err != nil {
		return err
	}
	if err := s.Store.Commit(ctx, change); err != nil {
		return err
	}
	for _, e := range change.Events {
		s.Log.Info("source", "reason", e.Reason, "object", e.Object, "message", e.Message)
	}
	names := slices.Clone(change.Removed)
	for _, d := range change.Desired {
		names = append(names, d.Container.Name)
	}
	s.Wake(names...)
	return nil
}

// known is all that is desired. A record that cannot be read holds its name: not known is not free.
func (s *Sources) known() (known []*store.Desired, err error) {
	for d, err := range s.Store.AllDesired() {
		if unread, ok := errors.AsType[*store.RecordError](err); ok {
			s.Log.Error(err, "left as it is: what is wanted cannot be read", "container", unread.Name)
			d, err = &store.Desired{Container: desired.Container{Name: unread.Name}, Source: "a record that cannot be read"}, nil
		}
		if err != nil {
			return nil, err
		}
		known = append(known, d)
	}
	return known, nil
}
