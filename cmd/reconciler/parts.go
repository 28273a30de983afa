package main

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"reconciler.dev/reconciler/pkg/api"
	"reconciler.dev/reconciler/pkg/bundle"
	"reconciler.dev/reconciler/pkg/cgroup"
	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/reconcile"
	"reconciler.dev/reconciler/pkg/runc"
	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// open makes every part, starting none.
func (d *daemon) open() (err error) {
	run := subreaper.RunDir(d.paths.Run)
	runtimeRoot, bundles := filepath.Join(d.paths.Run, "runc"), filepath.Join(d.paths.Run, "bundles")
	scratch := filepath.Join(d.paths.Run, "runtime") // logs of calls that a killed controller did not see the end of
	if err := os.RemoveAll(scratch); err != nil {
		return err
	}
	oci, err := runc.New(runc.Config{
		Path: d.options.Runtime, Root: runtimeRoot, LogDir: scratch, StateDir: scratch, Timeout: runtimeTimeout,
	})
	if err != nil {
		return err
	}
	if d.cgroups, err = cgroup.Open(d.options.CgroupParent); err != nil {
		return err
	}
	if d.dir, err = desired.OpenDir(d.paths.Manifests); err != nil {
		return err
	}
	if d.pair, err = subreaper.NewClient(subreaper.Config{Run: run, State: d.paths.State, Log: d.log.WithName("subreaper").Info}); err != nil {
		return err
	}
	node := &reconcile.Node{
		Runtime: oci, RuntimeRoot: runtimeRoot, Pair: d.pair, Cgroups: d.cgroups, Run: run, Bundles: bundles, Logs: d.paths.Logs,
	}
	d.observer, err = observed.New(observed.Config{
		Looker:     observed.Looker{Run: run, RuntimeRoot: runtimeRoot, Cgroups: d.cgroups, ReadOrigin: node.Origin},
		BundlesDir: bundles, LogsDir: d.paths.Logs,
		Ask: func(ctx context.Context) ([]string, error) { return listed(ctx, oci) },
	})
	if err != nil {
		return err
	}
	if d.db, err = store.Open(d.paths.Store(), store.Options{}); err != nil {
		d.observer.Close()
		return err
	}
	if recovered := d.db.Recovered(); recovered != "" {
		d.log.Info("the store is not as it was left", "detail", recovered)
	}
	d.snapshots = &reconcile.Snapshots{Store: d.db, Log: d.log}
	node.Cleaned = d.observer.Forget
	executor := &reconcile.Executor{Effects: node, Records: d.db, Log: d.log, Now: time.Now}
	d.orphans = &reconcile.Orphans{
		Seen: d.observer.Orphans, Store: d.db, Spared: node.Spared, WholeRead: func() bool { return d.sources.WholeRead() },
	}
	if d.options.Prune {
		d.orphans.Prune = node.Prune
	}
	reader := api.Reader{
		DB: d.db, LogDir: d.paths.Logs,
		Observe: func(q []observed.Question) observed.Snapshot { return d.observer.Look(nil, q) },
		Orphans: d.orphans.List, TellsExits: d.pair.TellsExits,
	}
	d.hub = api.NewHub(&reader)
	d.loop = reconcile.NewLoop(reconcile.Config{
		World: world{d.observer, func() { poke(d.listed) }}, Wants: d.db, Now: time.Now, Resync: d.options.Resync,
		Do: func(ctx context.Context, a reconcile.Action) error {
			defer d.hub.Look(a.Name) // what an effect has led to is seen, not on record
			return executor.Do(ctx, a)
		},
		Calls: max(4, 2*runtime.NumCPU()), Log: d.log,
	})
	d.bundles = bundle.NewWatcher(func(err error) {
		d.log.Error(err, "not every bundle can be watched; all are looked at at each resync")
	})
	d.sources = &reconcile.Sources{Store: d.db, Load: d.bundles.Load, Uses: d.bundles.Use, Wake: d.loop.Wake, Log: d.log}
	d.server = api.NewServer(&api.Node{
		Reader:  reader,
		Hub:     d.hub,
		Wishes:  d.sources,
		Wake:    d.wake,
		WakeAll: d.loop.WakeAll,
		Steps:   d.loop.Steps,
		Signal:  node.Signal,
		End:     d.goDown,
		Rescan:  d.rescan,
		Build:   api.Build(),
	}, d.log)
	return nil
}

// listed are the ids that the runtime knows, the damaged ones included.
func listed(ctx context.Context, oci *runc.Runtime) ([]string, error) {
	states, damaged, err := oci.List(ctx)
	var ids []string
	for _, s := range states {
		ids = append(ids, s.ID)
	}
	for _, d := range damaged {
		ids = append(ids, d.ID)
	}
	return ids, err
}
