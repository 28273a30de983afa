package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/store"
)

// followSource keeps what is desired as the manifests directory says it. Any event means "list again"; so does the
// resync, since events can be lost.
func (d *daemon) followSource(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	watching := make(chan error, 1)
	wg.Go(func() { watching <- d.dir.Watch(ctx, d.rescan) })
	resync := time.NewTicker(d.options.Resync)
	defer resync.Stop()
	for {
		if err := d.intake(ctx); err != nil && ctx.Err() == nil {
			d.log.Error(err, "what the manifests say cannot be recorded")
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-watching:
			if ctx.Err() == nil {
				d.log.Error(err, "the manifests directory cannot be watched; it is read at each resync")
			}
			watching = nil
		case <-d.changed:
		case <-resync.C:
		}
	}
}

func (d *daemon) rescan() {
	select {
	case d.changed <- struct{}{}:
	default: // one is due
	}
}

// intake has what a scan of the directory changes recorded, and looked at.
func (d *daemon) intake(ctx context.Context) error {
	scan, err := d.dir.Scan()
	if err != nil {
		return d.sources.Vanished(ctx, err)
	}
	return d.sources.Scanned(ctx, scan, d.accept.Swap(false))
}

// world is an observer that tells of orphans after each list.
type world struct {
	*observed.Observer
	tell func(context.Context) error
}

func (w world) List(ctx context.Context) error {
	if err := w.Observer.List(ctx); err != nil {
		return err
	}
	return w.tell(ctx)
}

// tellOrphans makes an event of what is in our places and belongs to no name of ours. It is left alone.
func (d *daemon) tellOrphans(ctx context.Context) error {
	names, err := d.db.Names()
	if err != nil {
		return err
	}
	orphans := d.observer.Orphans(func(name string) bool {
		_, ours := slices.BinarySearch(names, name)
		return ours
	})
	var events []store.Event
	for _, id := range orphans {
		if !slices.Contains(d.orphans, id) {
			events = append(events, store.Event{Time: time.Now(), Type: store.Warning, Reason: "Orphan", Object: id,
				Message: "it is in our runtime root, run directory or cgroup and belongs to no container on record; it is left alone"})
		}
	}
	d.orphans = orphans
	if events == nil {
		return nil
	}
	return d.db.Commit(ctx, store.Change{Events: events})
}
