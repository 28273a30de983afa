package reconcile

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/store"
)

// wishes is a store of what is desired; it remembers nothing of a change that fails.
type wishes struct {
	desired map[string]store.Desired
	source  *store.Source
	commits int
	reads   map[string]int // of single names
	fail    error          // of the next commit
	damaged string         // a name whose record cannot be read

	restored  *store.Restored
	sourceErr error
}

func newWishes() *wishes {
	return &wishes{desired: map[string]store.Desired{}, reads: map[string]int{}}
}

func (w *wishes) Source(string) (*store.Source, error) {
	if w.sourceErr != nil {
		return nil, w.sourceErr
	}
	if w.source == nil {
		return nil, store.ErrNotFound
	}
	return w.source, nil
}

func (w *wishes) Restored() (*store.Restored, error) { return w.restored, nil }

func (w *wishes) Desired(name string) (*store.Desired, error) {
	w.reads[name]++
	if name == w.damaged {
		return nil, w.damage()
	}
	d, ok := w.desired[name]
	if !ok {
		return nil, store.ErrNotFound
	}
	return &d, nil
}

func (w *wishes) AllDesired() iter.Seq2[*store.Desired, error] {
	return func(yield func(*store.Desired, error) bool) {
		for name, d := range w.desired {
			if name == w.damaged {
				if !yield(nil, w.damage()) {
					return
				}
			} else if !yield(&d, nil) {
				return
			}
		}
	}
}

func (w *wishes) damage() error {
	return &store.RecordError{Bucket: "desired", Name: w.damaged, Err: errors.New("damaged")}
}

func (w *wishes) Commit(_ context.Context, c store.Change) error {
	if err := w.fail; err != nil {
		w.fail = nil
		return err
	}
	w.commits++
	w.apply(c)
	return nil
}

func (w *wishes) apply(c store.Change) {
	for _, name := range c.Removed {
		delete(w.desired, name)
	}
	for _, d := range c.Desired {
		w.desired[d.Container.Name] = d
	}
	if c.Source != nil {
		w.source, w.sourceErr = c.Source, nil
	}
	if c.ManifestsRead {
		w.restored = nil
	}
}

// lines are what is desired, and what is told of the directory.
func (w *wishes) lines() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(w.desired)) {
		fmt.Fprintf(&b, "%s %s\n", name, asJSON(w.desired[name]))
	}
	if w.source != nil {
		fmt.Fprintf(&b, "%s\n", asJSON(w.source))
	}
	return b.String()
}

// TestAnEditCostsWhatItChanges: one edit among many reads and writes what it is about, and a scan that finds nothing new reads
// no container and writes nothing.
func TestAnEditCostsWhatItChanges(t *testing.T) {
	m := &manifests{files: map[string]desired.File{}, bundles: map[string]string{"/b": goodConfig}}
	loads := 0
	w := newWishes()
	s := &Sources{Store: w, Wake: func(...string) {}, Log: logr.Discard(), Load: func(dir string) ([]byte, error) {
		loads++
		return m.load(dir)
	}}
	file := func(i int, state desired.State) (string, desired.File) {
		c := desired.Container{Name: fmt.Sprintf("n%d", i), Spec: desired.Spec{Bundle: "/b", State: state}}
		return c.Name + ".yaml", desired.File{Containers: []desired.Container{c}}
	}
	for i := range 1000 {
		name, f := file(i, desired.Running)
		m.files[name] = f
	}
	costs := func(what string, commits, read, loaded int, do func() error) {
		t.Helper()
		w.commits, w.reads, loads = 0, map[string]int{}, 0
		if err := do(); err != nil {
			t.Fatal(err)
		}
		if w.commits != commits || len(w.reads) != read || loads != loaded {
			t.Errorf("%s: %d commits, %d read, %d loads; want %d, %d, %d", what, w.commits, len(w.reads), loads, commits, read, loaded)
		}
	}
	scanned := func(whole bool) func() error {
		return func() error { return s.Scanned(t.Context(), m.scan(whole), false) }
	}
	costs("all", 4, 0, 4, scanned(true)) // in parts of 256, each of which reads the bundle they share
	costs("all again", 0, 0, 0, scanned(true))
	name, f := file(7, desired.Stopped)
	m.files[name], m.touched = f, set{name: true}
	costs("an edit", 1, 1, 1, scanned(false))
	costs("the same again", 0, 0, 0, scanned(true))
	delete(m.files, name)
	costs("a removal", 1, 1, 0, scanned(false))
	m.bundles["/b"] = strings.Replace(goodConfig, "true", "false", 1)
	costs("a bundle", 4, 999, 4, func() error { return s.Reload(t.Context(), "/b") })
	costs("no bundle", 0, 0, 0, func() error { return s.Reload(t.Context(), "/other") })
}

// TestBundlesInUse: whoever watches them is told of each when its first container wants it, and when the last one no
// longer does.
func TestBundlesInUse(t *testing.T) {
	used := set{}
	m := &manifests{bundles: map[string]string{"/b": goodConfig}}
	s := &Sources{Store: newWishes(), Load: m.load, Wake: func(...string) {}, Log: logr.Discard(), Uses: func(bundle string, use bool) {
		if used[bundle] == use {
			t.Errorf("%s: told %v twice", bundle, use)
		}
		if used[bundle] = use; !use {
			delete(used, bundle)
		}
	}}
	wants := func(bundles ...string) {
		t.Helper()
		if got := slices.Sorted(maps.Keys(used)); !slices.Equal(got, bundles) {
			t.Errorf("in use: %q, want %q", got, bundles)
		}
	}
	apply := func(name, bundle string) {
		t.Helper()
		if _, err := s.Apply(t.Context(), desired.Container{Name: name, Spec: desired.Spec{Bundle: bundle}}, "root"); err != nil {
			t.Fatal(err)
		}
	}
	apply("a", "/b")
	apply("b", "/b")
	wants("/b")
	apply("a", "/gone") // /b is in force still, but it is /gone that may get better
	wants("/b", "/gone")
	apply("b", "/gone")
	wants("/gone")
	for _, name := range []string{"a", "b"} {
		if err := s.Delete(t.Context(), name, "root"); err != nil {
			t.Fatal(err)
		}
	}
	wants()
}

// TestTheAPIAndAManifest want one name: who was first has it, over a restart too, the other one is told of the owner, and
// gets it when the owner lets go.
func TestTheAPIAndAManifest(t *testing.T) {
	m := &manifests{files: map[string]desired.File{}, bundles: map[string]string{"/b": goodConfig}}
	w := newWishes()
	var s *Sources
	restart := func() {
		s = &Sources{Store: w, Load: m.load, Wake: func(...string) {}, Log: logr.Discard()}
	}
	restart()
	c := desired.Container{Name: "web", Spec: desired.Spec{Bundle: "/b"}}
	claim := func(file string) {
		t.Helper()
		m.files[file] = desired.File{Containers: []desired.Container{c}}
		if err := s.Scanned(t.Context(), m.scan(true), false); err != nil {
			t.Fatal(err)
		}
	}
	owned := func(owner, loser string) {
		t.Helper()
		if d := w.desired["web"]; d.Source != owner {
			t.Errorf("it belongs to %q, want %q", d.Source, owner)
		}
		problem := w.source.Files[loser]
		if loser != "" && (!strings.Contains(problem, owner) || !strings.Contains(problem, loser)) || loser == "" && len(w.source.Files) > 0 {
			t.Errorf("told: %q, want that %s keeps it from %q", w.source.Files, owner, loser)
		}
	}
	apply := func() error {
		_, err := s.Apply(t.Context(), c, "root")
		return err
	}

	if err := apply(); err != nil {
		t.Fatal(err)
	}
	claim("a.yaml")
	owned("api", "a.yaml")
	restart()
	claim("a.yaml")
	owned("api", "a.yaml")
	if err := s.Delete(t.Context(), "web", "root"); err != nil {
		t.Fatal(err)
	}
	owned("manifests/a.yaml", "")
	for range 2 {
		if err := apply(); err == nil || err.Error() != `"web" belongs to manifests/a.yaml` {
			t.Errorf("applied over a manifest: %v", err)
		}
		if err := s.Delete(t.Context(), "web", "root"); err == nil || err.Error() != `"web" belongs to manifests/a.yaml` {
			t.Errorf("deleted a manifest's: %v", err)
		}
		restart()
	}
	owned("manifests/a.yaml", "")
}

// TestAppliedBundles: what is applied with a bundle that cannot be used is accepted, and taken in when it is there; what
// breaks later leaves the last good one in force.
func TestAppliedBundles(t *testing.T) {
	m := &manifests{bundles: map[string]string{}}
	w := newWishes()
	s := &Sources{Store: w, Load: m.load, Wake: func(...string) {}, Log: logr.Discard()}
	becomes := func(config, inForce string) {
		t.Helper()
		if m.bundles["/b"] = config; config == "" {
			delete(m.bundles, "/b")
		}
		if err := s.Reload(t.Context(), "/b"); err != nil {
			t.Fatal(err)
		}
		if d := w.desired["web"]; string(d.Config) != inForce || (d.Problem == "") != (config == inForce && config != "") {
			t.Errorf("%q: in force %q, problem %q", config, d.Config, d.Problem)
		}
	}
	applied, err := s.Apply(t.Context(), desired.Container{Name: "web", Spec: desired.Spec{Bundle: "/b"}}, "root")
	if d := w.desired["web"]; applied != Created || err != nil || d.Problem == "" || d.Config != nil {
		t.Errorf("%v, %v: %+v", applied, err, d)
	}
	other := strings.Replace(goodConfig, "true", "false", 1)
	becomes(goodConfig, goodConfig)
	becomes("{", goodConfig)
	becomes("", goodConfig)
	becomes(goodConfig, goodConfig)
	becomes(other, other)
}

// TestADamagedRecordIsLeftAlone: it is nobody's to give away or to write over, at a start and later.
func TestADamagedRecordIsLeftAlone(t *testing.T) {
	c := desired.Container{Name: "web", Spec: desired.Spec{Bundle: "/b"}}
	m := &manifests{files: map[string]desired.File{"a.yaml": {Containers: []desired.Container{c}}}, bundles: map[string]string{"/b": goodConfig}}
	w := newWishes()
	s := &Sources{Store: w, Load: m.load, Wake: func(...string) {}, Log: logr.Discard()}
	if err := s.Scanned(t.Context(), m.scan(true), false); err != nil {
		t.Fatal(err)
	}
	was := string(asJSON(w.desired["web"]))
	w.damaged = "web"
	m.bundles["/b"] = "{"
	for range 2 {
		if err := errors.Join(s.Reload(t.Context(), "/b"), s.Scanned(t.Context(), m.scan(true), false)); err != nil {
			t.Fatal(err)
		}
		m.files["a.yaml"] = desired.File{Containers: []desired.Container{c}, Errors: nil}
		m.files["b.yaml"] = desired.File{Containers: []desired.Container{c}}
		if is := string(asJSON(w.desired["web"])); is != was {
			t.Errorf("written over: %s", is)
		}
		s = &Sources{Store: w, Load: m.load, Wake: func(...string) {}, Log: logr.Discard()} // a restart
	}
	if !strings.Contains(w.source.Files["a.yaml"], "cannot be read") {
		t.Errorf("told: %q", w.source.Files)
	}
}
