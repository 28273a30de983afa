package reconcile

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/store"
)

// TestNothingIsDoneOnAWordInDoubt asks for every combination of what one name can be, with a store that was restored: nothing
// is ended, changed or begun because it is wanted so, but for what had been begun before.
func TestNothingIsDoneOnAWordInDoubt(t *testing.T) {
	waits := 0
	for s := range states() {
		r := s.recs["web"]
		cur := last(r.Attempts)
		if cur != nil && !cur.Over && cur.StartCommitted.IsZero() {
			continue // a restored store has none: it may have run since
		}
		r.InDoubt = true
		s.recs["web"] = r
		a := Plan(s.want, s.have, s.recs, testEpoch).Actions[0]
		switch {
		case a.Reason == "ManifestsUnread":
			waits++
		case a.Verb == Signal && a.Reason == "RuntimeStateLost", cur != nil && cur.Stop != nil:
		case a.Verb == Signal, a.Verb == Kill, a.Verb == Pause, a.Verb == Resume, a.Verb == Update, a.Verb == Launch:
			t.Errorf("%s: %v", s, a)
		}
	}
	if waits == 0 {
		t.Error("nothing waits for the manifests")
	}
}

// What a verb says after the restore is not in doubt, and what it said before stops and freezes nothing when the manifests
// were read, but begins nothing either.
func TestVerbsInDoubt(t *testing.T) {
	override := func(state desired.State, inDoubt bool) func(*store.Desired) {
		return func(d *store.Desired) { d.Verbs.Override = &store.Override{State: state, InDoubt: inDoubt} }
	}
	held := func(d *store.Desired) { d.Held = &store.Override{State: desired.Stopped, InDoubt: true} }
	for name, test := range map[string]struct {
		want    func(*store.Desired)
		restore bool // and the manifests were not read
		alive   bool
		line    string
	}{
		"stop, said again":           {override(desired.Stopped, false), true, true, "web stop instance=web.3 signal=TERM grace=10s reason=Stopped"},
		"pause, said again":          {override(desired.Paused, false), true, true, "web pause instance=web.3 reason=Paused"},
		"start, said again":          {override(desired.Running, false), true, false, "web launch instance=web.4 reason=Desired"},
		"stop":                       {override(desired.Stopped, true), false, true, "web hold reason=Stopped"},
		"stop of what is dead":       {override(desired.Stopped, true), false, false, "web hold reason=Stopped"},
		"pause":                      {override(desired.Paused, true), false, true, "web hold reason=Paused"},
		"down":                       {held, false, true, "web hold reason=Stopped"},
		"down of what is dead":       {held, false, false, "web hold reason=Stopped"},
		"down, before the manifests": {held, true, true, "web hold reason=Stopped"},
		"nothing, dead":              {func(*store.Desired) {}, true, false, "web wait reason=ManifestsUnread"},
		"nothing, alive":             {func(*store.Desired) {}, true, true, "web hold reason=Running"},
		"another spec":               {func(d *store.Desired) { d.InputHash = "h2" }, true, true, "web wait reason=ManifestsUnread"},
		"another spec, read":         {func(d *store.Desired) { d.InputHash = "h2" }, false, true, "web stop instance=web.3 signal=TERM grace=10s reason=SpecChanged"},
	} {
		m := newModel()
		m.desire("web", test.want)
		r := store.Record{Name: "web", SpecHash: "h1", LastAttempt: 3, ObservedGeneration: 1, InDoubt: test.restore}
		have := observed.Snapshot{Instances: map[string]observed.Instance{}}
		if test.alive {
			p := sightings()[2].Process
			r.Attempts = []store.Attempt{{Number: 3, Instance: "web.3", SpecHash: "h1", Private: true, Process: &p, StartCommitted: testEpoch, Started: true}}
			r.Stop = desired.DefaultStop
			have.Instances["web.3"] = observed.Instance{ID: "web.3", Life: observed.Alive, Process: p, Ours: true}
		}
		if got := Plan(m.want, have, map[string]store.Record{"web": r}, testEpoch).Actions[0].String(); got != test.line {
			t.Errorf("%s: %s, want %s", name, got, test.line)
		}
	}
}

// A scan that takes in all of the directory lifts the mark; one that does not leaves it.
func TestTheManifestsLiftTheMark(t *testing.T) {
	c := desired.Container{Name: "web", Spec: desired.Spec{Bundle: "/b"}}
	m := &manifests{files: map[string]desired.File{"a.yaml": {Containers: []desired.Container{c}}}, bundles: map[string]string{"/b": goodConfig}}
	w := newWishes()
	s := &Sources{Store: w, Load: m.load, Wake: func(...string) {}, Log: logr.Discard()}
	scanned := func() {
		t.Helper()
		if err := s.Scanned(t.Context(), m.scan(true), false); err != nil {
			t.Fatal(err)
		}
	}
	w.restored = &store.Restored{}
	w.source = &store.Source{Name: SourceName, Identity: "another directory", Boot: "this"}
	scanned()
	if w.restored == nil {
		t.Error("a directory that is not accepted lifts the mark")
	}
	w.source = nil
	s = &Sources{Store: w, Load: m.load, Wake: func(...string) {}, Log: logr.Discard()}
	w.fail = errors.New("disk full")
	_ = s.Scanned(t.Context(), m.scan(true), false)
	if w.restored == nil {
		t.Error("what is not on record lifts the mark")
	}
	scanned()
	if w.restored != nil {
		t.Error("the mark stands")
	}
}

// What is remembered of the directory cannot be read: it has to be confirmed, and then is.
func TestADamagedSourceIsConfirmed(t *testing.T) {
	c := desired.Container{Name: "web", Spec: desired.Spec{Bundle: "/b"}}
	m := &manifests{files: map[string]desired.File{"a.yaml": {Containers: []desired.Container{c}}}, bundles: map[string]string{"/b": goodConfig}}
	w := newWishes()
	s := &Sources{Store: w, Load: m.load, Wake: func(...string) {}, Log: logr.Discard()}
	if err := s.Scanned(t.Context(), m.scan(true), false); err != nil {
		t.Fatal(err)
	}
	w.sourceErr = &store.RecordError{Bucket: "sources", Name: SourceName, Err: errors.New("damaged")}
	clear(m.files)
	if err := s.Scanned(t.Context(), m.scan(true), false); err != nil {
		t.Fatal(err)
	}
	if len(w.desired) != 1 || !strings.Contains(w.source.Problem, "confirm") {
		t.Errorf("%v, %+v", w.desired, w.source)
	}
	if err := s.Scanned(t.Context(), m.scan(true), true); err != nil {
		t.Fatal(err)
	}
	if len(w.desired) != 0 || w.source.Problem != "" {
		t.Errorf("confirmed: %v, %+v", w.desired, w.source)
	}
}

// snapshotted is a store that fails to take snapshots as long as it says why.
type snapshotted struct {
	mu           sync.Mutex
	fail         error
	taken, tries int
	events       []string
}

func (s *snapshotted) Snapshot(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries++
	if s.fail == nil {
		s.taken++
	}
	return s.fail
}

func (s *snapshotted) Commit(_ context.Context, c store.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range c.Events {
		s.events = append(s.events, e.Reason+" "+e.Message)
	}
	return nil
}

// A snapshot is taken soon and every hour; where that fails it is told once, and again after it went well.
func TestSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := &snapshotted{}
		done := make(chan error)
		go func() { done <- (&Snapshots{Store: s, Log: logr.Discard()}).Run(ctx) }()
		fails := func(err error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.fail = err
		}
		after := func(d time.Duration, tries, taken, told int) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.tries != tries || s.taken != taken || len(s.events) != told {
				t.Errorf("%d tries, %d taken, told %q; want %d, %d, %d", s.tries, s.taken, s.events, tries, taken, told)
			}
		}
		after(time.Minute, 1, 1, 0)
		after(time.Hour, 2, 2, 0)
		fails(errors.New("no space left"))
		after(2*time.Hour, 4, 2, 1)
		fails(nil)
		after(time.Hour, 5, 3, 1)
		fails(errors.New("no space left"))
		after(time.Hour, 6, 3, 2)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
