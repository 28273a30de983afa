package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/reconcile"
	"reconciler.dev/reconciler/pkg/store"
)

var update = flag.Bool("update", false, "rewrite golden files")

// The JSON is an interface: a field that goes or changes its form breaks scripts.
func TestTheJSONOfAContainer(t *testing.T) {
	w := newWorld(t)
	w.want("web", nil)
	for _, tc := range []struct {
		file string
		rec  store.Record
	}{
		{"container-new.json", store.Record{Name: "web"}},
		{"container-ended.json", store.Record{Name: "web", LastAttempt: 1, Starts: 1, SpecHash: "hash-of-web", ObservedGeneration: 1,
			End: store.EndFailed, Failures: 1, ChangedAt: t0.In(time.FixedZone("elsewhere", 3600)),
			Backoff: store.Wait{Until: t0.Add(time.Minute), Length: time.Minute},
			LastExit: &store.Exit{Instance: "web.1", Attempt: 1, Process: process(5), Signal: new(9), Reason: "Killed", Source: "waitid",
				StartedAt: t0.In(time.FixedZone("elsewhere", 3600)), FinishedAt: t0.In(time.FixedZone("elsewhere", 3600))}}},
	} {
		d, err := w.DB.Desired("web")
		if err != nil {
			t.Fatal(err)
		}
		d.Verbs.Override = &store.Override{State: desired.Running, By: "root", At: t0.In(time.FixedZone("elsewhere", 3600))}
		got, err := json.MarshalIndent(Object(d, observed.Snapshot{}, tc.rec, t0), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, tc.file, append(got, '\n'))
	}
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%s", path, got)
	}
}

func TestContainers(t *testing.T) {
	w := newWorld(t)
	if list, err := w.Containers(t.Context()); err != nil || list.Items == nil || len(list.Items) > 0 || list.Problems == nil {
		t.Errorf("of an empty store: %+v, %v", list, err)
	}
	w.want("web", nil)
	w.ran("web", 1, -1, "")
	w.want("job", func(s *desired.Spec) { s.Restart.Policy = desired.Never })
	w.ran("job", 1, 0, store.EndSucceeded)
	list, err := w.Containers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range list.Items {
		got = append(got, c.Metadata.Name+" "+string(c.Status.Phase))
	}
	if want := []string{"job " + string(reconcile.Completed), "web " + string(reconcile.Running)}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if c := list.Items[1]; c.Status.PID == nil || *c.Status.PID != 1001 {
		t.Errorf("pid %v", c.Status.PID)
	}
}

func TestNotFound(t *testing.T) {
	w := newWorld(t)
	w.want("web", nil)
	w.ran("web", 1, 0, store.EndSucceeded)
	w.commit(store.Change{Removed: []string{"web"}})
	w.want("front", nil)
	for name, suggestion := range map[string]string{
		"web":   "it was removed; exits, events and logs know it still",
		"frnot": `did you mean "front"?`,
		"other": "",
	} {
		_, err := w.Container(t.Context(), name)
		if e, ok := errors.AsType[*Error](err); !ok || !errors.Is(err, ErrNotFound) || e.Suggestion != suggestion {
			t.Errorf("%s: %v", name, err)
		}
	}
	if exits, err := w.Exits(t.Context(), "web"); err != nil || len(exits.Items) != 1 {
		t.Errorf("exits of a removed name: %+v, %v", exits, err)
	}
	if exits, err := w.Exits(t.Context(), "front"); err != nil || exits.Items == nil {
		t.Errorf("exits of a name that never ran: %+v, %v", exits, err)
	}
	if _, err := w.Exits(t.Context(), "other"); !errors.Is(err, ErrNotFound) {
		t.Errorf("exits of an unknown name: %v", err)
	}
}

// One record that cannot be read is told, and hides no other.
func TestACorruptRecordHidesNoOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reconciler.db")
	db, err := store.Open(path, store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, alive: map[string]bool{}}
	w.Node = &Node{Reader: Reader{DB: db, Observe: w.observe}}
	w.want("good", nil)
	w.want("spoilt", nil)
	w.ran("good", 1, 7, store.EndFailed)
	w.ran("good", 2, 8, store.EndFailed)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	spoil(t, path, "desired", "spoilt")
	spoil(t, path, "exits", "good", "\x00\x00\x00\x00\x00\x00\x00\x01")
	if w.DB, err = store.Open(path, store.Options{NoSync: true}); err != nil {
		t.Fatal(err)
	}
	defer w.DB.Close()
	list, err := w.Containers(t.Context())
	if err != nil || len(list.Items) != 1 || len(list.Problems) != 1 || !strings.Contains(list.Problems[0], "spoilt") {
		t.Errorf("containers: %+v, %v", list, err)
	}
	exits, err := w.Exits(t.Context(), "good")
	if err != nil || len(exits.Items) != 1 || len(exits.Problems) != 1 || *exits.Items[0].ExitCode != 8 {
		t.Errorf("exits: %+v, %v", exits, err)
	}
	if _, err := w.Container(t.Context(), "spoilt"); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("a record that cannot be read is taken for none: %v", err)
	}
}

// spoil overwrites one value of a store: a path of buckets, and a key.
func spoil(t *testing.T, path string, keys ...string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(keys[0]))
		for _, k := range keys[1 : len(keys)-1] {
			b = b.Bucket([]byte(k))
		}
		key := []byte(keys[len(keys)-1])
		if b.Get(key) == nil {
			t.Fatalf("there is no %q", keys)
		}
		return b.Put(key, []byte("{"))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSources(t *testing.T) {
	w := newWorld(t)
	if s, err := w.Sources(t.Context()); err != nil || s == nil || len(s) > 0 {
		t.Errorf("of an empty store: %v, %v", s, err)
	}
	w.commit(store.Change{Source: &store.Source{Name: reconcile.SourceName, Files: map[string]string{"bad.yaml": "bad.yaml:1:1: no"}}})
	if s, err := w.Sources(t.Context()); err != nil || len(s) != 1 || s[0].Files["bad.yaml"] == "" {
		t.Errorf("got %v, %v", s, err)
	}
}

func TestNearest(t *testing.T) {
	names := []string{"web", "webhook", "db"}
	for name, want := range map[string]string{
		"wbe": "web", "webhok": "webhook", "WEB": "", "d": "", "x": "", "": "", "cache": "", "dbb": "db",
	} {
		if got := nearest(name, slices.Values(names)); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}
