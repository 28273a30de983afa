package bundle

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Watcher reads the config.json of bundles and tells when one is no longer what was read. It watches the directory of each
// bundle in use, whatever number of containers share it, and the one above, for a bundle that is replaced or not there yet.
// What the kernel does not tell (a symlink further up, a network file system, beyond the limits of fs.inotify) Recheck
// finds.
//
// Its methods may be called from any goroutine.
type Watcher struct {
	blind func(error)
	wake  chan struct{} // something is due

	mu    sync.Mutex
	reads map[string]read // by bundle
	used  map[string]bool
	due   map[string]bool // bundles to look at
}

// NewWatcher returns a Watcher that is yet to Watch. blind is called at most once, with the reason why changes of some or
// all bundles are found by Recheck only.
func NewWatcher(blind func(error)) *Watcher {
	var once sync.Once
	return &Watcher{
		blind: func(err error) { once.Do(func() { blind(err) }) }, wake: make(chan struct{}, 1),
		reads: map[string]read{}, used: map[string]bool{}, due: map[string]bool{},
	}
}

// Load is the function Load, remembered.
func (w *Watcher) Load(dir string) ([]byte, error) {
	config, is := readOnce(dir)
	w.mu.Lock()
	was, known := w.reads[dir]
	is.moved = known && (was.moved || !was.same(is)) // others may have been made from what it was
	w.reads[dir] = is
	w.mu.Unlock()
	if is.moved {
		w.look(dir)
	}
	return config, is.err
}

// Use begins or ends to follow a bundle. A change since it was last read is told as any other.
func (w *Watcher) Use(dir string, used bool) {
	w.mu.Lock()
	if used {
		w.used[dir] = true
	} else {
		delete(w.used, dir)
		delete(w.reads, dir)
	}
	w.mu.Unlock()
	w.look(dir)
}

// Recheck has all bundles in use looked at: one stat(2) each, where nothing changed for a while.
func (w *Watcher) Recheck() {
	w.mu.Lock()
	used := slices.Collect(maps.Keys(w.used))
	w.mu.Unlock()
	w.look(used...)
}

func (w *Watcher) look(dirs ...string) {
	if len(dirs) == 0 {
		return
	}
	w.mu.Lock()
	for _, dir := range dirs {
		w.due[dir] = true
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// pause is how long a burst of events is awaited: a file that is written in place is empty for a moment, and a copying
// program takes several writes.
const pause = 50 * time.Millisecond

// Watch calls changed with the bundles whose config.json is no longer what was read, until ctx is done. One that could not
// be read and still cannot, for the same reason, has not changed.
func (w *Watcher) Watch(ctx context.Context, changed func(bundles []string)) {
	var events <-chan fsnotify.Event
	lost := make(chan struct{}, 1)
	places, err := openPlaces(lost, w.blind)
	if err != nil {
		w.blind(err)
	} else {
		defer places.close()
		events = places.inotify.Events
	}
	w.Recheck()
	var settled <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-lost:
			w.Recheck()
		case e := <-events:
			w.look(slices.Collect(maps.Keys(places.concerned(e)))...)
		case <-w.wake:
			if settled == nil {
				settled = time.After(pause)
			}
		case <-settled:
			settled = nil
			if moved := w.moved(places); len(moved) > 0 {
				changed(moved)
			}
		}
	}
}

// moved looks at what is due. The watch comes first: what changes after the look is told.
func (w *Watcher) moved(places *places) (moved []string) {
	w.mu.Lock()
	due := w.due
	w.due = map[string]bool{}
	for dir := range due {
		due[dir] = w.used[dir]
	}
	w.mu.Unlock()
	for dir, used := range due {
		if places != nil {
			places.follow(dir, used)
		}
		if used && w.isMoved(dir) {
			moved = append(moved, dir)
		}
	}
	return moved
}

func (w *Watcher) isMoved(dir string) bool {
	w.mu.Lock()
	was, known := w.reads[dir]
	w.mu.Unlock()
	if !known || !was.moved && was.covers(dir) {
		return false
	}
	_, _ = w.Load(dir) // which compares
	w.mu.Lock()
	defer w.mu.Unlock()
	is, known := w.reads[dir]
	if !known { // out of use meanwhile
		return false
	}
	moved := is.moved
	is.moved = false
	w.reads[dir] = is
	return moved
}
