package main

import (
	"context"
	"time"

	"reconciler.dev/reconciler/pkg/reconcile"
)

// sweep drops what is too old to be kept: history of names that were removed long ago, and logs without an attempt on
// record.
func (d *daemon) sweep(ctx context.Context) error {
	for {
		if err := d.db.Sweep(ctx, time.Now()); err != nil && ctx.Err() == nil {
			d.log.Error(err, "old history cannot be dropped")
		}
		if err := reconcile.SweepLogs(d.paths.Logs, d.db); err != nil {
			d.log.Error(err, "old logs cannot be dropped")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Hour):
		}
	}
}
