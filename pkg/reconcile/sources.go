package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"reflect"
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
	Restored() (*store.Restored, error)
}

// Sources is the one writer of what is desired: what it reads of it stays true until it has written. Its methods may be
// called from any goroutine.
type Sources struct {
	Store Wishes
	Load  func(bundle string) (config []byte, err error)
	Uses  func(bundle string, used bool) // told of bundles that come into use or fall out of it; nil: nobody cares
	Wake  func(names ...string)          // told of the names that changed, once that is durable
	Log   logr.Logger

	mu    sync.Mutex
	index *index // nil until it is needed
	batch int    // how many containers one transaction changes at most, unless more belong together; 0: defaultBatch
}

// defaultBatch is how many containers whoever else writes may have to wait for.
const defaultBatch = 256

// Scanned takes in what the manifests directory holds. confirmed accepts a directory that is not the one it was. What a
// failed call did not take in, the next one does.
func (s *Sources) Scanned(ctx context.Context, scan desired.Scan, confirmed bool) error {
	boot, err := subreaper.BootID()
	if err != nil {
		return err
	}
	for fresh, more := true, true; more; fresh = false {
		err := s.change(ctx, func(src store.Source) (store.Change, error) {
			if confirmed && fresh {
				src.Identity = ""
			}
			if !accepted(scan, src, boot) {
				s.index.identity, more = "", false
				return Intake(scan, src, nil, nil, boot, time.Now()), nil
			}
			if fresh {
				if scan.Partial && scan.Identity != s.index.identity {
					return store.Change{}, errNotWhole
				}
				s.index.saw(scan)
			}
			var p part
			p, more = s.index.nextFiles(cmp.Or(s.batch, defaultBatch))
			known, err := s.known(p.names)
			if err != nil {
				return store.Change{}, err
			}
			return Intake(s.index.scan(p), src, known, s.loadOnce(), boot, time.Now()), nil
		})
		if err != nil {
			return err
		}
	}
	if s.WholeRead() {
		return s.upToDate(ctx)
	}
	return nil
}

// upToDate lifts the mark of a restored store: what the manifests want is known again.
func (s *Sources) upToDate(ctx context.Context) error {
	mark, err := s.Store.Restored()
	if _, unread := errors.AsType[*store.RecordError](err); mark == nil && !unread {
		return err
	}
	read := store.Event{
		Time: time.Now(), Type: store.Normal, Reason: "ManifestsRead", Object: "node",
		Message: "all manifests were read since the store was restored: what they want is in force again",
	}
	return s.Store.Commit(ctx, store.Change{ManifestsRead: true, Events: []store.Event{read}})
}

// WholeRead says whether a whole scan of the directory was taken in since this controller began, and all of it.
func (s *Sources) WholeRead() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.index != nil && s.index.identity != "" && len(s.index.due) == 0
}

var errNotWhole = errors.New("a partial scan of a directory that is not known: a whole one is needed")

// Vanished notes that the manifests directory cannot be read: that removes nothing.
func (s *Sources) Vanished(ctx context.Context, err error) error {
	return s.change(ctx, func(src store.Source) (store.Change, error) {
		s.index.identity = ""
		return Vanished(err, src, time.Now()), nil
	})
}

// Reload takes in that config.json of some bundles may be another than before, and what an earlier call did not take in.
func (s *Sources) Reload(ctx context.Context, bundles ...string) error {
	for fresh, more := true, true; more; fresh = false {
		err := s.change(ctx, func(store.Source) (store.Change, error) {
			for _, bundle := range bundles {
				if fresh {
					maps.Copy(s.index.stale, s.index.users[bundle])
				}
			}
			var p part
			p, more = s.index.nextStale(cmp.Or(s.batch, defaultBatch))
			known, err := s.known(p.names)
			if err != nil {
				return store.Change{}, err
			}
			return Reload(known, s.loadOnce(), time.Now()), nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// loadOnce is Load for one change, which sees each bundle at one moment.
func (s *Sources) loadOnce() func(bundle string) ([]byte, error) {
	loads := map[string]func() ([]byte, error){}
	return func(bundle string) ([]byte, error) {
		if loads[bundle] == nil {
			loads[bundle] = sync.OnceValues(func() ([]byte, error) { return s.Load(bundle) })
		}
		return loads[bundle]()
	}
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
func (s *Sources) Apply(ctx context.Context, c desired.Container, by string) (applied Applied, err error) {
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
		if applied != Unchanged {
			in.event(store.Normal, "Applied", c.Name, fmt.Sprintf("%s, asked for by %s", applied, by))
		}
		return in.change, nil
	})
	return applied, err
}

// Delete takes back what Apply made desired. A manifest that wants the name gets it. The error is store.ErrNotFound, or an
// *OwnedError.
func (s *Sources) Delete(ctx context.Context, name, by string) error {
	var identity string
	err := s.change(ctx, func(store.Source) (store.Change, error) {
		if _, err := s.owned(name); err != nil {
			return store.Change{}, err
		}
		identity = s.index.identity
		maps.Copy(s.index.due, s.index.claims[name])
		in := intake{now: time.Now()}
		in.removed(name, "deleted by "+by)
		return in.change, nil
	})
	if err != nil || identity == "" {
		return err
	}
	if err := s.Scanned(ctx, desired.Scan{Identity: identity, Partial: true}, false); err != nil {
		s.Log.Error(err, "who else wants the name gets it at the next scan", "container", name)
	}
	return nil
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
	if err := s.learn(); err != nil {
		return err
	}
	src, err := s.Store.Source(SourceName)
	unread, damaged := errors.AsType[*store.RecordError](err)
	switch {
	case errors.Is(err, store.ErrNotFound):
		src = &store.Source{}
	case damaged: // which directory it was is not known, so whoever does has to say that this one is it
		s.Log.Error(unread, "the manifests are not followed until `reconciler sources confirm`")
		src = &store.Source{Identity: unreadSource}
	case err != nil:
		return err
	}
	s.index.taking = part{}
	change, err := make(*src)
	if err != nil {
		return err
	}
	if err := s.commit(ctx, change); err != nil {
		return err
	}
	s.index.wrote(change)
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

// commit leaves the store alone where nothing changes: a transaction costs an fsync.
func (s *Sources) commit(ctx context.Context, c store.Change) error {
	if reflect.ValueOf(c).IsZero() {
		return nil
	}
	return s.Store.Commit(ctx, c)
}

// learn makes the index, once. Any bundle may have another config.json since the last controller ran; a scan takes that in
// for what stands in manifests.
func (s *Sources) learn() error {
	if s.index != nil {
		return nil
	}
	uses := s.Uses
	if uses == nil {
		uses = func(string, bool) {}
	}
	x := newIndex(uses)
	for d, err := range s.Store.AllDesired() {
		if unread, ok := errors.AsType[*store.RecordError](err); ok {
			d, err = s.unreadable(unread), nil
		}
		if err != nil {
			return err
		}
		x.know(d)
		x.stale[d.Container.Name] = true
	}
	s.index = x
	return nil
}

// known is what is desired of some names.
func (s *Sources) known(names set) (known []*store.Desired, err error) {
	for name := range names {
		if s.index.owners[name] == "" {
			continue
		}
		d, err := s.Store.Desired(name)
		if unread, ok := errors.AsType[*store.RecordError](err); ok {
			d, err = s.unreadable(unread), nil
		}
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		known = append(known, d)
	}
	return known, nil
}

// unreadable is what stands for a record that cannot be read.
func (s *Sources) unreadable(err *store.RecordError) *store.Desired {
	s.Log.Error(err, "left as it is: what is wanted cannot be read", "container", err.Name)
	return &store.Desired{Container: desired.Container{Name: err.Name}, Source: unreadSource}
}
