package bundle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"reconciler.dev/reconciler/internal/runctest"
)

func TestMain(m *testing.M) {
	if os.Getenv("WATCH_WITH_LITTLE") != "" {
		watchWithLittle()
	}
	runctest.Main(m)
}

// watched is a Watcher with one user, who reads a bundle whenever he is told of it.
type watched struct {
	*Watcher
	t    *testing.T
	told chan []string
}

func watch(t *testing.T, bundles ...string) *watched {
	t.Helper()
	w := &watched{NewWatcher(func(err error) { t.Errorf("blind: %v", err) }), t, make(chan []string, 100)}
	for _, dir := range bundles {
		_, _ = w.Load(dir)
		w.Use(dir, true)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.Watch(ctx, func(bundles []string) { w.told <- bundles })
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	w.calm()
	return w
}

// becomes waits until the watch has led to this text; empty is a bundle that cannot be read.
func (w *watched) becomes(bundle, text string) {
	w.t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		select {
		case bundles := <-w.told:
			config, err := w.Load(bundle)
			if slices.Contains(bundles, bundle) && string(config) == text && (err == nil) == (text != "") {
				w.calm()
				return
			}
		case <-timeout:
			config, err := w.Load(bundle)
			w.t.Fatalf("never told that %s is %q; it is %q, %v", bundle, text, config, err)
		}
	}
}

// calm waits until nothing is due: from then on only an event can tell of a change.
func (w *watched) calm() {
	for n := 0; n < 5; n++ {
		time.Sleep(time.Millisecond)
		w.mu.Lock()
		if len(w.due) > 0 || len(w.wake) > 0 {
			n = 0
		}
		w.mu.Unlock()
	}
}

func ok(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func write(dir, text string) error {
	return os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600)
}

func made(t *testing.T, dir, text string) string {
	t.Helper()
	ok(t, os.MkdirAll(dir, 0o755), write(dir, text))
	return dir
}

func swap(to, link string) error {
	return errors.Join(os.Symlink(to, link+".new"), os.Rename(link+".new", link))
}

// Each way in which a bundle can come to hold another config.json, twice: what was put in place must be watched too.
func TestWatch(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, bundle, text string){
		"written in place": func(t *testing.T, bundle, text string) { ok(t, write(bundle, text)) },
		"renamed into place": func(t *testing.T, bundle, text string) {
			aside := filepath.Join(bundle, "config.json~")
			ok(t, os.WriteFile(aside, []byte(text), 0o600), os.Rename(aside, filepath.Join(bundle, "config.json")))
		},
		"symlink in it swapped": func(t *testing.T, bundle, text string) {
			made(t, filepath.Join(bundle, text), text)
			_ = os.Remove(filepath.Join(bundle, "config.json"))
			ok(t, swap(text, filepath.Join(bundle, "data")), swap("data/config.json", filepath.Join(bundle, "config.json")))
		},
		"symlink to it swapped": func(t *testing.T, bundle, text string) {
			made(t, bundle+text, text)
			if info, err := os.Lstat(bundle); err == nil && info.IsDir() {
				ok(t, os.RemoveAll(bundle))
			}
			ok(t, swap(bundle+text, bundle))
		},
		"removed and made": func(t *testing.T, bundle, text string) {
			ok(t, os.RemoveAll(bundle))
			made(t, bundle, text)
		},
		"another renamed into its place": func(t *testing.T, bundle, text string) {
			made(t, bundle+text, text)
			ok(t, os.Rename(bundle, bundle+text+".old"), os.Rename(bundle+text, bundle))
		},
		"removed with all above": func(t *testing.T, bundle, text string) {
			ok(t, os.RemoveAll(filepath.Dir(filepath.Dir(bundle))))
			made(t, bundle, text)
		},
	} {
		t.Run(name, func(t *testing.T) {
			bundle := made(t, filepath.Join(t.TempDir(), "some/bundles/web"), "one")
			w := watch(t, bundle)
			for _, text := range []string{"two", "three", "four"} {
				change(t, bundle, text)
				w.becomes(bundle, text)
				if name == "symlink in it swapped" {
					continue // the kernel tells nothing of a write behind it
				}
				ok(t, write(bundle, text+" again"))
				w.becomes(bundle, text+" again")
			}
		})
	}
}

func TestWatchWaitsForABundle(t *testing.T) {
	top := t.TempDir()
	bundle := filepath.Join(top, "some/bundles/web")
	w := watch(t, bundle)
	made(t, bundle, "one")
	w.becomes(bundle, "one")
	ok(t, os.RemoveAll(filepath.Join(top, "some")))
	w.becomes(bundle, "")
	made(t, bundle, "two")
	w.becomes(bundle, "two")
}

// Who reads a changed bundle before its event is taken does not keep the others from being told.
func TestWatchTellsAllUsers(t *testing.T) {
	bundle := made(t, t.TempDir(), "one")
	w := NewWatcher(func(err error) { t.Error(err) })
	_, _ = w.Load(bundle)
	w.Use(bundle, true)
	ok(t, write(bundle, "two"))
	_, _ = w.Load(bundle) // for a second container
	ctx, cancel := context.WithCancel(t.Context())
	told := false
	w.Watch(ctx, func(bundles []string) {
		told = slices.Equal(bundles, []string{bundle})
		cancel()
	})
	if !told {
		t.Error("not told")
	}
}

// One watch for a bundle, by whatever path its containers name it; none when it is out of use.
func TestWatchOnce(t *testing.T) {
	dir := t.TempDir()
	bundle := made(t, filepath.Join(dir, "web"), "one")
	other := filepath.Join(dir, "other")
	ok(t, os.Symlink("web", other))
	lost := make(chan struct{}, 1)
	p, err := openPlaces(lost, func(err error) { t.Error(err) })
	ok(t, err)
	defer p.close()
	watches := func(want int) {
		t.Helper()
		if got := p.inotify.WatchList(); len(got) != want || len(p.holds) != want {
			t.Errorf("watched: %q, %v; want %d", got, p.holds, want)
		}
	}
	for range 3 {
		p.follow(bundle, true)
		p.follow(other, true)
		watches(2) // itself, and where both paths end
	}
	p.follow(bundle, false)
	watches(2)
	p.follow(other, false)
	watches(0)
	if len(p.of)+len(p.inside)+len(p.awaits) > 0 {
		t.Errorf("left: %+v", p)
	}
}

// A settled stamp saves the read; a young one, or none, does not.
func TestRecheckReadsWhatIsInDoubt(t *testing.T) {
	bundle := made(t, t.TempDir(), "one")
	_, r := readOnce(bundle)
	if r.covers(bundle) {
		t.Error("a file that was written just now is believed")
	}
	if r.at = r.at.Add(time.Hour); !r.covers(bundle) {
		t.Error("an old file is not believed")
	}
	ok(t, write(bundle, "two"))
	if r.covers(bundle) {
		t.Error("another file is believed")
	}
	if _, r = readOnce(filepath.Join(bundle, "gone")); r.covers(filepath.Join(bundle, "gone")) {
		t.Error("nothing is believed")
	}
}

// Beyond the kernel's limits, which a user namespace may set for itself, it is said once, and Recheck finds what changed.
func TestWatchBeyondTheLimits(t *testing.T) {
	runctest.Require(t, runctest.Root)
	for _, limit := range []string{"max_inotify_watches", "max_inotify_instances"} {
		t.Run(limit, func(t *testing.T) {
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), "WATCH_WITH_LITTLE="+limit, "WATCH_IN="+t.TempDir())
			cmd.SysProcAttr = &syscall.SysProcAttr{
				Cloneflags:  syscall.CLONE_NEWUSER,
				UidMappings: []syscall.SysProcIDMap{{HostID: 0, Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: 0, Size: 1}},
			}
			if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "blind once, told" {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// watchWithLittle is the program of TestWatchBeyondTheLimits, in a user namespace of its own.
func watchWithLittle() {
	var errs []error
	limit := "1"
	if os.Getenv("WATCH_WITH_LITTLE") == "max_inotify_instances" {
		limit = "0"
	}
	errs = append(errs, os.WriteFile("/proc/sys/user/"+os.Getenv("WATCH_WITH_LITTLE"), []byte(limit), 0))
	blind := 0
	w := NewWatcher(func(error) { blind++ })
	var last string
	for i := range 10 {
		last = filepath.Join(os.Getenv("WATCH_IN"), fmt.Sprint("some", i), "bundle")
		errs = append(errs, os.MkdirAll(last, 0o755), write(last, "one"))
		_, _ = w.Load(last)
		w.Use(last, true)
	}
	if err := errors.Join(errs...); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	told := "not told"
	recheck := time.AfterFunc(4*pause, func() { // the watches are refused by then
		if err := write(last, "two"); err == nil {
			w.Recheck()
		}
	})
	w.Watch(ctx, func(bundles []string) {
		if slices.Contains(bundles, last) {
			told = "told"
		}
		cancel()
	})
	recheck.Stop()
	if blind == 1 {
		fmt.Println("blind once, " + told)
	}
	os.Exit(0)
}
