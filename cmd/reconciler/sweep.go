package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// sweep drops what is too old to be kept: history of names that were removed long ago, and logs without an attempt on
// record.
func (d *daemon) sweep(ctx context.Context) error {
	for {
		if err := d.db.Sweep(ctx, time.Now()); err != nil && ctx.Err() == nil {
			d.log.Error(err, "old history cannot be dropped")
		}
		if err := d.sweepLogs(); err != nil {
			d.log.Error(err, "old logs cannot be dropped")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Hour):
		}
	}
}

// sweepLogs removes the logs of attempts that are known to have been and are no longer on record. What the store does
// not know of stays: the store may be the younger one.
func (d *daemon) sweepLogs() error {
	names, err := d.db.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		record, err := d.db.Record(name)
		if err != nil {
			continue // not known is not over
		}
		attempts, err := d.db.Attempts(name)
		if err != nil {
			continue
		}
		kept, oldest := map[int]bool{}, record.LastAttempt+1
		for _, a := range append(attempts, record.Attempts...) {
			kept[a.Number] = true
			oldest = min(oldest, a.Number)
		}
		if !record.RemovedAt.IsZero() && len(kept) == 0 {
			oldest = 0 // its history is over
		}
		dir := filepath.Join(d.paths.Logs, name)
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // it never wrote any
		}
		for _, e := range entries {
			number, isLog := strings.CutSuffix(e.Name(), ".log")
			n, err := strconv.Atoi(number)
			if !isLog || err != nil || kept[n] || n < oldest || n > record.LastAttempt {
				continue
			}
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
		if !record.RemovedAt.IsZero() {
			_ = os.Remove(dir) // once it is empty
		}
	}
	return nil
}
