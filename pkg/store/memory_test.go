package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strconv"
	"testing"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/store/storetest"
)

// A clone is the disk as it was, whatever is written to either of the two.
func TestMemoryIsCutOff(t *testing.T) {
	disk := new(store.Memory)
	db := disk.Open("boot")
	commitEvent(t, db, "Before")
	before := disk.Clone()
	commitEvent(t, db, "After")
	other := before.Open("another boot")
	if got := reasons(t, other); got != "Before" {
		t.Errorf("events %q on the clone", got)
	}
	commitEvent(t, other, "Instead")
	if got := reasons(t, disk.Open("boot")); got != "Before After" {
		t.Errorf("events %q on the disk", got)
	}
	if got := reasons(t, before.Open("boot")); got != "Before Instead" {
		t.Errorf("events %q on the clone, later", got)
	}
	if err := errors.Join(db.Close(), db.Close()); err != nil {
		t.Error(err)
	}
	if _, err := db.Names(); !errors.Is(err, store.ErrClosed) {
		t.Errorf("read of a closed store: %v", err)
	}
	if err := db.Commit(t.Context(), store.Change{}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("commit to a closed store: %v", err)
	}
}

// Marking one disk as in doubt changes nothing that another one shares with it.
func TestMemoryInDoubt(t *testing.T) {
	disk := new(store.Memory)
	db := disk.Open("boot")
	commit := func(c store.Change) {
		t.Helper()
		if err := db.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	begun := store.Record{Name: "web", LastAttempt: 2, Attempts: []store.Attempt{{Number: 1, Instance: "web.1", IntentAt: epoch}, {Number: 2, Instance: "web.2", Over: true}}}
	commit(store.Change{Desired: []store.Desired{named("web")}, Record: &begun, Down: &store.Down{By: "root", BootID: "boot"}})
	stop := func(v *store.Verbs) error { v.Override = &store.Override{State: desired.Stopped}; return nil }
	if err := db.UpdateVerbs(t.Context(), "web", stop); err != nil {
		t.Fatal(err)
	}
	other := disk.Clone()
	if err := disk.Doubt(store.Restored{At: epoch}, "boot"); err != nil {
		t.Fatal(err)
	}
	for what, m := range map[string]struct {
		disk     *store.Memory
		doubted  bool
		attempts []store.Attempt
	}{"marked": {disk, true, begun.Attempts[1:]}, "not marked": {other, false, begun.Attempts}} {
		r, err := m.disk.Open("boot").Record("web")
		if err != nil || r.InDoubt != m.doubted || !reflect.DeepEqual(r.Attempts, m.attempts) {
			t.Errorf("%s: %+v, %v", what, r, err)
		}
		d, err := m.disk.Open("boot").Desired("web")
		if err != nil || d.Held.InDoubt != m.doubted || d.Verbs.Override.InDoubt != m.doubted {
			t.Errorf("%s: %+v, %v", what, d, err)
		}
	}
}

// The two trees hold the same after the same changes, those included that are refused.
func TestMemoryIsAsTheFile(t *testing.T) {
	file, memory := storetest.Open(t), new(store.Memory).Open(storetest.BootID(t))
	rng := rand.New(rand.NewPCG(5, 8))
	refused := 0
	for range 2_000 {
		c := anyChange(rng)
		err, again := file.Commit(t.Context(), c), memory.Commit(t.Context(), c)
		if fmt.Sprint(err) != fmt.Sprint(again) {
			t.Fatalf("the file says %v, the memory %v", err, again)
		}
		if err != nil {
			refused++
		}
		if rng.IntN(100) == 0 {
			if err := errors.Join(file.Sweep(t.Context(), epoch.Add(1000)), memory.Sweep(t.Context(), epoch.Add(1000))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if a, b := contents(t, file), contents(t, memory); !reflect.DeepEqual(a, b) {
		t.Errorf("the file holds\n%v\nthe memory\n%v", a, b)
	}
	if refused == 0 || refused == 2_000 {
		t.Errorf("%d of 2000 changes were refused", refused)
	}
}

func anyChange(rng *rand.Rand) store.Change {
	name := fmt.Sprint("c", rng.IntN(5))
	n := rng.IntN(150)
	c := numbered(n)
	c.Attempt.Instance = fmt.Sprintf("%s.%d", name, n+1)
	c.Exit.Instance = c.Attempt.Instance
	c.Events[0].Object = name
	c.Record = &store.Record{Name: name, LastAttempt: rng.IntN(3)}
	switch rng.IntN(6) {
	case 0:
		c.Removed = []string{name}
	case 1:
		c.Desired = []store.Desired{named(name)}
	case 2:
		c.Record.RemovedAt = epoch.AddDate(0, 0, -8)
	case 3:
		c.Exit.PID++
	}
	return c
}

// contents is all that can be read.
func contents(t *testing.T, db *store.DB) (all []any) {
	t.Helper()
	add := func(v any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	for d, err := range db.AllDesired() {
		add(*d, err)
	}
	for r, err := range db.Records() {
		add(r, err)
		attempts, err := db.Attempts(r.Name)
		add(attempts, err)
		exits, err := db.Exits(r.Name)
		add(exits, err)
	}
	events, err := db.Events(0, 0)
	add(events, err)
	return all
}

// BenchmarkMemory is what a simulated restart pays, of some containers over some hundred commits: a record with its attempt,
// exit and event.
func BenchmarkMemory(b *testing.B) {
	const run = 200
	var changes []store.Change
	for n := range run {
		c := numbered(n)
		c.Record = &store.Record{Name: "c" + strconv.Itoa(n/50), LastAttempt: n + 1, Attempts: []store.Attempt{*c.Attempt}}
		changes = append(changes, c)
	}
	var db *store.DB
	for n := 0; b.Loop(); n++ {
		if n%run == 0 {
			db = new(store.Memory).Open("boot")
		}
		if err := db.Commit(b.Context(), changes[n%run]); err != nil {
			b.Fatal(err)
		}
	}
}
