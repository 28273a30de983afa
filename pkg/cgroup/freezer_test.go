package cgroup

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestFrozenInFixtures has each kind of machine's files, as the kernel writes them; an empty text is no file.
func TestFrozenInFixtures(t *testing.T) {
	const v1, v2, frozen, thawed = "f/p/web.1/freezer.state", "u/p/web.1/cgroup.events", "populated 1\nfrozen 1\n", "populated 1\nfrozen 0\n"
	for name, c := range map[string]struct {
		state, freeze, events string
		frozen                bool
		file                  string
	}{
		"v1 frozen":            {state: "FROZEN\n", frozen: true, file: v1},
		"v1 freezing":          {state: "FREEZING\n", frozen: true, file: v1},
		"v1 thawed":            {state: "THAWED\n", file: v1},
		"v2 frozen":            {freeze: "1\n", events: frozen, frozen: true, file: v2},
		"v2 freezing":          {freeze: "1\n", events: thawed, file: v2},
		"v2 thawed":            {freeze: "0\n", events: thawed, file: v2},
		"v2 before Linux 5.2":  {events: "populated 1\n"},
		"hybrid, frozen by v1": {state: "FROZEN\n", freeze: "0\n", events: thawed, frozen: true, file: v1},
		"hybrid, frozen by v2": {state: "THAWED\n", freeze: "1\n", events: frozen, frozen: true, file: v1},
		"no freezer":           {},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			plant(t, root, map[string]string{ // the last two are another instance's
				v1: c.state, "u/p/web.1/cgroup.freeze": c.freeze, v2: c.events, "m/p/web.1/tasks": "\n",
				"u/p/web.10/cgroup.freeze": "1\n", "u/p/web.10/cgroup.events": frozen,
			})
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

// plant makes the files that have a text.
func plant(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if text == "" {
			continue
		}
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

// A runtime that was killed in a delete leaves its cgroup frozen, and empty.
func TestKillThawsAnEmptyCgroup(t *testing.T) {
	root := t.TempDir()
	const state = "f/p/web.1/freezer.state"
	plant(t, root, map[string]string{state: "FROZEN", "f/p/web.1/cgroup.procs": "\n"})
	if err := At("/p", filepath.Join(root, "f")).Kill(t.Context(), "web.1"); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(root, state)); err != nil || string(b) != "THAWED" {
		t.Errorf("it is %q, %v", b, err)
	}
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
