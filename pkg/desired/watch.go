package desired

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Watch calls changed with the files of the directory that may be other than before, for Look; or with none where
// anything may be, for Scan: at the start, when the kernel's queue overflowed, and when the directory itself changed or may
// be another one. It does so until ctx is done. The first event of a burst is told at once, and those that come while
// changed runs become one call.
//
// An event is a courtesy of the kernel (none comes for a file that is written behind a symlink, or by another machine on
// a network file system), so a caller also scans now and then. Watch returns nil when ctx is done, and an error only if
// the kernel grants no inotify instance.
func (d *Dir) Watch(ctx context.Context, changed func(files []string)) error {
	events, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch manifests directory %s: %w", d.path, err)
	}
	w := &watch{dir: d.path, parent: filepath.Dir(d.path), events: events, lost: make(chan struct{}, 1), moved: d.moved}
	var wg sync.WaitGroup
	wg.Go(w.takeErrors)
	defer wg.Wait()
	defer events.Close()
	var files []string
	for {
		// What was told by a watch that is no more, or before one that is new, is not the whole story.
		if w.renew() || w.dirIs == nil {
			files = nil
		}
		changed(files)
		if files, err = w.wait(ctx); err != nil {
			return nil
		}
	}
}

// watch follows a directory and its parent. The watch on a directory that was removed or renamed goes with it and would
// be silent about the new one at its path; the parent tells of that one.
type watch struct {
	dir, parent string
	events      *fsnotify.Watcher
	lost        chan struct{}   // the kernel's queue overflowed
	moved       <-chan struct{} // see Dir
	dirIs       os.FileInfo     // what the watch on dir was put on; nil if there is none
	parentIs    os.FileInfo
}

// blind is how soon to try again while a directory cannot be watched, since nothing will tell when it can.
const blind = time.Second

// takeErrors has a goroutine of its own because fsnotify sends some errors while it holds the lock that Add and Remove
// want.
func (w *watch) takeErrors() {
	for range w.events.Errors {
		select {
		case w.lost <- struct{}{}:
		default:
		}
	}
}

// wait returns at the next reason to look: the files to look at, none for all. The error is that of ctx.
func (w *watch) wait(ctx context.Context) (files []string, err error) {
	retry := time.NewTicker(blind)
	defer retry.Stop()
	if w.dirIs != nil && w.parentIs != nil {
		retry.Stop()
	}
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-w.moved:
			return nil, nil
		case <-w.lost:
			return nil, nil
		case event := <-w.events.Events:
			if files, all := w.burst(event); all || len(files) > 0 {
				return files, nil
			}
		case <-retry.C:
			if w.renew() {
				return nil, nil
			}
		}
	}
}

// burst is what an event is about, and those that wait already: one look answers them all.
func (w *watch) burst(event fsnotify.Event) (files []string, all bool) {
	told := map[string]bool{}
	for {
		switch {
		case event.Name == w.dir || event.Name == w.parent:
			all = true
		case filepath.Dir(event.Name) == w.dir: // the others are the directory's siblings
			told[filepath.Base(event.Name)] = true
		}
		select {
		case event = <-w.events.Events:
		default:
			if all {
				return nil, true
			}
			return slices.Collect(maps.Keys(told)), false
		}
	}
}

// renew puts the watches on what stands at the two paths now, and reports whether one was put that was not there before.
// Looking anew after each event costs two stat(2), and needs no trust in the order of the events that tell of a
// directory's end.
func (w *watch) renew() bool {
	parent, dir := w.parentIs, w.dirIs
	w.parentIs = w.follow(w.parent, parent)
	w.dirIs = w.follow(w.dir, dir)
	return w.parentIs != nil && w.parentIs != parent || w.dirIs != nil && w.dirIs != dir
}

func (w *watch) follow(path string, was os.FileInfo) os.FileInfo {
	is, err := os.Stat(path)
	// A new directory may have the inode number of the old one, but not its watch.
	if err == nil && was != nil && os.SameFile(is, was) && slices.Contains(w.events.WatchList(), path) {
		return was
	}
	w.events.Remove(path) // fails where there is none, or where the kernel has dropped it already
	if err != nil || !is.IsDir() || w.events.Add(path) != nil {
		return nil
	}
	return is
}
