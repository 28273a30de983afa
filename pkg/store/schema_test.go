package store

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/subreaper"
)

var generate = flag.Bool("generate", false, "write testdata/schema1.db anew; only while schema 1 is the current one")

// schema1 is what the database in testdata was made from.
func schema1() Change {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	p := subreaper.Process{PID: 42, StartTime: 4200, BootID: "11111111-2222-3333-4444-555555555555"}
	attempt := Attempt{Number: 3, Instance: "web.3", SpecHash: "h", IntentAt: at, Process: &p, StartCommitted: at, Started: true}
	return Change{
		Record:  &Record{Name: "web", LastAttempt: 3, Attempts: []Attempt{attempt}, SpecHash: "h", Starts: 3, End: EndFailed},
		Attempt: &attempt,
		Exit: &Exit{Instance: "web.3", Attempt: 3, Process: p, Signal: new(9), Reason: "Killed",
			Source: subreaper.SourceWaitid, StartedAt: at, FinishedAt: at},
		Desired: []Desired{{
			Container: desired.Container{Name: "web", Spec: desired.Spec{Bundle: "/b", State: desired.Running}},
			Source:    "manifests/web.yaml", Generation: 7, Config: []byte(`{"ociVersion":"1.0.2"}`), InputHash: "i",
		}},
		Source: &Source{Name: "manifests", Identity: "8:1:77:0"},
		Events: []Event{{Time: at, Type: Normal, Reason: "Started", Object: "web", Message: "web.3 was started"}},
	}
}

func TestSchema1IsRead(t *testing.T) {
	fixture := filepath.Join("testdata", "schema1.db")
	if *generate {
		generateSchema1(t, fixture)
	}
	b, err := os.ReadFile(fixture)
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

func generateSchema1(t *testing.T, path string) {
	t.Helper()
	if current() != 1 {
		t.Fatalf("this program writes schema %d", current())
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	db, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	stop := func(v *Verbs) error { v.Override = &Override{State: desired.Stopped, By: "root"}; return nil }
	err = errors.Join(db.Commit(t.Context(), schema1()), db.UpdateVerbs(t.Context(), "web", stop), db.Close())
	if err != nil {
		t.Fatal(err)
	}
}

// The steps of a migration are one transaction: all of them, or the old store as it was.
func TestMigrateIsOneTransaction(t *testing.T) {
	defer func(real []func(*bbolt.Tx) error) { steps = real }(steps)
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
	steps = []func(*bbolt.Tx) error{mark("one", nil), mark("two", broken)}
	if _, err := Open(path, Options{NoSync: true}); !errors.Is(err, broken) {
		t.Fatalf("a migration that fails: %v", err)
	}
	steps = steps[:0]
	if db, err = Open(path, Options{NoSync: true}); err != nil {
		t.Fatalf("after a migration that failed: %v", err)
	}
	if v, _ := db.value(bucketMeta, "one"); v != nil {
		t.Error("half of the migration stayed")
	}
	db.Close()

	steps = []func(*bbolt.Tx) error{mark("one", nil), mark("two", nil)}
	if db, err = Open(path, Options{NoSync: true}); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for key, want := range map[string]string{"one": "x", "two": "x", "schema": "3"} {
		if v, err := db.value(bucketMeta, key); err != nil || string(v) != want {
			t.Errorf("%s is %q, %v", key, v, err)
		}
	}
}
