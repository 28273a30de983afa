package observed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// Watch calls wake with the name of a container each time something may have changed about it: its init died or was
// reaped, its exit or launch was recorded, its runtime state came or went, it was frozen or thawed. After an overflow it
// calls all. When something of the run directory itself was removed, or moved away, or cannot be watched, it calls wiped,
// which is to see to it that Rewatch is called. It returns when ctx ends, and may be called once.
func (o *Observer) Watch(ctx context.Context, wake func(name string), all, wiped func()) error {
	if o.Rewatch() != nil {
		wiped()
	}
	w := o.watcher
	var wg sync.WaitGroup
	defer wg.Wait()
	broken := make(chan error, 1)
	done := make(chan struct{})
	defer close(done)
	// fsnotify sends some errors while it holds the lock that Add and Remove want, which a look may wait for.
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			case err := <-w.Errors:
				if errors.Is(err, fsnotify.ErrEventOverflow) {
					all()
				} else if err != nil {
					broken <- fmt.Errorf("inotify: %w", err)
					return
				}
			}
		}
	})
	stop, err := o.watchDeaths(&wg, wake)
	if err != nil {
		return err
	}
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-w.Events:
			if e.Has(fsnotify.Write) {
				if name, _, ok := ParseInstanceID(filepath.Base(filepath.Dir(e.Name))); ok {
					wake(name) // its cgroup is called as it is
				}
			}
			if (e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename)) && o.foundation(e.Name) {
				wiped()
			}
			if e.Has(fsnotify.Create) || e.Has(fsnotify.Remove) {
				if e.Has(fsnotify.Create) && filepath.Dir(e.Name) == filepath.Clean(o.RuntimeRoot) {
					o.appeared(idOf(e.Name))
				}
				if name, _, ok := ParseInstanceID(idOf(e.Name)); ok {
					wake(name)
				}
			}
		case err := <-broken:
			return err
		}
	}
}

// Rewatch watches the run directory and what counts in it, again where a directory is not the one that was watched, and
// makes those in it that are missing. What happened in between was not seen by anybody. The run directory itself is not
// made: its mode is its maker's.
func (o *Observer) Rewatch() error {
	o.rewatch.Lock()
	defer o.rewatch.Unlock()
	for _, dir := range []string{string(o.Run), o.RuntimeRoot, o.Run.InstancesDir(), o.Run.ExitsDir()} {
		if dir != string(o.Run) {
			if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
		}
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if was := o.watched[dir]; was != nil && !os.SameFile(was, info) {
			_ = o.watcher.Remove(dir) // it was moved away; of one that is deleted the kernel drops the watch
		}
		// Also where nothing seems to have changed: inode numbers are given out again. A second watch is the first one.
		if err := o.watcher.Add(dir); err != nil {
			return fmt.Errorf("watch %s: %w", dir, err)
		}
		o.watched[dir] = info
	}
	return nil
}

// foundation: what is at path stands in the run directory itself, or is that.
func (o *Observer) foundation(path string) bool {
	run := filepath.Clean(string(o.Run))
	return path == run || filepath.Dir(path) == run
}

// appeared notes an instance that the runtime made, between two lists: a create that was given up for lost may complete
// after its remains were removed.
func (o *Observer) appeared(id string) {
	if _, err := os.Lstat(filepath.Join(o.RuntimeRoot, id)); err != nil || o.foreign(id) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.index.Appeared(id)
}

// watchDeaths waits for held pidfds in a goroutine of its own until stop is called.
func (o *Observer) watchDeaths(wg *sync.WaitGroup, wake func(name string)) (stop func(), err error) {
	end, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(end)}
	if err := unix.EpollCtl(o.epoll, unix.EPOLL_CTL_ADD, end, &event); err != nil {
		closeFd(end)
		return nil, fmt.Errorf("epoll_ctl: %w", err)
	}
	wg.Go(func() {
		defer closeFd(end)
		events := make([]unix.EpollEvent, 64)
		for {
			n, err := unix.EpollWait(o.epoll, events, -1)
			if err != nil && !errors.Is(err, unix.EINTR) {
				return
			}
			for _, e := range events[:max(n, 0)] {
				if int(e.Fd) == end {
					return
				}
				if id, ok := o.heldBy(int(e.Fd)); ok {
					if name, _, ok := ParseInstanceID(id); ok {
						wake(name)
					}
				}
			}
		}
	})
	return func() { _, _ = unix.Write(end, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }, nil
}
