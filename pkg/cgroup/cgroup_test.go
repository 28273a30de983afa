package cgroup

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestHierarchies(t *testing.T) {
	const mountinfo = `24 1 0:22 / /proc rw - proc proc rw
30 24 0:26 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw
31 24 0:27 / /sys/fs/cgroup/memory rw shared:10 - cgroup cgroup rw,memory
32 24 0:28 / /mnt/with\040space rw - cgroup cgroup rw,cpu
33 24 0:29 / /srv/cgroup rw - ext4 /dev/cgroup rw
`
	want := []string{"/mnt/with space", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified"}
	if got := hierarchies(mountinfo); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestOpenRefusesTheRoot(t *testing.T) {
	for _, parent := range []string{"", "/", "relative", "/a/../b", "/a/"} {
		if _, err := Open(parent); err == nil {
			t.Errorf("%q was accepted", parent)
		}
	}
}

// TestOOMKills reads fixture trees of both versions; the rest of the machine has only one of them.
func TestOOMKills(t *testing.T) {
	for name, tree := range map[string]struct {
		file, text string
		want       int
	}{
		"v1":      {"memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", 2},
		"v2":      {"memory.events", "low 0\nhigh 0\nmax 7\noom 3\noom_kill 3\noom_group_kill 0\n", 3},
		"old v1":  {"memory.oom_control", "oom_kill_disable 0\nunder_oom 0\n", 0},
		"garbage": {"memory.events", "oom_kill many\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			dir := filepath.Join(root, "p/web.1")
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, tree.file), []byte(tree.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := At("/p", root).OOMKills("web.1"); got != tree.want {
				t.Errorf("%d, want %d", got, tree.want)
			}
		})
	}
}

// TestKillAndRemove empties a real cgroup, one below it included, and removes it in every hierarchy.
func TestKillAndRemove(t *testing.T) {
	eachVersion(t, func(t *testing.T, p *Parent) {
		first, _ := occupy(t, p, "web.1", "")
		second, _ := occupy(t, p, "web.1", "below")
		want := []int{first, second}
		slices.Sort(want)
		if got, err := p.Processes("web.1"); err != nil || !slices.Equal(got, want) {
			t.Fatalf("processes %v, want %v; %v", got, want, err)
		}
		if err := p.Remove("web.1"); err == nil {
			t.Error("removed around living processes")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		for range 2 { // what is gone may be killed and removed again
			if err := p.Kill(ctx, "web.1"); err != nil {
				t.Fatal(err)
			}
			if err := p.Remove("web.1"); err != nil {
				t.Fatal(err)
			}
			if p.Exists("web.1") {
				t.Error("something is left")
			}
		}
	})
}
