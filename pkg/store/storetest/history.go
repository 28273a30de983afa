package storetest

import (
	"fmt"
	"testing"
	"time"

	"reconciler.dev/reconciler/pkg/store"
)

func historyBounded(t *testing.T, db *store.DB) {
	const total = 130
	for n := range total {
		commit(t, db, store.Change{
			Record: record("web", n+1), Attempt: new(started("web", n+1)), Exit: exit("web", n+1, n%256),
		})
	}
	commit(t, db, store.Change{Record: record("other", 1), Exit: exit("other", 1, 0)})
	wanted := []int{1}
	for n := total - 98; n <= total; n++ {
		wanted = append(wanted, n)
	}
	var attempts, ends []int
	for _, a := range must[[]store.Attempt](t)(db.Attempts("web")) {
		attempts = append(attempts, a.Number)
	}
	for _, e := range exits(t, db, "web") {
		ends = append(ends, e.Attempt)
	}
	equal(t, "attempts kept", attempts, wanted)
	equal(t, "exits kept", ends, wanted)
	equal(t, "exits of another name", len(exits(t, db, "other")), 1)

	// An exit whose attempt is no longer kept has no start on record, so it cannot come back.
	refuse(t, db, store.Change{Exit: exit("web", 2, 0)}, store.ErrNotStarted)
}

func eventsBounded(t *testing.T, db *store.DB) {
	const total, most, group = 10_050, 10_000, 150
	for i := 0; i < total; i += group {
		var c store.Change
		for n := range group {
			c.Events = append(c.Events, store.Event{Time: now, Reason: "Tick", Message: fmt.Sprint(i + n + 1)})
		}
		commit(t, db, c)
	}
	all := must[[]store.Event](t)(db.Events(0, 0))
	if len(all) != most || all[0].Seq != total-most+1 || all[most-1].Seq != total {
		t.Fatalf("%d events from %d to %d", len(all), all[0].Seq, all[len(all)-1].Seq)
	}
	for _, e := range all {
		if e.Message != fmt.Sprint(e.Seq) {
			t.Fatalf("event %d is the one committed as number %s", e.Seq, e.Message)
		}
	}
	equal(t, "a page", must[[]store.Event](t)(db.Events(total-5, 3)), all[most-5:most-2])
	equal(t, "behind the last", must[[]store.Event](t)(db.Events(total, 0)), []store.Event{})
}

func sweepForgets(t *testing.T, db *store.DB) {
	for _, name := range []string{"gone", "recent", "back", "here"} {
		commit(t, db, store.Change{
			Record: record(name, 3), Attempt: new(started(name, 3)), Exit: exit(name, 3, 0),
			Events: []store.Event{{Time: now, Reason: "Exited", Object: name}},
		})
	}
	tombstone := func(name string, at time.Time) {
		commit(t, db, store.Change{Record: &store.Record{Name: name, LastAttempt: 3, RemovedAt: at, LastError: "x"}})
	}
	tombstone("gone", now)
	tombstone("recent", now.Add(time.Hour))
	tombstone("back", now)
	commit(t, db, store.Change{Desired: []store.Desired{want("back")}})

	for range 2 { // the second one finds nothing to do
		if err := db.Sweep(t.Context(), now.Add(7*24*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	left := map[string]int{}
	for _, e := range must[[]store.Event](t)(db.Events(0, 0)) {
		left[e.Object]++
	}
	equal(t, "events", left, map[string]int{"recent": 1, "back": 1, "here": 1})
	for name, n := range map[string]int{"gone": 0, "recent": 1, "back": 1, "here": 1} {
		equal(t, "exits of "+name, len(exits(t, db, name)), n)
		equal(t, "attempts of "+name, len(must[[]store.Attempt](t)(db.Attempts(name))), n)
	}
	equal(t, "tombstone", must[store.Record](t)(db.Record("gone")),
		store.Record{Name: "gone", LastAttempt: 3, RemovedAt: now})
	refuse(t, db, store.Change{Record: record("gone", 1)}, store.ErrAttemptReused)

	// A sequence number is not given out again, though the newest events are gone.
	commit(t, db, store.Change{Events: []store.Event{{Reason: "Later"}}})
	equal(t, "next event", len(must[[]store.Event](t)(db.Events(4, 0))), 1)
}
