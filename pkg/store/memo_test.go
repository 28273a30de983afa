package store_test

import (
	"testing"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/store/storetest"
)

// What one caller does to its copies is nobody else's affair, and a commit is seen at once.
func TestReadsAreNotShared(t *testing.T) {
	db := storetest.Open(t)
	commit := func(c store.Change) {
		t.Helper()
		if err := db.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	want := store.Desired{Container: desired.Container{Name: "web"}, Generation: 1}
	attempts := []store.Attempt{{Number: 1, Instance: "web.1"}}
	commit(store.Change{Desired: []store.Desired{want}, Record: &store.Record{Name: "web", LastAttempt: 1, Attempts: attempts}})
	for range 2 {
		d, err1 := db.Desired("web")
		r, err2 := db.Record("web")
		if err1 != nil || err2 != nil || d.Held != nil || d.Generation != 1 || r.Attempts[0].Over || r.LastError != "" {
			t.Errorf("%+v %v, %+v %v", d, err1, r, err2)
		}
		d.Held, d.Generation, r.Attempts[0].Over, r.LastError = &store.Override{}, 7, true, "x"
		for _, err := range db.AllDesired() {
			if err != nil {
				t.Error(err)
			}
		}
	}
	want.Generation = 2
	commit(store.Change{Desired: []store.Desired{want}})
	if d, err := db.Desired("web"); err != nil || d.Generation != 2 {
		t.Errorf("%+v, %v", d, err)
	}
}
