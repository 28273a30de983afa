package reconcile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"reconciler.dev/reconciler/pkg/bundle"
	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/store"
)

// SourceName is the name of the directory of manifests among sources; a name's owner is SourceName/<file>, or APISource.
const (
	SourceName = "manifests"
	APISource  = "api"
)

// unreadSource holds the name of a record that cannot be read: what is not known is not free, and not to be written over.
const unreadSource = "a record that cannot be read"

// Intake says what a scan of the manifests directory changes about what is desired. It is pure but for load, which
// reads a bundle's config.json. src is what is remembered of the directory, and boot the running boot's id. known is what
// is desired so far, from any source: all of it, or for a partial scan what its files name or own.
//
// A partial scan must hold every file that names or owns a container that one of its files names or owns: then nothing
// else bears on them, and taking in such parts one after the other, in any order, is taking in the whole.
//
// What is wrong changes nothing but its own error: the last good manifest and config.json stay in force, for as long as
// the file is there.
func Intake(scan desired.Scan, src store.Source, known []*store.Desired, load func(dir string) ([]byte, error), boot string, now time.Time) store.Change {
	in := intake{now: now, known: map[string]*store.Desired{}, problems: map[string]string{}}
	for _, d := range known {
		in.known[d.Container.Name] = d
	}
	if !accepted(scan, src, boot) {
		return in.vanished(src, "it is another directory than before; `reconciler sources confirm` accepts it")
	}
	if scan.Partial {
		in.keepProblems(scan, src)
	}
	for file, f := range scan.Files {
		if len(f.Errors) > 0 {
			in.problem(file, errors.Join(f.Errors...))
		}
	}
	claims := in.claims(scan)
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		in.desire(claims[name].container, claims[name].source(), in.known[name], load)
	}
	in.remove(scan, claims, load)
	in.told(src)
	in.change.Source = &store.Source{Name: SourceName, Identity: scan.Identity, Boot: boot, Files: in.problems}
	if bytes.Equal(asJSON(in.change.Source), asJSON(src)) {
		in.change.Source = nil
	}
	return in.change
}

// accepted: the directory is the one that it was, or the first.
func accepted(scan desired.Scan, src store.Source, boot string) bool {
	return src.Identity == "" || desired.SameDirectory(src.Identity, scan.Identity, src.Boot != boot)
}

// keepProblems are those of the files that a partial scan did not look at.
func (in *intake) keepProblems(scan desired.Scan, src store.Source) {
	for file, problem := range src.Files {
		if _, looked := scan.Files[file]; !looked && !slices.Contains(scan.Gone, file) {
			in.problems[file] = problem
		}
	}
}

// Reload says what is changed by config.json of the bundles that known containers want, whatever their source but
// unreadSource. It is as pure as Intake.
func Reload(known []*store.Desired, load func(dir string) ([]byte, error), now time.Time) store.Change {
	in := intake{now: now}
	for _, d := range known {
		if d.Source != unreadSource {
			in.desire(d.Wanted(), d.Source, d, load)
		}
	}
	return in.change
}

// Vanished is Intake for a scan that failed: a directory that cannot be read removes nothing.
func Vanished(err error, src store.Source, now time.Time) store.Change {
	in := intake{now: now}
	return in.vanished(src, err.Error())
}

type intake struct {
	now      time.Time
	known    map[string]*store.Desired
	problems map[string]string // by file
	change   store.Change
}

// claim is one container and the file that it stands in.
type claim struct {
	file      string
	container desired.Container
}

func (c claim) source() string { return SourceName + "/" + c.file }

func (in *intake) problem(file string, err error) {
	if was := in.problems[file]; was != "" {
		err = errors.Join(errors.New(was), err)
	}
	in.problems[file] = err.Error()
}

func (in *intake) event(kind store.EventType, reason, object, message string) {
	in.change.Events = append(in.change.Events, store.Event{Time: in.now, Type: kind, Reason: reason, Object: object, Message: message})
}

func (in *intake) vanished(src store.Source, problem string) store.Change {
	if src.Problem == problem {
		return store.Change{}
	}
	src.Name, src.Problem = SourceName, problem
	in.change.Source = &src
	in.event(store.Warning, "SourceChanged", SourceName, "nothing is changed until it is back: "+problem)
	return in.change
}

// claims gives each name to one file: to its recorded owner as long as that file is there, else to the first in byte
// order. Whoever else wants the name is told of the owner.
func (in *intake) claims(scan desired.Scan) map[string]claim {
	claims := map[string]claim{}
	for _, file := range slices.Sorted(maps.Keys(scan.Files)) {
		for _, c := range scan.Files[file].Containers {
			this := claim{file, c}
			owner := in.owner(c.Name, scan)
			if other, taken := claims[c.Name]; owner == "" && taken {
				owner = other.source()
			}
			if owner != "" && owner != this.source() {
				in.problem(file, fmt.Errorf("%s: metadata.name: %q belongs to %s; give it another name or remove one of them", file, c.Name, owner))
				continue
			}
			claims[c.Name] = this
		}
	}
	return claims
}

// owner is the recorded owner of a name, if it still has a claim: empty when the name is free.
func (in *intake) owner(name string, scan desired.Scan) string {
	d := in.known[name]
	if d == nil {
		return ""
	}
	file, ours := ownFile(d.Source)
	if !ours {
		return d.Source
	}
	f, there := scan.Files[file]
	named := slices.ContainsFunc(f.Containers, func(c desired.Container) bool { return c.Name == name })
	if named || there && len(f.Errors) > 0 {
		return d.Source
	}
	return ""
}

// desire makes a container desired by a source, as far as its bundle can be used. was is what was desired of it.
func (in *intake) desire(c desired.Container, source string, was *store.Desired, load func(dir string) ([]byte, error)) {
	d := store.Desired{Container: c, Source: source, Generation: 1}
	notices, err := fill(&d, load)
	if err != nil {
		d.Problem = err.Error()
		if was != nil && was.InputHash != "" { // what instances are made from stays the last good one
			d.Config, d.InputHash, d.Private = was.Config, was.InputHash, was.Private
			d.Refused = &store.Refused{Bundle: c.Spec.Bundle, Process: c.Spec.Process}
			d.Container.Spec.Bundle, d.Container.Spec.Process = was.Container.Spec.Bundle, was.Container.Spec.Process
		}
	}
	if was != nil {
		d.Generation = was.Generation
		if !bytes.Equal(asJSON(d.Container.Spec), asJSON(was.Container.Spec)) {
			d.Generation++
		}
		if bytes.Equal(asJSON(d), asJSON(was)) {
			return
		}
	}
	in.change.Desired = append(in.change.Desired, d)
	for _, notice := range notices {
		in.event(store.Warning, "BundleNotice", c.Name, notice)
	}
	switch {
	case d.Problem != "" && (was == nil || was.Problem != d.Problem):
		in.event(store.Warning, "BundleInvalid", c.Name, d.Problem)
	case was == nil:
		in.event(store.Normal, "Desired", c.Name, "by "+d.Source)
	case was.InputHash != d.InputHash || was.Generation != d.Generation:
		in.event(store.Normal, "SpecChanged", c.Name, fmt.Sprintf("generation %d", d.Generation))
	}
}

// fill completes d by its bundle's config.json.
func fill(d *store.Desired, load func(dir string) ([]byte, error)) (notices []string, err error) {
	config, err := load(d.Container.Spec.Bundle)
	if err != nil {
		return nil, err
	}
	facts, notices, err := CheckBundle(d.Container, config)
	if err != nil {
		return nil, err
	}
	hash, err := desired.Hash(d.Container, config)
	if err != nil {
		return nil, err
	}
	d.Config, d.InputHash, d.Private = config, hash, facts.PIDNamespace == bundle.Private && !facts.Hooks
	return notices, nil
}

// remove takes back every name of this source whose file no longer says it.
func (in *intake) remove(scan desired.Scan, claims map[string]claim, load func(dir string) ([]byte, error)) {
	for _, name := range slices.Sorted(maps.Keys(in.known)) {
		_, claimed := claims[name]
		d := in.known[name]
		file, ours := ownFile(d.Source)
		if claimed || !ours {
			continue
		}
		if f, there := scan.Files[file]; there && len(f.Errors) > 0 {
			in.desire(d.Wanted(), d.Source, d, load) // the last good manifest stays in force; its bundle is followed
			continue
		}
		in.removed(name, file+" no longer names it")
	}
}

func (in *intake) removed(name, why string) {
	in.change.Removed = append(in.change.Removed, name)
	in.event(store.Normal, "NotDesired", name, why)
}

// told makes an event of each file's problems, once, and of a source that is back.
func (in *intake) told(src store.Source) {
	for _, file := range slices.Sorted(maps.Keys(in.problems)) {
		if src.Files[file] != in.problems[file] {
			in.event(store.Warning, "ManifestInvalid", file, in.problems[file])
		}
	}
	if src.Problem != "" {
		in.event(store.Normal, "SourceBack", SourceName, "it is followed again")
	}
}

func asJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types, of strings and numbers
	}
	return b
}
