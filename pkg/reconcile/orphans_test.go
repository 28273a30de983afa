package reconcile

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/store/storetest"
)

// TestOrphans: each is told once, and removed only where nothing that could name it is unread.
func TestOrphans(t *testing.T) {
	db := storetest.Open(t)
	there := []string{"mine.1", "odd name"}
	var pruned []string
	fails := errors.New("device busy")
	o := Orphans{Store: db, Seen: func(func(string) bool) []string { return there }}
	told := func() (events []string) {
		all, err := db.Events(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			events = append(events, e.Reason+" "+e.Object)
		}
		return events
	}
	tend := func(want ...string) {
		t.Helper()
		if err := o.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := told(); !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	tend("Orphan mine.1", "Orphan odd name")
	tend("Orphan mine.1", "Orphan odd name")

	whole, spared := false, map[string]string{}
	o = Orphans{Store: db, Seen: o.Seen, WholeRead: func() bool { return whole }, Spared: func(id string) string { return spared[id] }, Prune: func(_ context.Context, id string) error {
		if id == "odd name" {
			return fails
		}
		pruned = append(pruned, id)
		return nil
	}}
	source := func(s store.Source) {
		s.Name = SourceName
		commit(t, db, store.Change{Source: &s})
	}
	for _, unread := range []func(){
		func() {},                         // no manifest was ever read
		func() { source(store.Source{}) }, // nor by this controller
		func() { whole = true; spared["mine.1"], spared["odd name"] = "it is ours", "so is this" },
		func() { clear(spared); source(store.Source{Problem: "it is gone"}) },
		func() { source(store.Source{Problem: "it is another directory"}) },
		func() { source(store.Source{Files: map[string]string{"bad.yaml": "no name"}}) },
	} {
		unread()
		if err := o.Tend(t.Context()); err != nil || pruned != nil {
			t.Fatalf("%v, pruned %v", err, pruned)
		}
	}
	source(store.Source{})
	if err := o.Tend(t.Context()); !errors.Is(err, fails) || !slices.Equal(pruned, []string{"mine.1"}) {
		t.Errorf("%v, pruned %v", err, pruned)
	}
	if got := told(); !strings.Contains(strings.Join(got, ","), "Pruned mine.1") || slices.Contains(got, "Pruned odd name") {
		t.Errorf("%q", got)
	}
}
