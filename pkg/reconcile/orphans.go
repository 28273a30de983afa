package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"reconciler.dev/reconciler/pkg/store"
)

// Orphans tends what is in our places and belongs to no name on record: it tells of each once, and removes it where that
// was asked for.
type Orphans struct {
	Seen  func(known func(name string) bool) []string // as of the last list
	Store interface {
		Names() ([]string, error)
		Source(name string) (*store.Source, error)
		Commit(ctx context.Context, c store.Change) error
	}
	// WholeRead says whether all manifests were taken in since this controller began: what the store knows of them may be
	// older than what runs.
	WholeRead func() bool
	// Spared says why an id is not to be removed; empty if nothing speaks for it.
	Spared func(id string) string
	Prune  func(ctx context.Context, id string) error // nil: they are left alone

	told map[string]string // by id, why it was left alone
}

// List is what there is of them as of the last list of instances. It may be called from any goroutine.
func (o *Orphans) List() ([]string, error) {
	names, err := o.Store.Names()
	if err != nil {
		return nil, err
	}
	return o.Seen(func(name string) bool {
		_, ours := slices.BinarySearch(names, name)
		return ours
	}), nil
}

// Tend is due after each list of instances. Only one may be under way.
func (o *Orphans) Tend(ctx context.Context) error {
	orphans, err := o.List()
	if err != nil {
		return err
	}
	said, err := o.verdict()
	if err != nil {
		return err
	}
	told := map[string]string{}
	var events []store.Event
	var errs []error
	for _, id := range orphans {
		why := said
		if why == "" {
			why = o.Spared(id)
		}
		if why == "" {
			var pruned bool
			pruned, err = o.prune(ctx, id)
			errs = append(errs, err)
			if pruned {
				events = append(events, store.Event{Time: time.Now(), Type: store.Warning, Reason: "Pruned", Object: id, Message: "it belonged to no container on record"})
			}
			continue
		}
		if told[id] = why; o.told[id] != why {
			events = append(events, store.Event{Time: time.Now(), Type: store.Warning, Reason: "Orphan", Object: id,
				Message: "it is in our runtime root, run directory or cgroup and belongs to no container on record; " + why})
		}
	}
	o.told = told
	if events != nil {
		errs = append(errs, o.Store.Commit(ctx, store.Change{Events: events}))
	}
	return errors.Join(errs...)
}

// prune removes one that still is an orphan: removing the one before may have taken its time.
func (o *Orphans) prune(ctx context.Context, id string) (bool, error) {
	still, err := o.List()
	if err != nil || !slices.Contains(still, id) {
		return false, err
	}
	err = o.Prune(ctx, id)
	return err == nil, err
}

// verdict says why orphans are left alone; empty where they are to be removed. With a store that is lost, or older than
// what runs, whatever there is looks like one until the manifests were read: what a manifest may name that cannot be read
// is nobody's to remove.
func (o *Orphans) verdict() (string, error) {
	if o.Prune == nil {
		return "it is left alone", nil
	}
	src, err := o.Store.Source(SourceName)
	switch {
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return "", err
	case err != nil || !o.WholeRead():
		return "it is left alone until the manifests were read", nil
	case src.Problem != "":
		return "it is left alone while the manifests are not followed: " + src.Problem, nil
	case len(src.Files) > 0:
		return fmt.Sprintf("it is left alone while %d manifest files have errors", len(src.Files)), nil
	}
	return "", nil
}
