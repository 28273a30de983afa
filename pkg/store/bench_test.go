package store_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"reconciler.dev/reconciler/pkg/store"
)

// BenchmarkCommit is what a restart pays: exit and next intent, durable. A burst is so many callers at once; ns/op is a
// commit's share of it.
func BenchmarkCommit(b *testing.B) {
	for _, callers := range []int{1, 2, 8, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			db, err := store.Open(filepath.Join(b.TempDir(), "reconciler.db"), store.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			work := make(chan int)
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					for n := range work {
						if err := db.Commit(b.Context(), numbered(n)); err != nil {
							b.Error(err)
						}
					}
				})
			}
			n := 0
			for b.Loop() {
				work <- n
				n++
			}
			close(work)
			wg.Wait()
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}

// BenchmarkOpen is what a start pays for a store of 100 names with full histories, verification included.
func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "reconciler.db")
	db := open(b, path)
	for n := range 5_000 {
		if err := db.Commit(b.Context(), numbered(n)); err != nil {
			b.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		db, err := store.Open(path, store.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
