package desired

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// follower looks at what Watch says, as a daemon does without its resync.
type follower struct {
	*Dir
	wake chan struct{}

	mu    sync.Mutex
	all   bool
	files []string
	seen  map[string]File // by what was looked at so far
}

func newFollower(d *Dir) *follower { return &follower{Dir: d, wake: make(chan struct{}, 1)} }

func (f *follower) changed(files []string) {
	f.mu.Lock()
	f.all = f.all || files == nil
	f.files = append(f.files, files...)
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// look brings seen up to date with what Watch told, as far as that goes.
func (f *follower) look() error {
	f.mu.Lock()
	all, files := f.all, f.files
	f.all, f.files = false, nil
	f.mu.Unlock()
	read := func() (Scan, error) { return f.Look(files) }
	if all {
		read = f.Scan
	}
	s, err := read()
	switch {
	case err != nil:
		return err
	case !s.Partial:
		f.seen = map[string]File{}
	}
	maps.Copy(f.seen, s.Files)
	for _, name := range s.Gone {
		delete(f.seen, name)
	}
	return nil
}

func follow(t *testing.T, d *Dir) *follower {
	t.Helper()
	f := newFollower(d)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Watch(ctx, f.changed) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return f
}

// settles fails unless what Watch tells leads to these lines; nil is a directory that cannot be read.
func (f *follower) settles(t *testing.T, lines []string) {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		select {
		case <-f.wake:
			err := f.look()
			if lines == nil && err != nil || err == nil && lines != nil && slices.Equal(Scan{Files: f.seen}.lines(), lines) {
				return
			}
		case <-timeout:
			s, err := f.Scan()
			t.Fatalf("never saw %q but %q; there are %q, %v", lines, Scan{Files: f.seen}.lines(), s.lines(), err)
		}
	}
}

func none() []string { return []string{} }

func TestWatchFiles(t *testing.T) {
	d := newDir(t)
	put(t, d.at("a.yaml"), named("a"))
	f := follow(t, d)
	f.settles(t, []string{"a.yaml> a"}) // what was there before
	put(t, d.at("a.yaml"), named("b"))
	f.settles(t, []string{"a.yaml> b"})
	do(t, os.WriteFile(d.at("a.yaml"), []byte(named("c")), 0o644))
	f.settles(t, []string{"a.yaml> c"})
	do(t, os.Rename(d.at("a.yaml"), d.at("z.yaml")))
	f.settles(t, []string{"z.yaml> c"})
	do(t, os.Chmod(d.path, 0o777))
	f.settles(t, nil)
	do(t, os.Chmod(d.path, 0o755))
	f.settles(t, []string{"z.yaml> c"})
	do(t, os.Remove(d.at("z.yaml")))
	f.settles(t, none())
}

func TestWatchConfigMap(t *testing.T) {
	d := newDir(t)
	f := follow(t, d)
	for i := range 5 {
		data := fmt.Sprintf("..%d", i)
		mkdir(t, d.at(data))
		put(t, d.at(data+"/web.yaml"), named(fmt.Sprintf("web%d", i)))
		do(t, os.Symlink(data, d.at("..tmp")), os.Rename(d.at("..tmp"), d.at("..data")))
		if i == 0 {
			do(t, os.Symlink("..data/web.yaml", d.at("web.yaml")))
		}
		f.settles(t, []string{fmt.Sprintf("web.yaml> web%d", i)})
	}
}

// Each way in which another directory can come to stand at the path, many times over: the events of the old one's end
// and of the new one's making race with the watches.
func TestWatchNewDirectory(t *testing.T) {
	for name, replace := range map[string]func(t *testing.T, path string, i int){
		"removed and made": func(t *testing.T, path string, _ int) {
			do(t, os.RemoveAll(path))
			mkdir(t, path)
		},
		"renamed away": func(t *testing.T, path string, i int) {
			do(t, os.Rename(path, fmt.Sprintf("%s.%d", path, i)))
			mkdir(t, path)
		},
		"renamed away and removed": func(t *testing.T, path string, _ int) {
			do(t, os.Rename(path, path+".old"), os.RemoveAll(path+".old"))
			mkdir(t, path)
		},
		"replaced by rename": func(t *testing.T, path string, _ int) {
			do(t, os.RemoveAll(path))
			mkdir(t, path+".new")
			do(t, os.Rename(path+".new", path))
		},
		"symlink swapped": func(t *testing.T, path string, i int) {
			target := fmt.Sprintf("%s.%d", path, i)
			mkdir(t, target)
			if i == 0 {
				do(t, os.RemoveAll(path))
			}
			do(t, os.Symlink(target, path+".tmp"), os.Rename(path+".tmp", path))
		},
		"held open while removed": func(t *testing.T, path string, _ int) {
			held, err := os.Open(path)
			do(t, err, os.RemoveAll(path))
			mkdir(t, path)
			do(t, held.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDir(t)
			f := follow(t, d)
			for i := range 30 {
				replace(t, d.path, i)
				put(t, d.at("a.yaml"), named(fmt.Sprintf("a%d", i)))
				f.settles(t, []string{fmt.Sprintf("a.yaml> a%d", i)})
				put(t, d.at("a.yaml"), named(fmt.Sprintf("b%d", i))) // the new directory is watched, not only found
				f.settles(t, []string{fmt.Sprintf("a.yaml> b%d", i)})
			}
		})
	}
}

// The directory is replaced while Watch is kept busy, so that it meets old events at a new directory.
func TestWatchReplacedMeanwhile(t *testing.T) {
	d := newDir(t)
	f := newFollower(d)
	began, replaced := make(chan struct{}, 1), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- d.Watch(ctx, func(files []string) {
			select {
			case began <- struct{}{}:
			default:
			}
			<-replaced
			f.changed(files)
		})
	}()
	<-began
	do(t, os.Remove(d.path))
	mkdir(t, d.path)
	close(replaced)
	f.settles(t, none())
	put(t, d.at("a.yaml"), named("a"))
	f.settles(t, []string{"a.yaml> a"})
	cancel()
	do(t, <-done)
}

func TestWatchVanished(t *testing.T) {
	d := newDir(t)
	f := follow(t, d)
	f.settles(t, none())
	do(t, os.Remove(d.path))
	f.settles(t, nil)
	mkdir(t, d.path)
	f.settles(t, none())

	// With the parent gone too, nothing tells: it is looked for every now and then.
	parent := filepath.Dir(d.path)
	do(t, os.RemoveAll(parent))
	f.settles(t, nil)
	mkdir(t, parent)
	mkdir(t, d.path)
	f.settles(t, none())
	put(t, d.at("a.yaml"), named("a"))
	f.settles(t, []string{"a.yaml> a"})
}

// What no event tells, a scan does: after it found another directory, that one is watched.
func TestWatchFollowsScan(t *testing.T) {
	top := t.TempDir()
	mkdir(t, filepath.Join(top, "one"))
	mkdir(t, filepath.Join(top, "one/manifests"))
	mkdir(t, filepath.Join(top, "two"))
	mkdir(t, filepath.Join(top, "two/manifests"))
	do(t, os.Symlink("one", filepath.Join(top, "now")))
	d, err := OpenDir(filepath.Join(top, "now/manifests"))
	do(t, err)
	f := follow(t, d)
	f.settles(t, none())
	do(t, os.Symlink("two", filepath.Join(top, "tmp")), os.Rename(filepath.Join(top, "tmp"), filepath.Join(top, "now")))
	scan(t, d) // the resync
	f.settles(t, none())
	put(t, d.at("a.yaml"), named("a"))
	f.settles(t, []string{"a.yaml> a"})
}

// More events than the kernel's queue holds end in the right set: the one that matters is among those that are lost, and
// no other event is about it or about the directory itself.
func TestWatchOverflow(t *testing.T) {
	limit, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	do(t, err)
	queue, err := strconv.Atoi(strings.TrimSpace(string(limit)))
	do(t, err)
	d := newDir(t)
	f := newFollower(d)
	busy, filled := make(chan struct{}), make(chan struct{})
	once := sync.OnceFunc(func() {
		close(busy)
		<-filled
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- d.Watch(ctx, func(files []string) {
			if slices.Contains(files, "x") {
				once()
			}
			f.changed(files)
		})
	}()
	f.settles(t, none())
	do(t, os.WriteFile(d.at("x"), nil, 0o644))
	<-busy // until filled no event is taken, but for those of one read(2)
	for range queue {
		do(t, os.WriteFile(d.at("x"), nil, 0o644), os.Remove(d.at("x"))) // two events at least
	}
	put(t, d.at("a.yaml"), named("a"))
	close(filled)
	f.settles(t, []string{"a.yaml> a"})
	cancel()
	do(t, <-done)
}

// What happens to one file is told by its name, and nothing else is looked at.
func TestWatchTellsNames(t *testing.T) {
	d := newDir(t)
	put(t, d.at("a.yaml"), named("a"))
	put(t, d.at("b.yaml"), named("b"))
	f := follow(t, d)
	f.settles(t, []string{"a.yaml> a", "b.yaml> b"})
	put(t, d.at("a.yaml"), named("c"))
	for {
		<-f.wake
		f.mu.Lock()
		all, files := f.all, f.files
		f.mu.Unlock()
		if all || slices.Contains(files, "b.yaml") {
			t.Fatalf("all: %v, files: %q", all, files)
		}
		if slices.Contains(files, "a.yaml") {
			break
		}
	}
	s, err := f.Look([]string{"a.yaml", "gone.yaml", "a.txt"})
	do(t, err)
	if want(t, s, "a.yaml> c"); !s.Partial || !slices.Equal(s.Gone, []string{"gone.yaml"}) {
		t.Errorf("%+v", s)
	}
}

// A look is whole where the one before was not of this directory.
func TestLookIsWholeWhenInDoubt(t *testing.T) {
	d := newDir(t)
	put(t, d.at("a.yaml"), named("a"))
	put(t, d.at("b.yaml"), named("b"))
	look := func(partial bool, lines ...string) {
		t.Helper()
		s, err := d.Look([]string{"a.yaml"})
		do(t, err)
		if want(t, s, lines...); s.Partial != partial {
			t.Errorf("partial: %v", s.Partial)
		}
	}
	look(false, "a.yaml> a", "b.yaml> b")
	look(true, "a.yaml> a")
	do(t, os.Chmod(d.path, 0o777))
	if _, err := d.Look([]string{"a.yaml"}); err == nil {
		t.Error("a directory for everybody is read")
	}
	do(t, os.Chmod(d.path, 0o755))
	look(false, "a.yaml> a", "b.yaml> b")
	do(t, os.Rename(d.path, d.path+".away"))
	mkdir(t, d.path)
	put(t, d.at("z.yaml"), named("z"))
	look(false, "z.yaml> z")
}
