package store_test

import (
	"maps"
	"slices"
	"testing"

	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/store/storetest"
)

func TestSubscription(t *testing.T) {
	db := storetest.Open(t)
	commit := func(c store.Change) {
		t.Helper()
		if err := db.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	s := db.Subscribe()
	defer s.Close()
	took := func(all, events bool, names ...string) {
		t.Helper()
		select {
		case <-s.Ready():
		default:
			t.Fatal("the commit has returned, and nobody was told")
		}
		got := s.Take()
		if !slices.Equal(slices.Sorted(maps.Keys(got.Names)), names) || got.All != all || got.Events != events {
			t.Errorf("got %+v, want %v, all=%v, events=%v", got, names, all, events)
		}
	}
	commit(store.Change{Desired: []store.Desired{named("a"), named("b")}, Events: []store.Event{{Object: "x"}}})
	took(false, true, "a", "b")
	if err := db.UpdateVerbs(t.Context(), "a", func(v *store.Verbs) error { v.Restarts++; return nil }); err != nil {
		t.Fatal(err)
	}
	commit(store.Change{Removed: []string{"b"}})
	commit(store.Change{Record: &store.Record{Name: "c"}})
	took(false, false, "a", "b", "c")
	commit(store.Change{Down: &store.Down{By: "root", BootID: "boot"}})
	took(true, false)
	commit(store.Change{Up: true})
	took(true, false)

	if err := db.UpdateVerbs(t.Context(), "nope", func(*store.Verbs) error { return nil }); err == nil {
		t.Fatal("nope is desired")
	}
	select {
	case <-s.Ready():
		t.Error("told of what was refused")
	default:
	}
	s.Close()
	commit(store.Change{Removed: []string{"a"}})
	if got := s.Take(); len(got.Names) > 0 {
		t.Errorf("told after its end: %v", got)
	}
}
