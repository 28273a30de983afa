package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/store/storetest"
)

// Whatever happens to the file, Open must not crash, and must not take for whole what bbolt's own check does not.
func TestOpenSurvivesAnyDamage(t *testing.T) {
	whole := grown(t)
	const page = 4096
	rng := rand.New(rand.NewPCG(3, 14))
	somePage := func(b []byte) []byte { n := 2 + rng.IntN(len(b)/page-2); return b[n*page : (n+1)*page] }
	damages := []struct {
		name string
		done func(b []byte) []byte
	}{
		{"header byte", func(b []byte) []byte { somePage(b)[rng.IntN(16)] ^= 1 << rng.IntN(8); return b }},
		{"element byte", func(b []byte) []byte { somePage(b)[16+rng.IntN(200)] ^= 1 << rng.IntN(8); return b }},
		{"any byte", func(b []byte) []byte { somePage(b)[rng.IntN(page)] ^= 1 << rng.IntN(8); return b }},
		{"many bytes", func(b []byte) []byte {
			for range 50 {
				b[rng.IntN(len(b))] = byte(rng.Int())
			}
			return b
		}},
		{"page zeroed", func(b []byte) []byte { clear(somePage(b)); return b }},
		{"page copied", func(b []byte) []byte { copy(somePage(b), somePage(b)); return b }},
		{"page copied, id kept", func(b []byte) []byte { copy(somePage(b)[8:], somePage(b)[8:]); return b }},
		{"cut", func(b []byte) []byte { return b[:rng.IntN(len(b))] }},
		{"one meta page", func(b []byte) []byte { b[rng.IntN(2)*page+rng.IntN(80)] ^= 1 << rng.IntN(8); return b }},
	}
	const each = 15
	dir := t.TempDir()
	moved := 0
	for _, d := range damages {
		for i := range each {
			path := filepath.Join(dir, fmt.Sprintf("%d.db", i))
			broken := d.done(bytes.Clone(whole))
			write(t, path, broken)
			db, err := store.Open(path, store.Options{NoSync: true})
			if err != nil {
				t.Fatalf("%s %d: %v", d.name, i, err)
			}
			readAll(db)
			commitEvent(t, db, "After")
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			storetest.Check(t, path)
			if db.Recovered() != "" && !strings.Contains(db.Recovered(), "two heads") {
				moved++
				removeAside(t, path, broken)
			}
			if t.Failed() {
				t.Fatalf("%s %d, recovered: %q", d.name, i, db.Recovered())
			}
		}
	}
	if moved == 0 || moved == each*len(damages) {
		t.Errorf("%d of %d were moved aside: the test damages too little or too much", moved, each*len(damages))
	}
}

// grown returns the bytes of a store of some size, with trees of more than one level.
func grown(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "reconciler.db")
	db := open(t, path)
	for i := range 30 {
		name := fmt.Sprintf("c%02d", i)
		for n := 1; n <= 10; n++ {
			attempt := store.Attempt{Number: n, Instance: fmt.Sprintf("%s.%d", name, n), SpecHash: "hash"}
			c := store.Change{Attempt: &attempt, Record: &store.Record{Name: name, LastAttempt: n}}
			for range 3 {
				c.Events = append(c.Events, store.Event{Reason: "Tick", Object: name, Message: "something happened"})
			}
			if err := db.Commit(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// readAll reads everything; what is damaged may well be an error.
func readAll(db *store.DB) {
	for range db.AllDesired() {
	}
	names, _ := db.Names()
	for r := range db.Records() {
		names = append(names, r.Name)
	}
	for _, name := range names {
		_, _ = db.Attempts(name)
		_, _ = db.Exits(name)
	}
	_, _ = db.Events(0, 0)
}

func removeAside(t *testing.T, path string, want []byte) {
	t.Helper()
	aside, _ := filepath.Glob(path + ".corrupt-*")
	if len(aside) != 1 {
		t.Fatalf("aside: %v", aside)
	}
	if got, err := os.ReadFile(aside[0]); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the damaged file was not kept as it was, %v", err)
	}
	if err := os.Remove(aside[0]); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedRecordHidesNoOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reconciler.db")
	db := open(t, path)
	for _, name := range []string{"a", "b", "c"} {
		c := store.Change{Desired: []store.Desired{named(name)}, Events: []store.Event{{Reason: name}}}
		for n := 1; n <= 3; n++ {
			c.Record = &store.Record{Name: name, LastAttempt: n}
			c.Attempt = &store.Attempt{Number: n, Instance: fmt.Sprintf("%s.%d", name, n)}
			if err := db.Commit(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
	}
	db.Close()
	two := []byte{0, 0, 0, 0, 0, 0, 0, 2}
	edit(t, path, func(tx *bbolt.Tx) error {
		return errors.Join(
			tx.Bucket([]byte("desired")).Put([]byte("b"), []byte("{")),
			tx.Bucket([]byte("status")).Put([]byte("b"), []byte("{}")),
			tx.Bucket([]byte("attempts")).Bucket([]byte("b")).Put(two, nil),
			tx.Bucket([]byte("events")).Put(two, []byte("null")),
		)
	})
	db = open(t, path)
	names := func(bad error, name string) string {
		if e, ok := errors.AsType[*store.RecordError](bad); !ok || e.Name != name {
			t.Errorf("error %v does not name %s", bad, name)
		}
		return "!"
	}
	var desired, records string
	for d, err := range db.AllDesired() {
		if err != nil {
			desired += names(err, "b")
			continue
		}
		desired += d.Container.Name
	}
	for r, err := range db.Records() {
		records += r.Name
		if err != nil {
			records += names(err, "b")
		}
	}
	if desired != "a!c" || records != "ab!c" {
		t.Errorf("desired %s, records %s", desired, records)
	}
	attempts, err := db.Attempts("b")
	names(err, "b/2")
	events, err := db.Events(0, 0)
	names(err, "2")
	if len(attempts) != 2 || len(events) != 8 {
		t.Errorf("%d attempts and %d events are readable, want 2 and 8", len(attempts), len(events))
	}

	// Its counter is not known, so nothing may be written over it; others go on.
	err = db.Commit(t.Context(), store.Change{Record: &store.Record{Name: "b", LastAttempt: 9}})
	names(err, "b")
	if err := db.Commit(t.Context(), store.Change{Record: &store.Record{Name: "a", LastAttempt: 9}}); err != nil {
		t.Error(err)
	}
	all, err := db.Names()
	if err != nil || !slices.Equal(all, []string{"a", "b", "c"}) {
		t.Errorf("names %v, %v", all, err)
	}
}

// An exit that cannot be read must not keep the one that can from being recorded: its file would stay for ever.
func TestDamagedExitGivesWay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reconciler.db")
	db := open(t, path)
	c := numbered(0)
	if err := db.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	db.Close()
	one := []byte{0, 0, 0, 0, 0, 0, 0, 1}
	edit(t, path, func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("exits")).Bucket([]byte("c0")).Put(one, []byte("{}"))
	})
	db = open(t, path)
	if _, err := db.Exits("c0"); err == nil {
		t.Error("the damage was not noticed")
	}
	if err := db.Commit(t.Context(), store.Change{Exit: c.Exit}); err != nil {
		t.Fatal(err)
	}
	if exits, err := db.Exits("c0"); err != nil || len(exits) != 1 {
		t.Errorf("exits %v, %v", exits, err)
	}
}
