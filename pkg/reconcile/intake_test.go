package reconcile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/store"
)

const goodConfig = `{"process":{"args":["true"],"cwd":"/"},"root":{"path":"rootfs"},"linux":{"namespaces":[{"type":"pid"}]}}`

// intaken is a directory of manifests, as far as Intake can tell, and what it made of it so far.
type intaken struct {
	t       *testing.T
	files   map[string]string // file -> names it declares, space separated; "!" is a file that cannot be parsed
	bundles map[string]string // directory -> config.json
	edit    func(*desired.Container)
	id      string
	src     store.Source
	desired map[string]store.Desired
}

func newIntaken(t *testing.T) *intaken {
	return &intaken{t: t, files: map[string]string{}, bundles: map[string]string{"/b": goodConfig}, id: "device 1:1 inode 5 born 1.0",
		edit: func(*desired.Container) {}, desired: map[string]store.Desired{}}
}

// take scans, takes in, and returns the reasons of the events with their objects.
func (in *intaken) take() []string {
	scan := desired.Scan{Identity: in.id, Files: map[string]desired.File{}}
	for file, names := range in.files {
		var f desired.File
		if names == "!" {
			f.Errors = []error{errors.New(file + ":1:1: broken")}
		} else {
			for name := range strings.FieldsSeq(names) {
				c := desired.Container{Name: name, Spec: desired.Spec{Bundle: "/b", State: desired.Running}}
				in.edit(&c)
				f.Containers = append(f.Containers, c)
			}
		}
		scan.Files[file] = f
	}
	load := func(dir string) ([]byte, error) {
		if config, ok := in.bundles[dir]; ok {
			return []byte(config), nil
		}
		return nil, fmt.Errorf("bundle %s: no such directory", dir)
	}
	var known []*store.Desired
	for _, d := range in.desired {
		known = append(known, &d)
	}
	return in.apply(Intake(scan, in.src, known, load, "boot", testEpoch))
}

func (in *intaken) apply(c store.Change) []string {
	for _, d := range c.Desired {
		in.desired[d.Container.Name] = d
	}
	for _, name := range c.Removed {
		delete(in.desired, name)
	}
	if c.Source != nil {
		in.src = *c.Source
	}
	var told []string
	for _, e := range c.Events {
		told = append(told, e.Reason+" "+e.Object)
	}
	slices.Sort(told)
	return told
}

func (in *intaken) expect(got []string, want ...string) {
	in.t.Helper()
	if !slices.Equal(got, want) {
		in.t.Errorf("told %q, want %q", got, want)
	}
}

func (in *intaken) owner(name, source string) {
	in.t.Helper()
	if got := in.desired[name].Source; got != source {
		in.t.Errorf("%s belongs to %q, want %q", name, got, source)
	}
}

func TestIntakeTakesInOnceAndRemoves(t *testing.T) {
	in := newIntaken(t)
	in.files["a.yaml"] = "web db"
	in.expect(in.take(), "Desired db", "Desired web")
	in.owner("web", "manifests/a.yaml")
	in.expect(in.take())
	in.files["a.yaml"] = "web"
	in.expect(in.take(), "NotDesired db")
	delete(in.files, "a.yaml")
	in.expect(in.take(), "NotDesired web")
	if len(in.desired) != 0 {
		t.Errorf("left: %v", in.desired)
	}
}

func TestIntakeCountsEditsOfTheSpec(t *testing.T) {
	in := newIntaken(t)
	in.files["a.yaml"] = "web"
	in.take()
	was := in.desired["web"]
	in.edit = func(c *desired.Container) { c.Labels = map[string]string{"a": "b"} }
	in.take()
	if now := in.desired["web"]; now.Generation != 1 || now.InputHash != was.InputHash || now.Container.Labels == nil {
		t.Errorf("labels: %+v", now)
	}
	in.edit = func(c *desired.Container) { c.Spec.Restart.MaxRetries = 3 }
	in.take()
	if now := in.desired["web"]; now.Generation != 2 || now.InputHash != was.InputHash {
		t.Errorf("restart: %+v", now)
	}
	in.edit = func(c *desired.Container) { c.Spec.Process.Args = []string{"false"} }
	in.take()
	if now := in.desired["web"]; now.Generation != 3 || now.InputHash == was.InputHash {
		t.Errorf("process: %+v", now)
	}
	in.bundles["/b"] = strings.Replace(goodConfig, "true", "other", 1)
	in.take()
	if now := in.desired["web"]; now.Generation != 3 || string(now.Config) != in.bundles["/b"] {
		t.Errorf("config.json: %+v", now)
	}
}

// TestIntakeKeepsTheLastGood: a broken file, bundle or directory changes nothing but what is told.
func TestIntakeKeepsTheLastGood(t *testing.T) {
	in := newIntaken(t)
	in.files["a.yaml"] = "web"
	in.take()
	was := in.desired["web"]

	in.files["a.yaml"] = "!"
	in.expect(in.take(), "ManifestInvalid a.yaml")
	in.expect(in.take())
	in.owner("web", "manifests/a.yaml")

	in.files["a.yaml"] = "web"
	for _, broken := range []string{"{", `{"root":{"path":"rootfs"}}`} {
		in.bundles["/b"] = broken
		in.expect(in.take(), "BundleInvalid web")
		if now := in.desired["web"]; string(now.Config) != goodConfig || now.InputHash != was.InputHash || now.Problem == "" {
			t.Errorf("%q: %+v", broken, now)
		}
	}
	in.bundles["/b"] = goodConfig
	in.take()
	if now := in.desired["web"]; now.Problem != "" || now.InputHash != was.InputHash {
		t.Errorf("mended: %+v", now)
	}

	in.edit = func(c *desired.Container) { c.Spec.Bundle = "/gone" }
	in.expect(in.take(), "BundleInvalid web")
	if now := in.desired["web"]; now.Container.Spec.Bundle != "/b" || now.InputHash != was.InputHash {
		t.Errorf("another bundle, which is not there: %+v", now)
	}
}

func TestIntakeOfABundleThatNeverWasGood(t *testing.T) {
	in := newIntaken(t)
	delete(in.bundles, "/b")
	in.files["a.yaml"] = "web"
	in.expect(in.take(), "BundleInvalid web")
	if now := in.desired["web"]; now.Config != nil || now.Problem == "" {
		t.Errorf("%+v", now)
	}
	in.bundles["/b"] = goodConfig
	in.take()
	if now := in.desired["web"]; now.Config == nil || now.Problem != "" || now.InputHash == "" || !now.Private {
		t.Errorf("%+v", now)
	}
}

func TestIntakeGivesANameToOneOwner(t *testing.T) {
	in := newIntaken(t)
	in.files["b.yaml"] = "web"
	in.take()
	in.files["a.yaml"] = "web other"
	in.expect(in.take(), "Desired other", "ManifestInvalid a.yaml")
	in.owner("web", "manifests/b.yaml")
	if problem := in.src.Files["a.yaml"]; !strings.Contains(problem, "manifests/b.yaml") {
		t.Errorf("the owner is not named: %q", problem)
	}
	// A broken owner still owns; one that is gone does not.
	in.files["b.yaml"] = "!"
	in.take()
	in.owner("web", "manifests/b.yaml")
	delete(in.files, "b.yaml")
	in.take()
	in.owner("web", "manifests/a.yaml")

	cold := newIntaken(t)
	cold.files = map[string]string{"b.yaml": "web", "a.yaml": "web"}
	cold.take()
	cold.owner("web", "manifests/a.yaml")
}

func TestIntakeLeavesOtherSourcesAlone(t *testing.T) {
	in := newIntaken(t)
	in.desired["web"] = store.Desired{Container: desired.Container{Name: "web"}, Source: "api"}
	in.files["a.yaml"] = "web"
	in.expect(in.take(), "ManifestInvalid a.yaml")
	in.owner("web", "api")
	delete(in.files, "a.yaml")
	in.take()
	in.owner("web", "api")
}

func TestAVanishedDirectoryRemovesNothing(t *testing.T) {
	in := newIntaken(t)
	in.files["a.yaml"] = "web"
	in.take()
	in.expect(in.apply(Vanished(errors.New("it is not there"), in.src, testEpoch)), "SourceChanged manifests")
	in.expect(in.apply(Vanished(errors.New("it is not there"), in.src, testEpoch)))
	in.expect(in.take(), "SourceBack manifests")

	was, files := in.id, in.files
	in.id, in.files = "device 1:2 inode 5 born 1.0", nil // unmounted: it looks empty
	in.expect(in.take(), "SourceChanged manifests")
	in.expect(in.take())
	in.owner("web", "manifests/a.yaml")
	in.id, in.files = was, files
	in.expect(in.take(), "SourceBack manifests")
	in.owner("web", "manifests/a.yaml")
}
