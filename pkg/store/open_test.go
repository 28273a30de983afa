package store_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/store/storetest"
)

func open(t testing.TB, path string) *store.DB {
	t.Helper()
	db, err := store.Open(path, store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// filled makes a store with one event and one name at a new path, and closes it.
func filled(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "reconciler.db")
	db := open(t, path)
	commitEvent(t, db, "Kept")
	if err := db.Commit(t.Context(), store.Change{Desired: []store.Desired{named("web")}}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func commitEvent(t testing.TB, db *store.DB, reason string) {
	t.Helper()
	if err := db.Commit(t.Context(), store.Change{Events: []store.Event{{Reason: reason, Object: "web"}}}); err != nil {
		t.Fatal(err)
	}
}

// reasons are those of all events.
func reasons(t testing.TB, db *store.DB) string {
	t.Helper()
	events, err := db.Events(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range events {
		all = append(all, e.Reason)
	}
	return strings.Join(all, " ")
}

// edit changes a closed store below the store's back.
func edit(t testing.TB, path string, f func(tx *bbolt.Tx) error) {
	t.Helper()
	b, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, NoFreelistSync: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.Update(f), b.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestOpenKeepsWhatIsThere(t *testing.T) {
	path := filled(t)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	db := open(t, path)
	if got := reasons(t, db); got != "Kept" || db.Recovered() != "" {
		t.Errorf("events %q, recovered %q", got, db.Recovered())
	}
	db.Close()
	storetest.Check(t, path)
	if left, _ := filepath.Glob(path + "?*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestOpenAfterACrashWhileCreating(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reconciler.db")
	if err := os.WriteFile(path+".new", []byte("half a store"), 0o600); err != nil {
		t.Fatal(err)
	}
	if db := open(t, path); db.Recovered() != "" {
		t.Errorf("recovered: %s", db.Recovered())
	}
}

func TestOpenRefusesNewerSchemaUntouched(t *testing.T) {
	path := filled(t)
	edit(t, path, func(tx *bbolt.Tx) error {
		meta := tx.Bucket([]byte("meta"))
		return errors.Join(meta.Put([]byte("schema"), []byte("99")), meta.Put([]byte("names"), []byte("of another kind")))
	})
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func() (*store.DB, error){
		"Open":     func() (*store.DB, error) { return store.Open(path, store.Options{}) },
		"OpenCopy": func() (*store.DB, error) { return store.OpenCopy(path) },
	} {
		_, err := open()
		if !errors.Is(err, store.ErrNewerSchema) || !strings.Contains(err.Error(), "use the newer version") ||
			!strings.Contains(err.Error(), path) {
			t.Errorf("%s returned %v", name, err)
		}
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed, %v", err)
	}
}

func TestOpenMovesDamagedFileAside(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, path string){
		"empty":     func(t *testing.T, path string) { write(t, path, nil) },
		"text":      func(t *testing.T, path string) { write(t, path, []byte("not a database\n")) },
		"zeros":     func(t *testing.T, path string) { write(t, path, make([]byte, 1<<16)) },
		"one page":  func(t *testing.T, path string) { truncate(t, path, 4096) },
		"truncated": func(t *testing.T, path string) { truncate(t, path, 4*4096) },
		"schema is text": func(t *testing.T, path string) {
			edit(t, path, func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte("schema"), []byte("x")) })
		},
		"a bit of the schema": func(t *testing.T, path string) {
			edit(t, path, func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte("schema"), []byte("7")) })
		},
		"a bit of the schema, so that it reads as an old one": func(t *testing.T, path string) {
			edit(t, path, func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte("schema"), []byte("1")) })
		},
		"a name under another key": func(t *testing.T, path string) {
			edit(t, path, func(tx *bbolt.Tx) error {
				b := tx.Bucket([]byte("desired"))
				return errors.Join(b.Put([]byte("wec"), b.Get([]byte("web"))), b.Delete([]byte("web")))
			})
		},
		"a bucket in place of a value": func(t *testing.T, path string) {
			edit(t, path, func(tx *bbolt.Tx) error {
				_, err := tx.Bucket([]byte("events")).CreateBucket([]byte("9"))
				return err
			})
		},
		"events counted down": func(t *testing.T, path string) {
			edit(t, path, func(tx *bbolt.Tx) error { return tx.Bucket([]byte("events")).SetSequence(0) })
		},
		"of another program": func(t *testing.T, path string) {
			edit(t, path, func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("meta")) })
		},
		"bucket missing": func(t *testing.T, path string) {
			edit(t, path, func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("status")) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filled(t)
			damage(t, path)
			damaged, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := store.OpenCopy(path); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("OpenCopy returned %v", err)
			}
			db := open(t, path)
			aside, _ := filepath.Glob(path + ".corrupt-*")
			if len(aside) != 1 || !strings.Contains(db.Recovered(), aside[0]) {
				t.Fatalf("recovered %q, aside %v", db.Recovered(), aside)
			}
			if kept, err := os.ReadFile(aside[0]); err != nil || !bytes.Equal(kept, damaged) {
				t.Errorf("the damaged file was not kept as it was, %v", err)
			}
			if got := reasons(t, db); got != "StoreRecovered" {
				t.Errorf("events %q", got)
			}
		})
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, path string, n int64) {
	t.Helper()
	if err := os.Truncate(path, n); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefusesWhatIsNoFileOfOurs(t *testing.T) {
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filled(t), link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, t.TempDir(), "/nonexistent/reconciler.db"} {
		if db, err := store.Open(path, store.Options{}); err == nil {
			db.Close()
			t.Errorf("%s was opened", path)
		}
	}
}

// A reader holds the lock for as long as a copy takes; the daemon starts meanwhile.
func TestOpenWaitsForReader(t *testing.T) {
	path := filled(t)
	for _, test := range []struct {
		hold time.Duration // in the bubble's time, where bbolt's waiting costs none
		want error
	}{{4 * time.Second, nil}, {time.Minute, store.ErrLocked}} {
		synctest.Test(t, func(t *testing.T) {
			reader, err := bbolt.Open(path, 0, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			opened := make(chan error, 1)
			go func() {
				db, err := store.Open(path, store.Options{NoSync: true})
				if err == nil {
					err = db.Close()
				}
				opened <- err
			}()
			time.Sleep(test.hold)
			if err := reader.Close(); err != nil {
				t.Fatal(err)
			}
			if err := <-opened; !errors.Is(err, test.want) {
				t.Errorf("after %v: %v, want %v", test.hold, err, test.want)
			}
		})
	}
}

func TestOpenCopy(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	path := filepath.Join(t.TempDir(), "reconciler.db")
	if _, err := store.OpenCopy(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("copy of nothing: %v", err)
	}
	db := open(t, path)
	commitEvent(t, db, "Kept")
	if _, err := store.OpenCopy(path); !errors.Is(err, store.ErrLocked) {
		t.Errorf("copy of an open store: %v", err)
	}
	db.Close()

	c, err := store.OpenCopy(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if left, _ := os.ReadDir(tmp); len(left) > 0 {
		t.Errorf("the copy has a name: %v", left)
	}
	// The store itself is free again, and the copy does not change with it.
	commitEvent(t, open(t, path), "Later")
	if got := reasons(t, c); got != "Kept" {
		t.Errorf("events %q", got)
	}
	if err := c.Commit(t.Context(), store.Change{}); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("commit to a copy: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestClosed(t *testing.T) {
	db := open(t, filled(t))
	if err := errors.Join(db.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	if err := db.Commit(context.Background(), store.Change{}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("commit: %v", err)
	}
	if _, err := db.Record("web"); !errors.Is(err, store.ErrClosed) {
		t.Errorf("record: %v", err)
	}
	for _, err := range db.Records() {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("records: %v", err)
		}
	}
	for _, err := range db.AllDesired() {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("all desired: %v", err)
		}
	}
}
