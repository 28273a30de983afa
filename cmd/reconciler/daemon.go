package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/go-logr/logr"

	"reconciler.dev/reconciler/pkg/api"
	"reconciler.dev/reconciler/pkg/bundle"
	"reconciler.dev/reconciler/pkg/cgroup"
	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/reconcile"
	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// runtimeTimeout bounds every call of the runtime but create, which has hooks to run.
const runtimeTimeout = 10 * time.Second

// daemon is the controller: its parts, each an actor or what actors share.
type daemon struct {
	paths    Paths
	options  runOptions
	log      logr.Logger
	db       *store.DB
	dir      *desired.Dir
	bundles  *bundle.Watcher
	sources  *reconcile.Sources
	cgroups  *cgroup.Parent
	pair     *subreaper.Client
	observer *observed.Observer
	loop     *reconcile.Loop
	hub      *api.Hub
	server   *api.Server
	listener *api.Listener
	runLock  dirLock

	orphans   *reconcile.Orphans
	snapshots *reconcile.Snapshots
	listed    chan struct{} // instances were listed
	down      chan struct{} // asks the actor of that name
	wiped     chan struct{} // something of the run directory is gone
	changed   *changes      // what to look at in the manifests directory
	rescans   chan rescan   // asks for a scan at once
}

// runDaemon runs the controller until ctx ends, it is told to go down, or an actor fails.
func runDaemon(ctx context.Context, paths Paths, o runOptions, stderr io.Writer) error {
	// Containers' working directories are made by us; what is ours alone has modes of its own.
	syscall.Umask(0o022)
	debug.SetGCPercent(100)
	if err := prepare(paths); err != nil {
		return err
	}
	stateLock, err := lockController(ctx, paths.State) // either one shared is too much
	if err != nil {
		return err
	}
	defer func() { _ = stateLock.Close() }()
	runLock, err := lockController(ctx, paths.Run)
	if err != nil {
		return err
	}
	log, flush := newLogger(stderr)
	defer flush()
	d := &daemon{
		paths: paths, options: o, log: log, runLock: dirLock{paths.Run, runLock},
		listed: make(chan struct{}, 1), down: make(chan struct{}, 1), wiped: make(chan struct{}, 1),
		changed: newChanges(), rescans: make(chan rescan),
	}
	defer func() { _ = d.runLock.file.Close() }()
	if err := d.open(); err != nil {
		return err
	}
	defer d.close()
	return d.run(ctx)
}

func (d *daemon) close() {
	d.observer.Close()
	patience, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	d.snapshots.Take(patience)
	if err := d.db.Close(); err != nil {
		d.log.Error(err, "the store does not close")
	}
}

// run has all actors start together and end together: when ctx ends, when one fails, or when all containers are down.
func (d *daemon) run(ctx context.Context) (err error) {
	if d.listener, err = api.Listen(d.paths.Socket); err != nil {
		return err
	}
	downCtx, isDown := context.WithCancel(ctx)
	defer isDown()
	actors := map[string]func(context.Context) error{
		"subreaper": d.pair.Keep,
		"watch": func(ctx context.Context) error {
			return d.observer.Watch(ctx, d.wake, d.loop.WakeAll, func() { poke(d.wiped) })
		},
		"run":      d.keepRunDir,
		"loop":     d.loop.Run,
		"source":   d.followSource,
		"orphans":  d.tendOrphans,
		"sweep":    d.sweep,
		"snapshot": d.snapshots.Run,
		"hub":      d.hub.Run,
		"api": func(ctx context.Context) error {
			stop := context.AfterFunc(ctx, func() {
				patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
				defer cancel()
				_ = d.server.Shutdown(patience) // an answer that takes longer is cut off
			})
			defer stop()
			if err := d.server.Serve(d.listener); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		},
		"down": func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return nil
			case <-d.down:
			}
			d.log.Info("going down: every container is stopped")
			if err := d.loop.Drain(ctx); err != nil {
				return err
			}
			isDown()
			return nil
		},
	}
	d.log.Info("running", "manifests", d.paths.Manifests, "socket", d.paths.Socket, "cgroupParent", d.options.CgroupParent)
	err = together(downCtx, actors)
	if ctx.Err() == nil && err == nil && downCtx.Err() == nil {
		return errors.New("an actor ended that nobody had asked to")
	}
	if ctx.Err() == nil && err == nil {
		return d.endPair(context.WithoutCancel(ctx))
	}
	d.log.Info("ended; the containers run on, and the next controller finds them")
	if err == nil {
		err = ctx.Err() // whoever is ended by a signal says so by its status
	}
	return err
}

// wake is told of what may have changed: the loop acts on it, and those who watch are shown.
func (d *daemon) wake(name string) {
	d.loop.Wake(name)
	d.hub.Look(name)
}

// goDown is asked for by the API; it is carried out by an actor.
func (d *daemon) goDown(context.Context) error {
	poke(d.down)
	return nil
}

// poke asks an actor to look; one that was asked already and has not looked yet is not asked twice.
func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// endPair ends what is left once every container is down.
func (d *daemon) endPair(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		err := d.pair.Stop(ctx)
		if err == nil {
			break
		}
		if !errors.Is(err, subreaper.ErrBusy) {
			return err
		}
		select { // it may not have noticed the last death yet
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
	d.log.Info("ended; nothing is left running")
	return d.cgroups.RemoveParent()
}

// together runs actors until all have ended. The first to end ends the others; its error, or theirs, is returned.
func together(ctx context.Context, actors map[string]func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	failed := make(chan error, len(actors))
	for name, act := range actors {
		wg.Go(func() {
			defer cancel()
			if err := act(ctx); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.Cause(ctx)) {
				failed <- fmt.Errorf("%s: %w", name, err)
			}
		})
	}
	wg.Wait()
	close(failed)
	var all []error
	for err := range failed {
		all = append(all, err)
	}
	return errors.Join(all...)
}
