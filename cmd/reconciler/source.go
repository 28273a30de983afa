package main

import (
	"context"
	"sync"
	"time"

	"reconciler.dev/reconciler/pkg/observed"
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

func (d *daemon) rescan() { poke(d.changed) }

// intake has what a scan of the directory changes recorded, and looked at.
func (d *daemon) intake(ctx context.Context) error {
	scan, err := d.dir.Scan()
	if err != nil {
		return d.sources.Vanished(ctx, err)
	}
	return d.sources.Scanned(ctx, scan, d.accept.Swap(false))
}

// world is an observer that has what it listed looked through for orphans.
type world struct {
	*observed.Observer
	listed func()
}

func (w world) List(ctx context.Context) error {
	err := w.Observer.List(ctx)
	if err == nil {
		w.listed()
	}
	return err
}

// tendOrphans is an actor of its own: removing one may take its time.
func (d *daemon) tendOrphans(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.listed:
		}
		if err := d.orphans.Tend(ctx); err != nil && ctx.Err() == nil {
			d.log.Error(err, "orphans")
		}
	}
}
