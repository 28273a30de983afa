package store

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"go.etcd.io/bbolt"

	"reconciler.dev/reconciler/pkg/desired"
)

// The database in testdata was written by the first version: one container that had run three times, and was stopped by a
// verb.
func TestSchema1IsRead(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "schema1.db"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "reconciler.db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := Open(path, Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if db.Recovered() != "" {
		t.Fatal(db.Recovered())
	}
	d, err := db.Desired("web")
	if err != nil || d.Generation != 7 || d.State() != desired.Stopped || string(d.Config) != `{"ociVersion":"1.0.2"}` {
		t.Errorf("desired %+v, %v", d, err)
	}
	if log := d.Container.Spec.Log; log != (desired.Log{MaxSize: 10 << 20, MaxFiles: 3}) || d.Container.Spec.Bundle != "/b" {
		t.Errorf("spec %+v", d.Container.Spec)
	}
	r, err := db.Record("web")
	if err != nil || r.LastAttempt != 3 || len(r.Attempts) != 1 || r.Attempts[0].Process.StartTime != 4200 {
		t.Errorf("record %+v, %v", r, err)
	}
	attempts, err := db.Attempts("web")
	if err != nil || len(attempts) != 1 || !attempts[0].Started {
		t.Errorf("attempts %+v, %v", attempts, err)
	}
	exits, err := db.Exits("web")
	if err != nil || len(exits) != 1 || exits[0].ExitCode != nil || *exits[0].Signal != 9 || exits[0].PID != 42 {
		t.Errorf("exits %+v, %v", exits, err)
	}
	s, err := db.Source("manifests")
	if err != nil || s.Identity != "8:1:77:0" {
		t.Errorf("source %+v, %v", s, err)
	}
	events, err := db.Events(0, 0)
	if err != nil || len(events) != 1 || events[0].Seq != 1 || events[0].Reason != "Started" {
		t.Errorf("events %+v, %v", events, err)
	}
}

// The database in testdata was written by the version before seals: as above, but for a node that is held, and a name that
// was removed.
func TestSchema2IsSealed(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "schema2.db"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "reconciler.db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time nothing is old any more
		db, err := Open(path, Options{NoSync: true, BootID: "boot"})
		if err != nil || db.Recovered() != "" {
			t.Fatal(err, db.Recovered())
		}
		d, err := db.Desired("web")
		if err != nil || d.Generation != 7 || d.Verbs.Restarts != 2 || d.Held == nil || string(d.Config) != `{"ociVersion":"1.0.2"}` {
			t.Errorf("desired %+v, %v", d, err)
		}
		r, err := db.Record("old")
		if err != nil || r.LastAttempt != 9 || r.RemovedAt.IsZero() {
			t.Errorf("record %+v, %v", r, err)
		}
		exits, err := db.Exits("web")
		if err != nil || len(exits) != 1 || *exits[0].Signal != 9 {
			t.Errorf("exits %+v, %v", exits, err)
		}
		events, err := db.Events(0, 0)
		if err != nil || len(events) != 1 || events[0].Reason != "Started" {
			t.Errorf("events %+v, %v", events, err)
		}
		if s, err := db.Source("manifests"); err != nil || s.Identity != "8:1:77:0" {
			t.Errorf("source %+v, %v", s, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// The steps of a migration are one transaction: all of them, or the old store as it was.
func TestMigrateIsOneTransaction(t *testing.T) {
	real := steps
	defer func() { steps = real }()
	with := func(more ...func(*bbolt.Tx) error) []func(*bbolt.Tx) error { return slices.Concat(real, more) }
	path := filepath.Join(t.TempDir(), "reconciler.db")
	db, err := Open(path, Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	mark := func(key string, err error) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error {
			return errors.Join(tx.Bucket(bucketMeta).Put([]byte(key), []byte("x")), err)
		}
	}
	broken := errors.New("broken")
	steps = with(mark("one", nil), mark("two", broken))
	if _, err := Open(path, Options{NoSync: true}); !errors.Is(err, broken) {
		t.Fatalf("a migration that fails: %v", err)
	}
	steps = real
	if db, err = Open(path, Options{NoSync: true}); err != nil {
		t.Fatalf("after a migration that failed: %v", err)
	}
	if v, _ := db.value(bucketMeta, "one"); !v.none() {
		t.Error("half of the migration stayed")
	}
	db.Close()

	steps = with(mark("one", nil), mark("two", nil))
	if db, err = Open(path, Options{NoSync: true}); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for key, want := range map[string]string{"one": "x", "two": "x", "schema": strconv.Itoa(len(real) + 3)} {
		if v, err := db.value(bucketMeta, key); err != nil || string(v.raw) != want {
			t.Errorf("%s is %q, %v", key, v, err)
		}
	}
}
