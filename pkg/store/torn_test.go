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

	"reconciler.dev/reconciler/pkg/store"
)

const page = 4096

// versions are what a small store said after each of some commits, and its file at the same times.
func versions(t *testing.T) (files [][]byte, said []map[string]string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "reconciler.db")
	db := open(t, path)
	for n := range 6 {
		c := numbered(n)
		c.Record = &store.Record{Name: "c0", LastAttempt: n + 1, Attempts: []store.Attempt{*c.Attempt}}
		c.Desired = []store.Desired{named(fmt.Sprint("c", n%3))}
		c.Desired[0].Generation, c.Desired[0].InputHash, c.Desired[0].Config = int64(n), "h", []byte(`{"n":1}`)
		c.Source = &store.Source{Name: "manifests", Identity: fmt.Sprint(n)}
		if n == 4 {
			c.Removed = []string{"c0"}
		}
		if err := db.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files, said = append(files, b), append(said, words(t, db, nil))
	}
	return files, said
}

// words are all that a store says, by where it says it. An error that names a record stands for it, under a name of its own.
func words(t *testing.T, db *store.DB, unread map[string]bool) map[string]string {
	t.Helper()
	said := map[string]string{}
	say := func(where string, v any, err error) {
		t.Helper()
		for _, err := range flatten(err) {
			r, ok := errors.AsType[*store.RecordError](err)
			if !ok {
				t.Errorf("%s: %v", where, err)
				continue
			}
			if unread != nil {
				unread[r.Bucket+"/"+r.Name] = true
			}
		}
		if err == nil {
			said[where] = fmt.Sprintf("%+v", v)
		}
	}
	names, err := db.Names()
	say("names", names, err)
	for d, err := range db.AllDesired() {
		if err != nil {
			say("desired", nil, err)
			continue
		}
		whole, err := db.Desired(d.Container.Name)
		if err != nil {
			say("desired", nil, err)
			continue
		}
		say("desired/"+d.Container.Name, fmt.Sprintf("%d %s", whole.Generation, whole.Config), nil)
	}
	for r, err := range db.Records() {
		say("status/"+r.Name, r.LastAttempt, err)
	}
	if s, err := db.Source("manifests"); err != nil {
		say("sources", nil, err)
	} else {
		say("sources", s.Identity, nil)
	}
	exits, err := db.Exits("c0")
	say("exits", nil, err)
	for _, e := range exits {
		say(fmt.Sprint("exits/", e.Attempt), *e.ExitCode, nil)
	}
	attempts, err := db.Attempts("c0")
	say("attempts", nil, err)
	for _, a := range attempts {
		say(fmt.Sprint("attempts/", a.Number), a.Process, nil)
	}
	events, err := db.Events(0, 0)
	say("events", nil, err)
	for _, e := range events {
		if e.Reason != "Exited" {
			continue // it is of this start
		}
		say(fmt.Sprint("events/", e.Seq), e.Message, nil)
	}
	return said
}

func flatten(err error) []error {
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		return all.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// TestTornWrites cuts the power in the middle of a commit. bbolt writes data pages, syncs, then writes one meta page and
// syncs: any of the data pages may be there, or half of one, and the meta page only if all are. Each such file is the store
// before the commit or after it, and nothing is set aside.
func TestTornWrites(t *testing.T) {
	files, said := versions(t)
	tried := 0
	for n := 1; n < len(files); n++ {
		before, after := files[n-1], files[n]
		meta, data := changedPages(before, after)
		if len(meta) != 1 || len(data) == 0 || len(data) > 12 {
			t.Fatalf("pages %v and %v changed", meta, data)
		}
		for subset := range 1 << len(data) {
			torn := grow(before, len(after))
			for i, p := range data {
				if subset&(1<<i) != 0 {
					copy(torn[p*page:(p+1)*page], after[p*page:])
				}
			}
			is(t, fmt.Sprintf("commit %d, pages %b", n, subset), torn, said[n-1])
			if subset == 1<<len(data)-1 {
				copy(torn[meta[0]*page:(meta[0]+1)*page], after[meta[0]*page:])
				is(t, fmt.Sprintf("commit %d, all", n), torn, said[n])
			}
			tried++
		}
		// Sectors of a page, and of the meta page.
		rng := rand.New(rand.NewPCG(uint64(n), 4))
		for range 50 {
			torn := grow(before, len(after))
			for _, p := range data {
				for at := p * page; at < (p+1)*page; at += 512 {
					if rng.IntN(2) == 0 {
						copy(torn[at:at+512], after[at:])
					}
				}
			}
			is(t, fmt.Sprintf("commit %d, torn pages", n), torn, said[n-1])
			tried++
		}
		torn := slices.Clone(after)
		for at := meta[0]*page + 16; at < meta[0]*page+80; at++ { // its checksum tells
			copy(torn[meta[0]*page:(meta[0]+1)*page], before[meta[0]*page:])
			copy(torn[meta[0]*page:at], after[meta[0]*page:])
			if !bytes.Equal(torn[meta[0]*page:(meta[0]+1)*page], after[meta[0]*page:(meta[0]+1)*page]) {
				is(t, fmt.Sprintf("commit %d, half a head", n), torn, said[n-1])
				tried++
			}
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d torn files", tried)
}

func grow(b []byte, size int) []byte {
	return append(slices.Clone(b), make([]byte, max(0, size-len(b)))...)
}

func changedPages(before, after []byte) (meta, data []int) {
	was := grow(before, len(after))
	for p := range len(after) / page {
		if !bytes.Equal(was[p*page:(p+1)*page], after[p*page:(p+1)*page]) {
			if p < 2 {
				meta = append(meta, p)
			} else {
				data = append(data, p)
			}
		}
	}
	return meta, data
}

// is: the store in these bytes is whole and says just this.
func is(t *testing.T, what string, file []byte, want map[string]string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "reconciler.db")
	write(t, path, file)
	db := open(t, path)
	if db.Recovered() != "" && !strings.Contains(what, "half a head") {
		t.Errorf("%s: %s", what, db.Recovered())
	} else if got := words(t, db, nil); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: it says\n%v, and not\n%v", what, got, want)
	}
	db.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// TestADiskThatLies: it said that pages were there which are not, in any order. Then nobody can tell an old page from a new
// one, but what the store says it said once, or it says that it cannot be read.
func TestADiskThatLies(t *testing.T) {
	files, said := versions(t)
	rng := rand.New(rand.NewPCG(6, 6))
	whole, aside := 0, 0
	for range 200 {
		n := 1 + rng.IntN(len(files)-1)
		file := slices.Clone(files[n])
		for p := 2; p < len(file)/page; p++ { // the meta page is there; others are of any commit before
			if old := files[rng.IntN(n+1)]; rng.IntN(3) == 0 {
				copy(file[p*page:(p+1)*page], grow(old, len(file))[p*page:])
			}
		}
		if survives(t, file, nil, func(where, word string) bool {
			return slices.ContainsFunc(said, func(s map[string]string) bool { return s[where] == word })
		}) {
			whole++
		} else {
			aside++
		}
	}
	t.Logf("%d were taken as they were, %d were set aside", whole, aside)
	if whole == 0 || aside == 0 {
		t.Error("the disk lies too little or too much")
	}
}

// TestFlippedBits flips bits of a whole small file, one at a time. What the store then says is what it said, or it says that
// this record cannot be read; or the file is set aside.
func TestFlippedBits(t *testing.T) {
	files, said := versions(t)
	last, want := files[len(files)-1], said[len(said)-1]
	rng := rand.New(rand.NewPCG(8, 8))
	whole, aside, seen := 0, 0, 0
	for p := range len(last) / page {
		for range 120 {
			file := slices.Clone(last)
			at := p*page + rng.IntN(page)
			if rng.IntN(2) == 0 {
				at = p*page + rng.IntN(256) // heads, elements and meta
			}
			file[at] ^= 1 << rng.IntN(8)
			unread := 0
			if survives(t, file, want, func(where, word string) bool { return want[where] == word }, &unread) {
				whole++
			} else {
				aside++
			}
			seen += unread
			if t.Failed() {
				t.Fatalf("page %d, byte %d", p, at%page)
			}
		}
	}
	t.Logf("%d were taken as they were, %d records could not be read, %d files were set aside", whole, seen, aside)
	if whole == 0 || aside == 0 || seen == 0 {
		t.Error("the test damages too little or too much")
	}
}

// TestCuts ends a file at each page, and within it. A file without its last pages is one that was set aside, or they were not
// in use.
func TestCuts(t *testing.T) {
	files, said := versions(t)
	last, want := files[len(files)-1], said[len(said)-1]
	whole, aside := 0, 0
	for size := 0; size <= len(last); size += page / 2 {
		if survives(t, last[:size], want, func(where, word string) bool { return want[where] == word }) {
			whole++
		} else {
			aside++
		}
	}
	if whole == 0 || aside < 4 {
		t.Errorf("%d were taken as they were, %d were set aside", whole, aside)
	}
}

// survives opens a file and holds what it says: each word is fit, and for what is missing of all there is an error that says
// that it cannot be read. It returns false for a file that was set aside.
func survives(t *testing.T, file []byte, all map[string]string, fit func(where, word string) bool, lost ...*int) bool {
	t.Helper()
	dir := t.TempDir()
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "reconciler.db")
	write(t, path, file)
	db := open(t, path)
	defer db.Close()
	if db.Recovered() != "" {
		if aside := asides(t, path); strings.Contains(db.Recovered(), "two heads") {
			if mark, err := db.Restored(); len(aside) > 0 || mark == nil || err != nil {
				t.Errorf("aside %v, mark %+v, %v", aside, mark, err)
			}
		} else if len(aside) != 1 {
			t.Errorf("aside: %v", aside)
		} else if kept, err := os.ReadFile(aside[0]); err != nil || !bytes.Equal(kept, file) {
			t.Errorf("it was not kept as it was: %v", err)
		}
		return false
	}
	unread := map[string]bool{}
	got := words(t, db, unread)
	for where, word := range got {
		if !fit(where, word) {
			t.Errorf("%s: %s; unread %v", where, word, unread)
		}
	}
	if len(lost) > 0 {
		*lost[0] = len(unread)
	}
	for where := range all {
		if _, there := got[where]; !there && !told(where, unread) {
			t.Errorf("%s is missing; unread %v", where, unread)
		}
	}
	commitEvent(t, db, "After")
	return true
}

// told: something is unread that a word can be missing for.
func told(where string, unread map[string]bool) bool {
	bucket, _, _ := strings.Cut(where, "/")
	for r := range unread {
		is, _, _ := strings.Cut(r, "/")
		if is == bucket || bucket == "desired" && (is == "configs" || is == "overrides" || is == "meta") {
			return true
		}
	}
	return false
}
