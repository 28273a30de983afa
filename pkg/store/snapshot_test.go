package store_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"reconciler.dev/reconciler/internal/runctest"
	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/store/storetest"
)

// A snapshot is whole, is as of its moment, and is not written for nothing.
func TestSnapshot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reconciler.db")
	db := open(t, path)
	commitEvent(t, db, "Before")
	snapshot(t, db)
	storetest.Check(t, path+".snapshot")
	first, err := os.Stat(path + ".snapshot")
	if err != nil || first.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", first, err)
	}
	snapshot(t, db)
	if again, err := os.Stat(path + ".snapshot"); err != nil || !os.SameFile(first, again) {
		t.Errorf("it was written again for nothing: %v", err)
	}
	commitEvent(t, db, "After")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Snapshot(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("cut short: %v", err)
	}
	if again, err := os.Stat(path + ".snapshot"); err != nil || !os.SameFile(first, again) {
		t.Errorf("one that was cut short took its place: %v", err)
	}
	snapshot(t, db)
	db.Close()
	if left, _ := filepath.Glob(path + "*"); len(left) != 2 {
		t.Errorf("there is %v", left)
	}
	if err := db.Snapshot(t.Context()); !errors.Is(err, store.ErrClosed) {
		t.Errorf("of a closed store: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if db = open(t, path); reasons(t, db) != "Before After StoreRecovered" {
		t.Errorf("events %s", reasons(t, db))
	}
}

// The file got damaged under the open store: the last good snapshot stays.
func TestADamagedStoreTakesNoSnapshotsPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reconciler.db")
	db := open(t, path)
	commitEvent(t, db, "Before")
	snapshot(t, db)
	was, err := os.ReadFile(path + ".snapshot")
	if err != nil {
		t.Fatal(err)
	}
	commitEvent(t, db, "After")
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	root := 0
	err = store.Bolt(db).View(func(tx *bbolt.Tx) error { root = int(tx.Cursor().Bucket().Root()); return nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xff}, 64), int64(root)*4096); err != nil {
		t.Fatal(err)
	}
	if err := db.Snapshot(t.Context()); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("snapshot: %v", err)
	}
	if is, err := os.ReadFile(path + ".snapshot"); err != nil || !bytes.Equal(is, was) {
		t.Errorf("the good one is gone: %v", err)
	}
	if _, err := os.Stat(path + ".snapshot.new"); err == nil {
		t.Error("something is left behind")
	}
}

// Nor does one with a record that cannot be read: what is moved away comes back without the damage.
func TestADamagedRecordTakesNoSnapshotsPlace(t *testing.T) {
	path := lived(t)
	edit(t, path, func(tx *bbolt.Tx) error { return tx.Bucket([]byte("status")).Put([]byte("web"), []byte("damaged")) })
	db := open(t, path)
	if _, err := db.Record("web"); err == nil {
		t.Fatal("the damage is not noticed")
	}
	if _, ok := errors.AsType[*store.RecordError](db.Snapshot(t.Context())); !ok {
		t.Error("it was taken")
	}
	db.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	restored(t, open(t, path))
}

// A reader that takes its time, as a snapshot on a slow disk does, holds up no commit, however much the file grows.
func TestASlowSnapshotHoldsUpNobody(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "reconciler.db"))
	err := store.Bolt(db).View(func(*bbolt.Tx) error {
		for range 40 {
			big := store.Event{Reason: "Big", Message: strings.Repeat("x", 1<<20)}
			if err := db.Commit(t.Context(), store.Change{Events: []store.Event{big}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// On a full disk no snapshot is taken and nothing is restored, and that is all; with room again it is.
func TestFullDisk(t *testing.T) {
	runctest.Require(t, runctest.Root)
	dir := t.TempDir()
	mount(t, dir, "size=2m")
	path := filepath.Join(dir, "reconciler.db")
	db := open(t, path)
	commitEvent(t, db, "Before")
	snapshot(t, db)
	commitEvent(t, db, "After")
	full := filepath.Join(dir, "full")
	fill := func() {
		f, err := os.Create(full)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for err == nil {
			_, err = f.Write(make([]byte, 4096))
		}
	}
	fill()
	if err := db.Snapshot(t.Context()); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("snapshot: %v", err)
	}
	if got := reasons(t, db); got != "Before After" {
		t.Errorf("events %q", got)
	}
	db.Close()
	damaged := []byte("not a database\n")
	write(t, path, damaged)
	fill()
	for range 3 {
		if _, err := store.Open(path, store.Options{}); err == nil || !strings.Contains(err.Error(), "no space left") {
			t.Fatalf("open: %v", err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, damaged) {
		t.Errorf("%q, %v", got, err)
	}
	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	if db = open(t, path); reasons(t, db) != "Before StoreRecovered" {
		t.Errorf("events %q", reasons(t, db))
	}
	db.Close()
	if aside := asides(t, path); len(aside) != 1 {
		t.Errorf("aside: %v", aside)
	}
}

// What cannot be written is not taken for damaged.
func TestReadOnlyFileSystem(t *testing.T) {
	runctest.Require(t, runctest.Root)
	dir := t.TempDir()
	mount(t, dir, "size=2m")
	path := filepath.Join(dir, "reconciler.db")
	db := open(t, path)
	commitEvent(t, db, "Kept")
	db.Close()
	remount(t, dir, true)
	if _, err := store.Open(path, store.Options{}); err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("open: %v", err)
	}
	if c, err := store.OpenCopy(path); err != nil || reasons(t, c) != "Kept" {
		t.Errorf("copy: %v", err)
	}
	remount(t, dir, false)
	if db = open(t, path); reasons(t, db) != "Kept" || db.Recovered() != "" {
		t.Errorf("events %q, %s", reasons(t, db), db.Recovered())
	}
	db.Close()
}
