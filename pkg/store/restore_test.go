package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/store/storetest"
	"reconciler.dev/reconciler/pkg/subreaper"
)

func snapshot(t testing.TB, db *store.DB) {
	t.Helper()
	if err := db.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func asides(t testing.TB, path string) []string {
	t.Helper()
	aside, err := filepath.Glob(path + ".corrupt-*")
	if err != nil {
		t.Fatal(err)
	}
	return aside
}

// lived makes a store with a past and a snapshot, commits some more, and closes it. What the snapshot has: web runs as attempt
// 4, job's attempt 2 had run nothing yet, a verb has stopped job, and the node is held.
func lived(t testing.TB) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "reconciler.db")
	db := open(t, path)
	commit := func(c store.Change) {
		t.Helper()
		if err := db.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	p := subreaper.Process{PID: 4, StartTime: 40, BootID: "boot"}
	web := store.Record{Name: "web", LastAttempt: 4, Attempts: []store.Attempt{
		{Number: 3, Instance: "web.3", Over: true},
		{Number: 4, Instance: "web.4", Process: &p, StartCommitted: epoch, Started: true},
	}}
	job := store.Record{Name: "job", LastAttempt: 2, Attempts: []store.Attempt{{Number: 2, Instance: "job.2", IntentAt: epoch}}}
	commit(store.Change{Desired: []store.Desired{named("web"), named("job")}, Record: &web})
	commit(store.Change{Record: &job, Down: &store.Down{By: "root", BootID: storetest.BootID(t)}})
	stop := func(v *store.Verbs) error {
		v.Override, v.Restarts = &store.Override{State: desired.Stopped, By: "root", At: epoch}, 7
		return nil
	}
	if err := db.UpdateVerbs(t.Context(), "job", stop); err != nil {
		t.Fatal(err)
	}
	snapshot(t, db)
	commit(store.Change{Up: true, Removed: []string{"job"}})
	commitEvent(t, db, "Since")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// What comes back from a snapshot is what it says, and marked as what may be out of date, until the manifests were read.
func TestRestore(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, path string){
		"damaged": func(t *testing.T, path string) { write(t, path, []byte("not a database\n")) },
		"gone": func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := lived(t)
			lose(t, path)
			db := open(t, path)
			restored(t, db)
			if got := len(asides(t, path)); got != map[string]int{"damaged": 1}[name] {
				t.Errorf("%d files were set aside", got)
			}
			// The mark lasts, and so does the doubt.
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = open(t, path)
			if db.Recovered() != "" {
				t.Errorf("again: %s", db.Recovered())
			}
			restored(t, db)
			if err := db.Commit(t.Context(), store.Change{ManifestsRead: true}); err != nil {
				t.Fatal(err)
			}
			mark, err := db.Restored()
			if r, recErr := db.Record("web"); mark != nil || err != nil || recErr != nil || r.InDoubt {
				t.Errorf("after the manifests: %+v %v, %+v %v", mark, err, r, recErr)
			}
			db.Close()
			storetest.Check(t, path)
		})
	}
}

func restored(t *testing.T, db *store.DB) {
	t.Helper()
	mark, err := db.Restored()
	if err != nil || mark == nil || mark.Why == "" || mark.Snapshot.IsZero() || mark.Snapshot.After(mark.At) {
		t.Fatalf("mark %+v, %v", mark, err)
	}
	web, err1 := db.Record("web")
	job, err2 := db.Record("job")
	if err1 != nil || err2 != nil || len(web.Attempts) != 2 || !web.InDoubt || web.LastAttempt != 4 {
		t.Errorf("%+v %v", web, err1)
	}
	// It may have run since, so it is nobody's intent any more; its number is.
	if len(job.Attempts) != 0 || job.LastAttempt != 2 || !job.InDoubt {
		t.Errorf("%+v %v", job, err2)
	}
	d, err := db.Desired("job")
	if err != nil || d.Held == nil || !d.Held.InDoubt || d.Verbs.Override == nil || !d.Verbs.Override.InDoubt || d.Verbs.Restarts != 7 {
		t.Errorf("%+v %v", d, err)
	}
	events, err := db.Events(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, e := range events {
		if e.Type == store.Warning {
			told = append(told, e.Reason+" "+e.Object)
		}
		if e.Reason == "Since" {
			t.Error("it is not the snapshot")
		}
	}
	if got := strings.Join(told, ", "); got != "StoreRecovered node, InDoubt job, InDoubt node" {
		t.Errorf("told %s", got)
	}
}

// A snapshot that is no use is kept, and told; what cannot be restored is begun anew.
func TestRestoreWithoutASnapshotThatIsOne(t *testing.T) {
	path := lived(t)
	write(t, path, []byte("not a database\n"))
	write(t, path+".snapshot", []byte("nor is this\n"))
	db := open(t, path)
	if mark, err := db.Restored(); mark != nil || err != nil || reasons(t, db) != "StoreRecovered" {
		t.Errorf("mark %+v, %v, events %s", mark, err, reasons(t, db))
	}
	for _, kept := range []string{path, path + ".snapshot"} {
		aside := asides(t, kept)
		if len(aside) != 1 || !strings.Contains(db.Recovered(), aside[0]) {
			t.Errorf("%s: aside %v, told %q", kept, aside, db.Recovered())
		}
	}
	snapshot(t, db)
	db.Close()
	write(t, path, nil)
	if db = open(t, path); reasons(t, db) != "StoreRecovered StoreRecovered" {
		t.Errorf("events %s", reasons(t, db))
	}
}

// A snapshot that cannot be read now, or only by a newer program, may be good: nothing is begun in its place.
func TestRestoreWaitsForASnapshotThatMayBeGood(t *testing.T) {
	path := lived(t)
	edit(t, path+".snapshot", func(tx *bbolt.Tx) error {
		meta := tx.Bucket([]byte("meta"))
		return errors.Join(meta.Put([]byte("schema"), []byte("99")), meta.Put([]byte("names"), []byte("of another kind")))
	})
	write(t, path, []byte("not a database\n"))
	if _, err := store.Open(path, store.Options{NoSync: true}); !errors.Is(err, store.ErrNewerSchema) || !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("opened: %v", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "not a database\n" || len(asides(t, path)) > 0 {
		t.Errorf("it was replaced: %.40q, %v", got, err)
	}
}

// A start that fails, over and over, sets a damaged file aside once.
func TestADamagedFileIsSetAsideOnce(t *testing.T) {
	path := lived(t)
	write(t, path, []byte("not a database\n"))
	if err := os.Mkdir(path+".new", 0o700); err != nil { // in the way of a new store
		t.Fatal(err)
	}
	write(t, filepath.Join(path+".new", "x"), nil)
	for range 5 {
		if _, err := store.Open(path, store.Options{NoSync: true}); err == nil {
			t.Fatal("it was opened")
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != "not a database\n" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if aside := asides(t, path); len(aside) != 1 {
		t.Errorf("aside: %v", aside)
	}
	if err := os.RemoveAll(path + ".new"); err != nil {
		t.Fatal(err)
	}
	restored(t, open(t, path))
	if aside := asides(t, path); len(aside) != 1 {
		t.Errorf("aside: %v", aside)
	}
}

// restoreEnv makes the test binary a process that opens the store at that path, for it to be killed.
const restoreEnv = "STORE_TEST_RESTORE"

func openAndTell(path string) {
	fmt.Println("begun")
	db, err := store.Open(path, store.Options{})
	if err == nil {
		err = db.Snapshot(context.Background())
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("done")
	select {}
}

// However often a restore is killed, the next one comes to the same end, with one copy of the damaged file.
func TestKillsWhileItIsRestored(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	before, done := 0, 0
	for range 20 {
		path := lived(t)
		write(t, path, []byte("not a database\n"))
		for range 3 {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), restoreEnv+"="+path)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			if !lines.Scan() || lines.Text() != "begun" {
				t.Fatalf("the process said %q", lines.Text())
			}
			time.Sleep(time.Duration(rng.IntN(20_000)) * time.Microsecond) // any instant will do
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			before++
			for lines.Scan() {
				if lines.Text() != "done" {
					t.Fatalf("the process said %q", lines.Text())
				}
				before--
				done++
			}
			_ = cmd.Wait()
		}
		db := open(t, path)
		restored(t, db)
		if aside := asides(t, path); len(aside) != 1 {
			t.Errorf("aside: %v", aside)
		} else if kept, err := os.ReadFile(aside[0]); err != nil || string(kept) != "not a database\n" {
			t.Errorf("kept %q, %v", kept, err)
		}
		db.Close()
		storetest.Check(t, path)
		if t.Failed() {
			break
		}
	}
	t.Logf("%d were killed before they were done, %d after", before, done)
}
