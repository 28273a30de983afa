package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/store/storetest"
)

// transactions is how many have been written to db.
func transactions(t *testing.T, db *store.DB) (n int) {
	t.Helper()
	if err := store.Bolt(db).View(func(tx *bbolt.Tx) error { n = tx.ID(); return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// holdWriter keeps the writer inside a transaction of its own until the function returned is called.
func holdWriter(t *testing.T, db *store.DB) (release func()) {
	t.Helper()
	if err := db.Commit(t.Context(), store.Change{Desired: []store.Desired{named("busy")}}); err != nil {
		t.Fatal(err)
	}
	free, done := make(chan struct{}), make(chan error)
	go func() {
		done <- db.UpdateVerbs(t.Context(), "busy", func(*store.Verbs) error { <-free; return nil })
	}()
	synctest.Wait()
	return func() {
		close(free)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func named(name string) (d store.Desired) {
	d.Container.Name = name
	return d
}

func TestBurstSharesATransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := storetest.Open(t)
		release := holdWriter(t, db)
		before := transactions(t, db)
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() { commitEvent(t, db, fmt.Sprint("E", i)) })
		}
		synctest.Wait()
		release()
		wg.Wait()
		// The one that was held, and the burst's.
		if n := transactions(t, db) - before; n != 2 {
			t.Errorf("%d transactions, want 2", n)
		}
		if n := len(strings.Fields(reasons(t, db))); n != 100 {
			t.Errorf("%d events, want 100", n)
		}
	})
}

func TestBadChangeFailsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := storetest.Open(t)
		release := holdWriter(t, db)
		bad := func(i int) bool { return i%4 == 1 }
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				c := store.Change{Desired: []store.Desired{named(fmt.Sprintf("n%02d", i))}}
				if bad(i) {
					c.Exit = &store.Exit{Instance: "web.1", Attempt: 1}
				}
				if err := db.Commit(t.Context(), c); errors.Is(err, store.ErrNotStarted) != bad(i) {
					t.Errorf("change %d: %v", i, err)
				}
			})
		}
		synctest.Wait()
		release()
		wg.Wait()
		for i := range 20 {
			_, err := db.Desired(fmt.Sprintf("n%02d", i))
			if errors.Is(err, store.ErrNotFound) != bad(i) {
				t.Errorf("name of change %d: %v", i, err)
			}
		}
	})
}

func TestContextEndsTheWaitForTheWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := storetest.Open(t)
		release := holdWriter(t, db)
		ctx, cancel := context.WithCancel(t.Context())
		late := make(chan error)
		go func() { late <- db.Commit(ctx, store.Change{Events: []store.Event{{Reason: "Late"}}}) }()
		synctest.Wait()
		cancel()
		if err := <-late; !errors.Is(err, context.Canceled) {
			t.Errorf("commit: %v", err)
		}
		release()
		if err := db.Commit(ctx, store.Change{}); !errors.Is(err, context.Canceled) {
			t.Errorf("commit with an ended context: %v", err)
		}
		if got := reasons(t, db); got != "" {
			t.Errorf("events %q", got)
		}
	})
}

// Whoever waits for the writer when the store is closed is told, and whatever is under way is finished.
func TestCloseWithCallersWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := storetest.Open(t)
		release := holdWriter(t, db)
		waiting, closed := make(chan error), make(chan error)
		go func() { waiting <- db.Commit(t.Context(), store.Change{}) }()
		synctest.Wait()
		go func() { closed <- db.Close() }()
		if err := <-waiting; !errors.Is(err, store.ErrClosed) {
			t.Errorf("commit: %v", err)
		}
		release()
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

func TestFullDiskFailsTheCommitOnly(t *testing.T) {
	db := storetest.Open(t)
	commitEvent(t, db, "Before")
	store.Bolt(db).MaxSize = 1 << 15
	big := store.Event{Reason: "Big", Message: strings.Repeat("x", 1<<20)}
	if err := db.Commit(t.Context(), store.Change{Events: []store.Event{big}}); !errors.Is(err, bolterrors.ErrMaxSizeReached) {
		t.Errorf("commit without room: %v", err)
	}
	store.Bolt(db).MaxSize = 0
	commitEvent(t, db, "After")
	if got := reasons(t, db); got != "Before After" {
		t.Errorf("events %q", got)
	}
}
