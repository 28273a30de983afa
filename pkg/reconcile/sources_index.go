package reconcile

import (
	"reflect"
	"strings"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/store"
)

type set map[string]bool

// group is a set for each key; empty ones are not kept.
type group map[string]set

func (g group) add(key, member string) {
	if g[key] == nil {
		g[key] = set{}
	}
	g[key][member] = true
}

func (g group) remove(key, member string) {
	if delete(g[key], member); len(g[key]) == 0 {
		delete(g, key)
	}
}

// index is what makes a change cost what it changes, and not what there is: the directory as last seen and the store as
// last written, by what leads from one to the other.
type index struct {
	identity string                  // of the directory that files are of; empty while it is not followed
	files    map[string]desired.File // as last seen, taken in or not
	claims   group                   // container -> files that name it
	owners   map[string]string       // container -> its source
	owned    group                   // file -> containers that it owns
	wants    map[string]string       // container -> bundle that its user wants
	users    group                   // bundle -> containers
	due      set                     // files that changed and are not taken in yet
	stale    set                     // containers whose bundle may have changed, which is not taken in yet
	taking   part                    // of these two, until it is written
	uses     func(bundle string, used bool)
}

func newIndex(uses func(bundle string, used bool)) *index {
	return &index{
		files: map[string]desired.File{}, claims: group{}, owners: map[string]string{}, owned: group{},
		wants: map[string]string{}, users: group{}, due: set{}, stale: set{}, uses: uses,
	}
}

// saw notes what a scan found.
func (x *index) saw(scan desired.Scan) {
	x.identity = scan.Identity
	for file, f := range scan.Files {
		if was, there := x.files[file]; !there || !sameFile(was, f) {
			x.put(file, was, f)
			x.files[file] = f
		}
	}
	if scan.Partial {
		for _, file := range scan.Gone {
			x.gone(file)
		}
		return
	}
	for file := range x.files {
		if _, there := scan.Files[file]; !there {
			x.gone(file)
		}
	}
	for file := range x.owned { // gone while we were not looking
		if _, there := scan.Files[file]; !there {
			x.due[file] = true
		}
	}
}

func (x *index) put(file string, was, is desired.File) {
	for _, c := range was.Containers {
		x.claims.remove(c.Name, file)
	}
	for _, c := range is.Containers {
		x.claims.add(c.Name, file)
	}
	x.due[file] = true
}

func (x *index) gone(file string) {
	if was, there := x.files[file]; there {
		x.put(file, was, desired.File{})
		delete(x.files, file)
	}
}

// sameFile holds for two reads of the same text. Those of one parse share their containers.
func sameFile(a, b desired.File) bool {
	if len(a.Containers) > 0 && len(b.Containers) > 0 && &a.Containers[0] == &b.Containers[0] {
		return true
	}
	return reflect.DeepEqual(a, b)
}

// wrote notes what a change made of the store. What was being taken in is.
func (x *index) wrote(c store.Change) {
	for _, name := range c.Removed {
		x.forget(name)
	}
	for i := range c.Desired {
		x.know(&c.Desired[i])
	}
	for file := range x.taking.files {
		delete(x.due, file)
	}
	for name := range x.taking.names {
		delete(x.stale, name)
	}
}

func (x *index) know(d *store.Desired) {
	name := d.Container.Name
	x.own(name, d.Source)
	x.want(name, d.Wanted().Spec.Bundle)
}

func (x *index) forget(name string) {
	x.own(name, "")
	x.want(name, "")
	delete(x.stale, name)
}

func (x *index) own(name, source string) {
	if file, ours := ownFile(x.owners[name]); ours {
		x.owned.remove(file, name)
	}
	if source == "" {
		delete(x.owners, name)
		return
	}
	x.owners[name] = source
	if file, ours := ownFile(source); ours {
		x.owned.add(file, name)
	}
}

func (x *index) want(name, bundle string) {
	was := x.wants[name]
	if was == bundle {
		return
	}
	delete(x.wants, name)
	if bundle != "" {
		if x.users[bundle] == nil {
			x.uses(bundle, true)
		}
		x.wants[name] = bundle
		x.users.add(bundle, name)
	}
	if was != "" {
		if x.users.remove(was, name); x.users[was] == nil {
			x.uses(was, false)
		}
	}
}

// ownFile is the manifest file that a source is.
func ownFile(source string) (file string, ours bool) {
	return strings.CutPrefix(source, SourceName+"/")
}

// part is some of what is due, with all that bears on it: the files that name or own a container that one of them names
// or owns, and these containers. It has about as many as most says, unless more belong together.
type part struct{ files, names set }

// nextFiles begins to take in a part of the files that are due; more says whether it leaves any.
func (x *index) nextFiles(most int) (p part, more bool) {
	p = part{set{}, set{}}
	for file := range x.due {
		if len(p.files) >= most || len(p.names) >= most {
			if more = !p.files[file]; more {
				break
			}
			continue
		}
		x.addFile(p, file)
	}
	x.taking = p
	return p, more
}

// nextStale begins to take in some of the containers that are stale.
func (x *index) nextStale(most int) (p part, more bool) {
	p = part{names: set{}}
	for name := range x.stale {
		if p.names[name] = true; len(p.names) == most {
			break
		}
	}
	x.taking = p
	return p, len(x.stale) > len(p.names)
}

func (x *index) addFile(p part, file string) {
	if p.files[file] {
		return
	}
	p.files[file] = true
	for _, c := range x.files[file].Containers {
		x.addName(p, c.Name)
	}
	for name := range x.owned[file] {
		x.addName(p, name)
	}
}

func (x *index) addName(p part, name string) {
	if p.names[name] {
		return
	}
	p.names[name] = true
	for file := range x.claims[name] {
		x.addFile(p, file)
	}
	if file, ours := ownFile(x.owners[name]); ours {
		x.addFile(p, file)
	}
}

// scan is the part as a scan of its own.
func (x *index) scan(p part) desired.Scan {
	s := desired.Scan{Identity: x.identity, Partial: true, Files: map[string]desired.File{}}
	for file := range p.files {
		if f, there := x.files[file]; there {
			s.Files[file] = f
		} else {
			s.Gone = append(s.Gone, file)
		}
	}
	return s
}
