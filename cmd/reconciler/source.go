package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"reconciler.dev/reconciler/pkg/api"
	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/reconcile"
)

// quiet is how long no file of the manifests directory must have changed before all of it is looked at once more: an
// event that was lost or misread costs time, never truth.
const quiet = time.Second

// followSource keeps what is desired as the manifests directory and the bundles say it. An event names the files that may
// have changed; the start, the resync and whatever leaves a doubt mean all of them.
func (d *daemon) followSource(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	watching := make(chan error, 1)
	wg.Go(func() { watching <- d.dir.Watch(ctx, d.changed.add) })
	resync := time.NewTicker(d.options.Resync)
	defer resync.Stop()
	begin := sync.OnceFunc(func() { // every bundle in use is read by then: what the watch compares with
		d.reload(ctx, nil)
		wg.Go(func() { d.bundles.Watch(ctx, func(bundles []string) { d.reload(ctx, bundles) }) })
	})
	calm := time.NewTimer(quiet)
	d.changed.add(nil)
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-watching:
			if ctx.Err() == nil {
				d.log.Error(err, "the manifests directory cannot be watched; it is read at each resync")
			}
			watching = nil
		case r := <-d.rescans:
			r.done <- d.scanned(ctx, r.confirmed)
		case <-d.changed.wake:
			if partial := d.intake(ctx); partial {
				calm.Reset(quiet)
			}
			begin()
		case <-calm.C:
			d.changed.add(nil)
		case <-resync.C:
			d.changed.add(nil)
			d.reload(ctx, nil)
			d.bundles.Recheck()
		}
	}
}

// intake has recorded, and looked at, what is new in the files that may have changed. It tells whether anything was left
// out.
func (d *daemon) intake(ctx context.Context) (partial bool) {
	files, all := d.changed.take()
	read := d.dir.Scan
	if !all {
		read = func() (desired.Scan, error) { return d.dir.Look(files) }
	}
	scan, err := read()
	if err == nil {
		err = d.sources.Scanned(ctx, scan, false)
	} else {
		err = d.sources.Vanished(ctx, err)
	}
	if err != nil && ctx.Err() == nil {
		d.log.Error(err, "what the manifests say cannot be recorded")
		return true
	}
	return scan.Partial
}

// rescan asks for a look at the whole manifests directory by who reads it, followSource.
type rescan struct {
	confirmed bool
	done      chan error
}

// rescan returns once the whole manifests directory was taken in; confirmed accepts one that is not the one it was. The
// error is ErrConflict if it is not followed.
func (d *daemon) rescan(ctx context.Context, confirmed bool) error {
	r := rescan{confirmed, make(chan error, 1)}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case d.rescans <- r:
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-r.done:
		return err
	}
}

func (d *daemon) scanned(ctx context.Context, confirmed bool) error {
	scan, err := d.dir.Scan()
	if err != nil {
		return errors.Join(&api.Error{Reason: "Conflict", Message: err.Error()}, d.sources.Vanished(ctx, err))
	}
	if err := d.sources.Scanned(ctx, scan, confirmed); err != nil {
		return err
	}
	source, err := d.db.Source(reconcile.SourceName)
	if err == nil && source.Problem != "" {
		err = &api.Error{Reason: "Conflict", Message: source.Problem}
	}
	return err
}

// reload has recorded what other config.jsons change.
func (d *daemon) reload(ctx context.Context, bundles []string) {
	if err := d.sources.Reload(ctx, bundles...); err != nil && ctx.Err() == nil {
		d.log.Error(err, "what bundles say cannot be recorded")
	}
}

// changes collects which files of the manifests directory are to be looked at.
type changes struct {
	wake chan struct{}

	mu    sync.Mutex
	all   bool
	files map[string]bool
}

func newChanges() *changes { return &changes{wake: make(chan struct{}, 1), files: map[string]bool{}} }

// add asks for a look at files, none of them meaning all there are.
func (c *changes) add(files []string) {
	c.mu.Lock()
	c.all = c.all || len(files) == 0
	for _, file := range files {
		c.files[file] = true
	}
	c.mu.Unlock()
	poke(c.wake)
}

func (c *changes) take() (files []string, all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	files, all = slices.Collect(maps.Keys(c.files)), c.all
	c.files, c.all = map[string]bool{}, false
	return files, all
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
