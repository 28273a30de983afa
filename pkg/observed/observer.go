package observed

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/subreaper"
)

// Config is what an Observer is made of.
type Config struct {
	Looker
	BundlesDir string // derived bundles: a directory an instance
	LogsDir    string // <name>/<attempt>.log: attempts that were, also after loss of the store

	// Ask returns the ids that the runtime lists, the damaged ones included.
	Ask func(context.Context) ([]string, error)
}

// Observer is a Looker that holds a pidfd of every init it saw alive, knows which instances there are, and tells when to
// look again. Its methods may be called concurrently.
type Observer struct {
	Config

	watcher *fsnotify.Watcher
	rewatch sync.Mutex
	watched map[string]os.FileInfo // by path: directories as they were when their watch began; under rewatch

	mu      sync.Mutex
	epoll   int
	held    map[string]holding // by instance id
	holders map[int]string     // instance id by pidfd
	index   *Index
}

type holding struct {
	process subreaper.Process
	pidfd   int
	freezer string // watched; empty if there is none
}

// New returns an observer, which must be closed.
func New(c Config) (*Observer, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create: %w", err)
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		closeFd(epoll)
		return nil, fmt.Errorf("inotify: %w", err)
	}
	return &Observer{
		Config: c, watcher: watcher, watched: map[string]os.FileInfo{}, epoll: epoll, held: map[string]holding{},
		holders: map[int]string{}, index: NewIndex(),
	}, nil
}

// Close releases every pidfd.
func (o *Observer) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for id := range o.held {
		o.release(id)
	}
	closeFd(o.epoll)
	o.epoll = -1
	_ = o.watcher.Close()
}

// Look answers questions; see Looker.Look. Of which instances of the names there is anything is as of the last List.
func (o *Observer) Look(names []string, questions []Question) Snapshot {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.index.Snapshot(names)
	for _, q := range questions {
		s.Instances[q.ID] = Judge(q, holder{o.Looker, o})
	}
	return s
}

// holder are facts of which the kernel's are asked for by the pidfds that are held.
type holder struct {
	Looker
	o *Observer
}

func (h holder) Witness(id string, p subreaper.Process) (subreaper.Sighting, error) {
	fd, err := h.o.hold(id, p)
	if err != nil {
		return subreaper.Sighting{}, err
	}
	return subreaper.Witness(fd, p)
}

// hold returns the pidfd held of a process, opening it at first sight. The death and the reaping each wake the watcher.
func (o *Observer) hold(id string, p subreaper.Process) (int, error) {
	if h, ok := o.held[id]; ok {
		if h.process == p {
			return h.pidfd, nil
		}
		o.release(id)
	}
	fd, err := p.Open()
	if err != nil {
		return -1, err
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET&0xffffffff, Fd: int32(fd)}
	if err := unix.EpollCtl(o.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		closeFd(fd)
		return -1, fmt.Errorf("epoll_ctl: %w", err)
	}
	o.held[id], o.holders[fd] = holding{process: p, pidfd: fd, freezer: o.watchFreezer(id)}, id
	return fd, nil
}

// watchFreezer has whoever freezes or thaws an instance wake the watcher. Without a watch, since there are limits, it is
// seen at the next look.
func (o *Observer) watchFreezer(id string) (file string) {
	if o.Cgroups == nil {
		return ""
	}
	file = o.Cgroups.FreezerEvents(id)
	if file == "" || o.watcher.Add(file) != nil {
		return ""
	}
	return file
}

func (o *Observer) release(id string) {
	if h, ok := o.held[id]; ok {
		if h.freezer != "" {
			_ = o.watcher.Remove(h.freezer) // the kernel may have dropped it with the cgroup
		}
		closeFd(h.pidfd)
		delete(o.held, id)
		delete(o.holders, h.pidfd)
	}
}

// Forget drops what is held of an instance that was cleaned up.
func (o *Observer) Forget(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.release(id)
	o.index.Forget(id)
}

func (o *Observer) heldBy(pidfd int) (id string, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	id, ok = o.holders[pidfd]
	return id, ok
}

// List finds out of which instances there is anything: in the runtime's list, its root, the run directory, or the cgroup
// parent. A list that failed is no empty list: until one succeeds it is not known which there are. Only one List may be
// under way.
func (o *Observer) List(ctx context.Context) error {
	o.mu.Lock()
	first := o.index.Begin()
	o.mu.Unlock()
	ids, err := o.list(ctx)
	var highest map[string]int
	if first && err == nil {
		highest, err = o.logged()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		o.index.Fail(err)
		return err
	}
	o.index.End(ids, o.foreign, highest)
	return nil
}

// foreign: nothing of it is in our own places, so that somebody else made it in our runtime's root, whatever its name is. A
// launch of ours leaves its bundle before the runtime is called.
func (o *Observer) foreign(id string) bool {
	places := []string{filepath.Join(o.BundlesDir, id), o.Run.Instance(id), o.Run.Launching(id), o.Run.Exit(id)}
	return !o.Cgroups.Exists(id) && !slices.ContainsFunc(places, func(path string) bool { _, err := os.Lstat(path); return !os.IsNotExist(err) })
}

func (o *Observer) list(ctx context.Context) ([]string, error) {
	ids, err := o.Ask(ctx)
	if err != nil {
		return nil, err
	}
	cgroups, err := o.Cgroups.Instances()
	if err != nil {
		return nil, err
	}
	ids = append(ids, cgroups...)
	for _, dir := range []string{o.RuntimeRoot, o.BundlesDir, o.Run.InstancesDir(), o.Run.ExitsDir()} {
		entries, err := os.ReadDir(dir)
		if err != nil && !os.IsNotExist(err) {
			return nil, err
		}
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), ".") { // written aside, by the runtime or the pair
				ids = append(ids, idOf(e.Name()))
			}
		}
	}
	return ids, nil
}

// logged is the highest attempt of each name that ever wrote a log: attempt numbers must not be used again, not even
// when nothing else remembers them.
func (o *Observer) logged() (map[string]int, error) {
	highest := map[string]int{}
	names, err := os.ReadDir(o.LogsDir)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	for _, name := range names {
		logs, err := os.ReadDir(filepath.Join(o.LogsDir, name.Name()))
		if err != nil {
			continue // no directory: not ours
		}
		for _, log := range logs {
			number, _ := strings.CutSuffix(log.Name(), ".log")
			if n, err := strconv.Atoi(number); err == nil {
				highest[name.Name()] = max(highest[name.Name()], n)
			}
		}
	}
	return highest, nil
}

// idOf is the instance that a file or directory of ours is about, by its name.
func idOf(file string) string {
	file = filepath.Base(file)
	for _, suffix := range []string{".json", ".launching"} {
		if id, ok := strings.CutSuffix(file, suffix); ok {
			return id
		}
	}
	return file
}

// Orphans are the ids seen by the last List that belong to none of the names.
func (o *Observer) Orphans(known func(name string) bool) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.index.Orphans(known)
}

func closeFd(fd int) { _ = unix.Close(fd) }
