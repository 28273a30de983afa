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
	Prune func(ctx context.Context, id string) error // nil: they are left alone

	told []string
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
	var events []store.Event
	var errs []error
	for _, id := range orphans {
		if said == "" {
			err := o.Prune(ctx, id)
			errs = append(errs, err)
			if err == nil {
				events = append(events, store.Event{Time: time.Now(), Type: store.Warning, Reason: "Pruned", Object: id, Message: "it belonged to no container on record"})
			}
		} else if !slices.Contains(o.told, id) {
			events = append(events, store.Event{Time: time.Now(), Type: store.Warning, Reason: "Orphan", Object: id,
				Message: "it is in our runtime root, run directory or cgroup and belongs to no container on record; " + said})
		}
	}
	o.told = orphans
	if events != nil {
		errs = append(errs, o.Store.Commit(ctx, store.Change{Events: events}))
	}
	return errors.Join(errs...)
}

// verdict says why orphans are left alone; empty where they are to be removed. After loss of the store all there is looks
// like one until the manifests were read: what a manifest may name that cannot be read is nobody's to remove.
func (o *Orphans) verdict() (string, error) {
	if o.Prune == nil {
		return "it is left alone", nil
	}
	src, err := o.Store.Source(SourceName)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "it is left alone until the manifests were read", nil
	case err != nil:
		return "", err
	case src.Problem != "":
		return "it is left alone while the manifests are not followed: " + src.Problem, nil
	case len(src.Files) > 0:
		return fmt.Sprintf("it is left alone while %d manifest files have errors", len(src.Files)), nil
	}
	return "", nil
}
