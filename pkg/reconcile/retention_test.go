package reconcile

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/store/storetest"
)

func TestSweepLogs(t *testing.T) {
	db, dir := storetest.Open(t), t.TempDir()
	attempts := func(name string, numbers ...int) {
		for _, n := range numbers {
			a := store.Attempt{Number: n, Instance: name + "." + strconv.Itoa(n), StartCommitted: testEpoch}
			commit(t, db, store.Change{Record: &store.Record{Name: name, LastAttempt: n}, Attempt: &a})
		}
	}
	logs := func(name string, files ...string) {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if err := os.WriteFile(filepath.Join(dir, name, f), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	left := func(name string) (files []string) {
		entries, _ := os.ReadDir(filepath.Join(dir, name))
		for _, e := range entries {
			files = append(files, e.Name())
		}
		return files
	}
	attempts("web", 2, 4, 5)
	logs("web", "1.log", "2.log", "3.log", "4.log", "5.log", "6.log", "notes.log", "3.txt")
	removed := testEpoch.Add(-8 * 24 * time.Hour)
	attempts("old", 1, 2)
	commit(t, db, store.Change{Record: &store.Record{Name: "old", LastAttempt: 2, RemovedAt: removed}})
	logs("old", "1.log", "2.log")
	logs("stranger", "1.log")
	// A store that was restored, and then claimed number 3, has no attempt of it.
	attempts("claimed", 1)
	commit(t, db, store.Change{Record: &store.Record{Name: "claimed", LastAttempt: 3}})
	logs("claimed", "1.log", "2.log", "3.log")
	sweep := func() {
		if err := db.Sweep(t.Context(), testEpoch); err != nil {
			t.Fatal(err)
		}
		if err := SweepLogs(dir, db); err != nil {
			t.Fatal(err)
		}
	}
	sweep()
	// 1 may be of an earlier store's, 6 of a later one's; of attempt 3 it is known that it is no longer kept.
	if got := left("web"); !slices.Equal(got, []string{"1.log", "2.log", "3.txt", "4.log", "5.log", "6.log", "notes.log"}) {
		t.Errorf("web: %v", got)
	}
	if got := left("claimed"); !slices.Equal(got, []string{"1.log", "3.log"}) {
		t.Errorf("claimed: %v", got)
	}
	if got := left("old"); got != nil {
		t.Errorf("removed 8 days ago: %v", got)
	}
	if got := left("stranger"); len(got) != 1 {
		t.Errorf("nobody knows of it: %v", got)
	}
}

func commit(t *testing.T, db *store.DB, c store.Change) {
	t.Helper()
	if err := db.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}
