package reconcile

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"reconciler.dev/reconciler/pkg/store"
)

// SweepLogs removes, below dir, the logs of attempts that are known to have been and are no longer on record. What the
// store does not know of stays: the store may be the younger one. The highest log of a name stays as long as its history
// does: after a loss of the store it may be all that keeps its number from being used again.
func SweepLogs(dir string, db *store.DB) error {
	names, err := db.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		record, err := db.Record(name)
		if err != nil {
			continue // not known is not over
		}
		attempts, err := db.Attempts(name)
		if err != nil {
			continue
		}
		if err := sweepLogsOf(filepath.Join(dir, name), record, append(attempts, record.Attempts...)); err != nil {
			return err
		}
	}
	return nil
}

func sweepLogsOf(dir string, record store.Record, onRecord []store.Attempt) error {
	kept, oldest := map[int]bool{}, record.LastAttempt+1
	for _, a := range onRecord {
		kept[a.Number] = true
		oldest = min(oldest, a.Number)
	}
	if !record.RemovedAt.IsZero() && len(kept) == 0 {
		oldest = 0 // its history is over
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // it never wrote any
	}
	logs := map[int]string{}
	for _, e := range entries {
		number, isLog := strings.CutSuffix(e.Name(), ".log")
		if n, err := strconv.Atoi(number); isLog && err == nil {
			logs[n] = e.Name()
		}
	}
	if len(logs) > 0 && oldest > 0 {
		kept[slices.Max(slices.Collect(maps.Keys(logs)))] = true
	}
	for n, name := range logs {
		if kept[n] || n < oldest || n > record.LastAttempt {
			continue
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	if !record.RemovedAt.IsZero() {
		_ = os.Remove(dir) // once it is empty
	}
	return nil
}
