// Package storetest is what tests need that use a store: one that is fast and checked when the test ends, and the suite
// that says what a store promises.
package storetest

import (
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// Open returns an empty store that is closed and checked when the test ends. It never syncs, so it is fast.
func Open(t testing.TB) *store.DB {
	t.Helper()
	path := filepath.Join(t.TempDir(), "reconciler.db")
	db, err := store.Open(path, store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
		Check(t, path)
	})
	return db
}

// BootID is that of the running boot, which the suite expects the store to be of.
func BootID(t testing.TB) string {
	t.Helper()
	return must[string](t)(subreaper.BootID())
}

// Check fails the test if the closed store at path is not a consistent bbolt file.
func Check(t testing.TB, path string) {
	t.Helper()
	b, err := bbolt.Open(path, 0, &bbolt.Options{ReadOnly: true, Timeout: time.Second, PreLoadFreelist: true})
	if err != nil {
		t.Errorf("check store: %v", err)
		return
	}
	defer b.Close()
	err = b.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			t.Errorf("store is inconsistent: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Errorf("check store: %v", err)
	}
}

// Run holds the promises of store.DB against what open returns, a new one for each.
func Run(t *testing.T, open func(t *testing.T) *store.DB) {
	for _, promise := range []struct {
		name string
		test func(*testing.T, *store.DB)
	}{
		{"an empty store has nothing", emptyHasNothing},
		{"what was put comes back", putComesBack},
		{"a removed name loses its verbs", removedLosesVerbs},
		{"verbs are changed one at a time", verbsOneAtATime},
		{"a node that is down holds every name until it is up", downHoldsAll},
		{"attempt numbers are not reused", attemptsNotReused},
		{"the first exit stands", firstExitStands},
		{"unknown gives way to a known exit", unknownGivesWay},
		{"an exit of another process is refused", otherProcessRefused},
		{"an exit without a start is refused", notStartedRefused},
		{"the attempt is looked up in three places", attemptLookedUp},
		{"history is bounded", historyBounded},
		{"events are numbered and bounded", eventsBounded},
		{"sweep forgets the long removed", sweepForgets},
		{"iterators hold no transaction", iteratorsHoldNone},
	} {
		t.Run(promise.name, func(t *testing.T) { promise.test(t, open(t)) })
	}
}
