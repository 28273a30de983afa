package reconcile

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"pgregory.net/rapid"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// manifests is a directory and some bundles, which change at random.
type manifests struct {
	files   map[string]desired.File
	bundles map[string]string
	touched set // files
	changed set // bundles
}

var (
	someFiles   = []string{"a.yaml", "b.yaml", "c.yaml", "d.yaml", "e.yaml"}
	someNames   = []string{"n1", "n2", "n3", "n4", "n5", "n6"}
	someBundles = []string{"/b1", "/b2", "/b3"}
)

func (m *manifests) load(dir string) ([]byte, error) {
	if config, there := m.bundles[dir]; there {
		return []byte(config), nil
	}
	return nil, fmt.Errorf("bundle %s: no such directory", dir)
}

func drawContainer(t *rapid.T, name string) desired.Container {
	c := desired.Container{Name: name, Spec: desired.Spec{Bundle: rapid.SampledFrom(someBundles).Draw(t, "bundle"), State: desired.Running}}
	if rapid.Bool().Draw(t, "args") {
		c.Spec.Process.Args = []string{"other"}
	}
	return c
}

// mutate changes a file or a bundle.
func (m *manifests) mutate(t *rapid.T) {
	file := rapid.SampledFrom(someFiles).Draw(t, "file")
	switch rapid.SampledFrom([]string{"write", "write", "break", "remove", "rename", "bundle"}).Draw(t, "what") {
	case "write":
		var f desired.File
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(someNames), 0, 3, rapid.ID[string]).Draw(t, "names") {
			f.Containers = append(f.Containers, drawContainer(t, name))
		}
		m.files[file], m.touched[file] = f, true
	case "break":
		m.files[file], m.touched[file] = desired.File{Errors: []error{errors.New(file + ":1:1: broken")}}, true
	case "remove":
		delete(m.files, file)
		m.touched[file] = true
	case "rename":
		to := rapid.SampledFrom(someFiles).Draw(t, "to")
		if f, there := m.files[file]; there && to != file {
			delete(m.files, file)
			m.files[to], m.touched[file], m.touched[to] = f, true, true
		}
	case "bundle":
		dir := rapid.SampledFrom(someBundles).Draw(t, "which")
		delete(m.bundles, dir)
		if config := rapid.SampledFrom([]string{"", "{", goodConfig, strings.Replace(goodConfig, "true", "false", 1)}).Draw(t, "config"); config != "" {
			m.bundles[dir] = config
		}
		m.changed[dir] = true
	}
}

// scan is what the watch leads to: a partial scan of what was touched; or a whole one.
func (m *manifests) scan(whole bool) desired.Scan {
	s := desired.Scan{Identity: "device 1:1 inode 5 born 1.0", Files: map[string]desired.File{}}
	if whole {
		maps.Copy(s.Files, m.files)
		return s
	}
	s.Partial = true
	for file := range m.touched {
		if f, there := m.files[file]; there {
			s.Files[file] = f
		} else {
			s.Gone = append(s.Gone, file)
		}
	}
	return s
}

// TestTakingInWhatChangedIsTakingInEverything: after each scan the incremental path has led to the very records that a
// full pass over everything leads to, however it was cut in parts, and whether commits failed meanwhile.
func TestTakingInWhatChangedIsTakingInEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &manifests{files: map[string]desired.File{}, bundles: map[string]string{"/b1": goodConfig, "/b2": goodConfig}}
		steps, full := newWishes(), newWishes()
		s := &Sources{Store: steps, Load: m.load, Wake: func(...string) {}, Log: logr.Discard(), batch: rapid.IntRange(1, 4).Draw(t, "batch")}
		whole := func() {
			known := slices.Collect(maps.Keys(full.desired))
			var all, applied []*store.Desired
			for _, name := range known {
				d := full.desired[name]
				if all = append(all, &d); d.Source == APISource {
					applied = append(applied, &d)
				}
			}
			var src store.Source
			if full.source != nil {
				src = *full.source
			}
			boot, err := subreaper.BootID()
			must(t, err)
			full.apply(Intake(m.scan(true), src, all, m.load, boot, testEpoch))
			full.apply(Reload(applied, m.load, testEpoch))
		}
		must(t, s.Scanned(t.Context(), m.scan(true), false))
		whole()
		for range rapid.IntRange(1, 12).Draw(t, "scans") {
			m.touched, m.changed = set{}, set{}
			for range rapid.IntRange(0, 4).Draw(t, "changes") {
				m.mutate(t)
			}
			name := rapid.SampledFrom(someNames).Draw(t, "name")
			scan := m.scan(rapid.IntRange(0, 4).Draw(t, "whole") == 0)
			if rapid.IntRange(0, 3).Draw(t, "fails") == 0 {
				steps.fail = errors.New("no room")
			}
			for s.Scanned(t.Context(), scan, false) != nil || s.Reload(t.Context(), slices.Collect(maps.Keys(m.changed))...) != nil {
			}
			steps.fail = nil
			whole()
			same(t, steps, full, "scan")

			switch d, there := full.desired[name]; rapid.SampledFrom([]string{"", "apply", "delete"}).Draw(t, "api") {
			case "apply":
				c := drawContainer(t, name)
				_, err := s.Apply(t.Context(), c, "root")
				if _, owned := errors.AsType[*OwnedError](err); owned != (there && d.Source != APISource) {
					t.Fatalf("apply of %s: %v", name, err)
				}
				if err == nil {
					in := intake{now: testEpoch}
					var was *store.Desired
					if there {
						was = &d
					}
					in.desire(c, APISource, was, m.load)
					full.apply(in.change)
				}
			case "delete":
				if err := s.Delete(t.Context(), name, "root"); (err == nil) != (there && d.Source == APISource) {
					t.Fatalf("delete of %s: %v", name, err)
				} else if err == nil {
					delete(full.desired, name)
					whole()
				}
			}
			same(t, steps, full, "api")
			if rapid.IntRange(0, 5).Draw(t, "restart") == 0 { // of the controller
				s.index = nil
				must(t, s.Scanned(t.Context(), m.scan(true), false))
				must(t, s.Reload(t.Context()))
				same(t, steps, full, "restart")
			}
		}
	})
}

func same(t *rapid.T, got, want *wishes, after string) {
	t.Helper()
	if got, want := got.lines(), want.lines(); got != want {
		t.Fatalf("after %s: in steps\n%s\nas a whole\n%s", after, got, want)
	}
}

func must(t *rapid.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
