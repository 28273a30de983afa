package storetest

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"time"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/store"
)

func emptyHasNothing(t *testing.T, db *store.DB) {
	if d, err := db.Desired("web"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Desired: %v, %v", d, err)
	}
	if s, err := db.Source("manifests"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Source: %v, %v", s, err)
	}
	equal(t, "record", must[store.Record](t)(db.Record("web")), store.Record{Name: "web"})
	equal(t, "attempts", must[[]store.Attempt](t)(db.Attempts("web")), []store.Attempt{})
	equal(t, "exits", must[[]store.Exit](t)(db.Exits("web")), []store.Exit{})
	equal(t, "events", must[[]store.Event](t)(db.Events(0, 0)), []store.Event{})
	if names := must[[]string](t)(db.Names()); len(names) > 0 {
		t.Errorf("names %v", names)
	}
	for d, err := range db.AllDesired() {
		t.Errorf("AllDesired: %v, %v", d, err)
	}
	for r, err := range db.Records() {
		t.Errorf("Records: %v, %v", r, err)
	}
}

func putComesBack(t *testing.T, db *store.DB) {
	web, broken := want("web"), want("broken")
	web.Config, web.InputHash = []byte(`{"big":18446744073709551615}`), "h"
	web.Container.Spec.Process.Env = map[string]*string{"GONE": nil, "SET": new("1")}
	source := store.Source{Name: "manifests", Identity: "8:1:77:0", Files: map[string]string{"a.yaml": "no kind"}}
	rec := record("web", 2)
	rec.LastExit = exit("web", 1, 1)
	rec.Backoff = store.Wait{Until: now.Add(time.Second), Length: time.Second}
	commit(t, db, store.Change{
		Desired: []store.Desired{web, broken}, Source: &source, Record: rec, Attempt: new(started("web", 1)),
		Exit: exit("web", 1, 1),
	})
	commit(t, db, store.Change{Record: record("old", 1)})

	equal(t, "Desired", must[*store.Desired](t)(db.Desired("web")), &web)
	for name, want := range map[string][]byte{"web": web.Config, "broken": nil} {
		if d := must[*store.Desired](t)(db.Desired(name)); !bytes.Equal(d.Config, want) {
			t.Errorf("%s: config %q, want %q", name, d.Config, want)
		}
	}
	commit(t, db, store.Change{Removed: []string{"web"}})
	commit(t, db, store.Change{Desired: []store.Desired{{Container: web.Container, InputHash: "another"}}})
	if d, err := db.Desired("web"); !isRecordError(err) {
		t.Errorf("a removed name's config came back: %+v, %v", d, err)
	}
	equal(t, "Source", must[*store.Source](t)(db.Source("manifests")), &source)
	equal(t, "Record", must[store.Record](t)(db.Record("web")), *rec)
	equal(t, "Attempts", must[[]store.Attempt](t)(db.Attempts("web")), []store.Attempt{started("web", 1)})
	equal(t, "Exits", must[[]store.Exit](t)(db.Exits("web")), []store.Exit{*exit("web", 1, 1)})
	equal(t, "Names", must[[]string](t)(db.Names()), []string{"broken", "old", "web"})

	var all, recs []string
	for d, err := range db.AllDesired() {
		all = append(all, must[*store.Desired](t)(d, err).Container.Name)
	}
	for r, err := range db.Records() {
		recs = append(recs, must[store.Record](t)(r, err).Name)
	}
	equal(t, "AllDesired", all, []string{"broken", "web"})
	equal(t, "Records", recs, []string{"old", "web"})
}

func isRecordError(err error) bool {
	_, ok := errors.AsType[*store.RecordError](err)
	return ok
}

func stop(v *store.Verbs) error {
	v.Override = &store.Override{State: desired.Stopped, By: "root", At: now}
	return nil
}

func removedLosesVerbs(t *testing.T, db *store.DB) {
	commit(t, db, store.Change{Desired: []store.Desired{want("web")}})
	if err := db.UpdateVerbs(t.Context(), "web", stop); err != nil {
		t.Fatal(err)
	}
	// A new spec keeps the verbs, whatever the caller has in them.
	again := want("web")
	again.Generation, again.Verbs = 2, store.Verbs{Restarts: 99}
	commit(t, db, store.Change{Desired: []store.Desired{again}})
	d := must[*store.Desired](t)(db.Desired("web"))
	if d.Generation != 2 || d.Verbs.Restarts != 0 || d.State() != desired.Stopped {
		t.Errorf("after an edit: generation %d, verbs %+v", d.Generation, d.Verbs)
	}
	for d := range db.AllDesired() {
		equal(t, "verbs in AllDesired", d.Verbs.Override, &store.Override{State: desired.Stopped, By: "root", At: now})
	}

	commit(t, db, store.Change{Removed: []string{"web", "never-was"}})
	if _, err := db.Desired("web"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after removal: %v", err)
	}
	commit(t, db, store.Change{Desired: []store.Desired{want("web")}})
	equal(t, "verbs after return", must[*store.Desired](t)(db.Desired("web")).Verbs, store.Verbs{})
}

func verbsOneAtATime(t *testing.T, db *store.DB) {
	restart := func(v *store.Verbs) error { v.Restarts++; return nil }
	if err := db.UpdateVerbs(t.Context(), "web", restart); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("verbs of a name not desired: %v", err)
	}
	commit(t, db, store.Change{Desired: []store.Desired{want("web")}})
	refusal := errors.New("no")
	err := db.UpdateVerbs(t.Context(), "web", func(v *store.Verbs) error { v.Restarts = 50; return refusal })
	if !errors.Is(err, refusal) {
		t.Errorf("the function's error came back as %v", err)
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := db.UpdateVerbs(t.Context(), "web", restart); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := must[*store.Desired](t)(db.Desired("web")).Verbs.Restarts; n != 20 {
		t.Errorf("%d restarts counted, want 20", n)
	}
}

func attemptsNotReused(t *testing.T, db *store.DB) {
	commit(t, db, store.Change{Record: record("web", 5)})
	refuse(t, db, store.Change{Record: record("web", 4)}, store.ErrAttemptReused)
	refuse(t, db, store.Change{Record: &store.Record{Name: "web"}}, store.ErrAttemptReused)
	beyond := record("web", 6)
	beyond.LastAttempt = 5
	refuse(t, db, store.Change{Record: beyond}, store.ErrAttemptReused)

	// Removed and back.
	commit(t, db, store.Change{Record: &store.Record{Name: "web", LastAttempt: 5, RemovedAt: now}, Removed: []string{"web"}})
	commit(t, db, store.Change{Desired: []store.Desired{want("web")}})
	refuse(t, db, store.Change{Record: record("web", 1)}, store.ErrAttemptReused)
	if r := must[store.Record](t)(db.Record("web")); r.LastAttempt != 5 {
		t.Errorf("last attempt is %d after removal and return, want 5", r.LastAttempt)
	}
}

func iteratorsHoldNone(t *testing.T, db *store.DB) {
	for i := range 3 {
		name := string(rune('a' + i))
		commit(t, db, store.Change{Desired: []store.Desired{want(name)}, Record: record(name, 1)})
	}
	// A megabyte makes bbolt map the file anew, for which it waits until no reader is left.
	big := store.Event{Reason: "Big", Message: string(make([]byte, 1<<20))}
	for _, err := range db.AllDesired() {
		if err != nil {
			t.Fatal(err)
		}
		commit(t, db, store.Change{Events: []store.Event{big}})
	}
	for r := range db.Records() {
		commit(t, db, store.Change{Events: []store.Event{big}, Record: record(r.Name, 2)})
		break
	}
}

func downHoldsAll(t *testing.T, db *store.DB) {
	boot := BootID(t)
	commit(t, db, store.Change{Desired: []store.Desired{want("web")}})
	held := func() (states []desired.State) {
		states = append(states, must[*store.Desired](t)(db.Desired("web")).State())
		for d, err := range db.AllDesired() {
			states = append(states, must[*store.Desired](t)(d, err).State())
		}
		return states
	}
	down := store.Down{By: "root", Reason: "poweroff", At: now, BootID: boot}
	commit(t, db, store.Change{Down: &down})
	equal(t, "Down", must[*store.Down](t)(db.Down()), &down)
	equal(t, "while down", held(), []desired.State{desired.Stopped, desired.Stopped})
	down.BootID = "an earlier boot"
	commit(t, db, store.Change{Down: &down})
	equal(t, "after a reboot", held(), []desired.State{desired.Running, desired.Running})
	down.BootID = boot
	commit(t, db, store.Change{Down: &down})
	commit(t, db, store.Change{Up: true})
	equal(t, "up again", held(), []desired.State{desired.Running, desired.Running})
}
