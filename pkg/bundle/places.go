package bundle

import (
	"maps"
	"os"
	"path/filepath"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// places are the directories that the kernel watches for some bundles, by their real paths: inotify(7) knows a directory
// once, whatever the paths to it. They are for one goroutine.
type places struct {
	inotify *fsnotify.Watcher
	blind   func(error)
	errors  sync.WaitGroup
	of      map[string]place           // by bundle
	inside  map[string]map[string]bool // directory -> bundles that it is, by whatever path
	awaits  map[string]map[string]bool // path -> bundles that it is or leads to
	holds   map[string]int             // directory -> how many places it is watched for
}

// place is where a bundle is.
type place struct {
	dir    string // the bundle itself; empty while there is none
	awaits string // the bundle, or the first part of its path that is missing
}

// openPlaces watches nothing yet. lost is told of an overflow of the kernel's queue, blind of a directory that cannot be
// watched.
func openPlaces(lost chan<- struct{}, blind func(error)) (*places, error) {
	inotify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	p := &places{
		inotify: inotify, blind: blind, of: map[string]place{}, holds: map[string]int{},
		inside: map[string]map[string]bool{}, awaits: map[string]map[string]bool{},
	}
	p.errors.Go(func() { // of its own, because fsnotify sends some errors while it holds the lock that Add wants
		for range inotify.Errors {
			select {
			case lost <- struct{}{}:
			default:
			}
		}
	})
	return p, nil
}

func (p *places) close() {
	_ = p.inotify.Close()
	p.errors.Wait()
}

// concerned are the bundles that an event may be about.
func (p *places) concerned(e fsnotify.Event) map[string]bool {
	found := map[string]bool{}
	maps.Copy(found, p.inside[filepath.Dir(e.Name)])
	maps.Copy(found, p.inside[e.Name])
	maps.Copy(found, p.awaits[e.Name])
	if p.holds[e.Name] > 0 && (e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename)) { // what is awaited in it never comes
		for path, bundles := range p.awaits {
			if filepath.Dir(path) == e.Name {
				maps.Copy(found, bundles)
			}
		}
	}
	return found
}

// follow puts the watches on what stands at a bundle's path now, or takes them away.
func (p *places) follow(bundle string, used bool) {
	for {
		was, is := p.of[bundle], place{}
		if used {
			is = locate(bundle)
		}
		if is.awaits != "" { // first: it tells when another directory comes to stand at the path
			p.hold(filepath.Dir(is.awaits))
		}
		if is.dir != "" {
			p.hold(is.dir)
		}
		p.leave(bundle, was)
		if !used {
			delete(p.of, bundle)
			return
		}
		p.of[bundle] = is
		add(p.inside, is.dir, bundle)
		add(p.awaits, is.awaits, bundle)
		if locate(bundle) == is { // what came while it was not awaited yet, nobody tells
			return
		}
	}
}

func (p *places) leave(bundle string, was place) {
	if was.awaits != "" {
		p.release(filepath.Dir(was.awaits))
		remove(p.awaits, was.awaits, bundle)
	}
	if was.dir != "" {
		p.release(was.dir)
		remove(p.inside, was.dir, bundle)
	}
}

// hold watches a directory. It is put on anew each time, since another directory may stand there; if none does, that is
// told by the one above.
func (p *places) hold(dir string) {
	p.holds[dir]++
	if err := p.inotify.Add(dir); err != nil && !os.IsNotExist(err) {
		p.blind(err)
	}
}

func (p *places) release(dir string) {
	if p.holds[dir]--; p.holds[dir] == 0 {
		delete(p.holds, dir)
		_ = p.inotify.Remove(dir) // fails where the kernel has dropped it already
	}
}

func add(of map[string]map[string]bool, key, bundle string) {
	if key == "" {
		return
	}
	if of[key] == nil {
		of[key] = map[string]bool{}
	}
	of[key][bundle] = true
}

func remove(of map[string]map[string]bool, key, bundle string) {
	if delete(of[key], bundle); len(of[key]) == 0 {
		delete(of, key)
	}
}

// locate finds where to watch for a bundle: there, and above; or where the first missing part of its path will be.
func locate(bundle string) (at place) {
	if dir, err := filepath.EvalSymlinks(bundle); err == nil {
		at.dir = dir
	}
	for path := filepath.Clean(bundle); ; path = filepath.Dir(path) {
		above, err := filepath.EvalSymlinks(filepath.Dir(path))
		if err == nil || path == filepath.Dir(path) {
			at.awaits = filepath.Join(above, filepath.Base(path))
			return at
		}
	}
}
