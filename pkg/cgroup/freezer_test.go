package cgroup

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestFrozenInFixtures has each machine's files, as the kernel writes them.
func TestFrozenInFixtures(t *testing.T) {
	const frozen, thawed = "populated 1\nfrozen 1\n", "populated 1\nfrozen 0\n"
	for name, c := range map[string]struct {
		files  map[string]string
		frozen bool
		file   string
	}{
		"v1 frozen":             {map[string]string{"f/p/web.1/freezer.state": "FROZEN\n", "m/p/web.1/tasks": ""}, true, "f/p/web.1/freezer.state"},
		"v1 freezing":           {map[string]string{"f/p/web.1/freezer.state": "FREEZING\n"}, true, "f/p/web.1/freezer.state"},
		"v1 thawed":             {map[string]string{"f/p/web.1/freezer.state": "THAWED\n"}, false, "f/p/web.1/freezer.state"},
		"v1 without a freezer":  {map[string]string{"m/p/web.1/tasks": ""}, false, ""},
		"v2 frozen":             {map[string]string{"u/p/web.1/cgroup.freeze": "1\n", "u/p/web.1/cgroup.events": frozen}, true, "u/p/web.1/cgroup.events"},
		"v2 freezing":           {map[string]string{"u/p/web.1/cgroup.freeze": "1\n", "u/p/web.1/cgroup.events": thawed}, false, "u/p/web.1/cgroup.events"},
		"v2 thawed":             {map[string]string{"u/p/web.1/cgroup.freeze": "0\n", "u/p/web.1/cgroup.events": thawed}, false, "u/p/web.1/cgroup.events"},
		"v2 before Linux 5.2":   {map[string]string{"u/p/web.1/cgroup.events": "populated 1\n"}, false, ""},
		"hybrid, frozen by v1":  {map[string]string{"f/p/web.1/freezer.state": "FROZEN\n", "u/p/web.1/cgroup.freeze": "0\n", "u/p/web.1/cgroup.events": thawed}, true, "f/p/web.1/freezer.state"},
		"hybrid, frozen by v2":  {map[string]string{"f/p/web.1/freezer.state": "THAWED\n", "u/p/web.1/cgroup.freeze": "1\n", "u/p/web.1/cgroup.events": frozen}, true, "f/p/web.1/freezer.state"},
		"another one is frozen": {map[string]string{"u/p/web.2/cgroup.freeze": "1\n", "u/p/web.2/cgroup.events": frozen}, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			plant(t, root, c.files)
			p := At("/p", filepath.Join(root, "f"), filepath.Join(root, "m"), filepath.Join(root, "u"))
			if got, err := p.Frozen("web.1"); err != nil || got != c.frozen {
				t.Errorf("frozen: %v, %v; want %v", got, err, c.frozen)
			}
			want := c.file
			if want != "" {
				want = filepath.Join(root, want)
			}
			if got := p.FreezerEvents("web.1"); got != want {
				t.Errorf("file %q, want %q", got, want)
			}
		})
	}
}

func plant(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFreezeAndThaw(t *testing.T) {
	eachVersion(t, func(t *testing.T, p *Parent) {
		if frozen, err := p.Frozen("web.1"); err != nil || frozen || p.FreezerEvents("web.1") != "" {
			t.Fatalf("before there is one: frozen %v, %v, file %q", frozen, err, p.FreezerEvents("web.1"))
		}
		occupy(t, p, "web.1", "")
		freeze := map[string]string{freezerV1: "FROZEN"}
		dir, file := filepath.Split(p.FreezerEvents("web.1"))
		if file != freezerV1 {
			freeze = map[string]string{freezerV2: "1"}
		}
		for file, word := range freeze {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(word), 0); err != nil {
				t.Fatal(err)
			}
		}
		awaitFrozen(t, p, "web.1", true)
		p.Thaw("web.1")
		awaitFrozen(t, p, "web.1", false)
	})
}

// awaitFrozen waits as cgroup-v2.html says: a change of cgroup.events, since it was last read, wakes a poll. Version 1 tells
// at once.
func awaitFrozen(t *testing.T, p *Parent, instance string, want bool) {
	t.Helper()
	var events []*os.File
	for _, dir := range p.dirs(instance) {
		if f, err := os.Open(filepath.Join(dir, "cgroup.events")); err == nil {
			defer f.Close()
			events = append(events, f)
		}
	}
	for {
		var changed []unix.PollFd
		for _, f := range events {
			if _, err := f.ReadAt(make([]byte, 1), 0); err != nil {
				t.Fatal(err)
			}
			changed = append(changed, unix.PollFd{Fd: int32(f.Fd()), Events: unix.POLLPRI})
		}
		frozen, err := p.Frozen(instance)
		if err != nil {
			t.Fatal(err)
		}
		if frozen == want {
			return
		}
		if n, err := unix.Poll(changed, 10_000); n == 0 {
			t.Fatalf("frozen stays %v: %v", frozen, err)
		}
	}
}
