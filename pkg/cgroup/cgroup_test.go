package cgroup

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"reconciler.dev/reconciler/internal/runctest"
)

func TestMain(m *testing.M) { runctest.Main(m) }

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
	runctest.Require(t, runctest.Root, runctest.Pidfd)
	p, err := Open(runctest.CgroupParent(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.RemoveParent(); err != nil {
			t.Error(err)
		}
	}()
	var pids []int
	for _, below := range []string{"", "below"} {
		cmd := exec.Command("sleep", "1000")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		reaped := make(chan struct{})
		go func() { _ = cmd.Wait(); close(reaped) }()
		defer func() { <-reaped }()
		defer func() { _ = cmd.Process.Kill() }()
		pids = append(pids, cmd.Process.Pid)
		for _, h := range p.hierarchies {
			dir := filepath.Join(h, p.Path("web.1"), below)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if filepath.Base(h) == "cpuset" {
				continue // takes nobody before its cpus and memory nodes are set
			}
			if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(cmd.Process.Pid)), 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	slices.Sort(pids)
	if got, err := p.Processes("web.1"); err != nil || !slices.Equal(got, pids) {
		t.Fatalf("processes %v, want %v; %v", got, pids, err)
	}
	if err := p.Remove("web.1"); err == nil {
		t.Error("removed around living processes")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := p.Kill(ctx, "web.1"); err != nil {
		t.Fatal(err)
	}
	if err := p.Remove("web.1"); err != nil {
		t.Fatal(err)
	}
	if p.Exists("web.1") {
		t.Error("something is left")
	}
	if err := p.Kill(ctx, "web.1"); err != nil {
		t.Errorf("again: %v", err)
	}
	if err := p.Remove("web.1"); err != nil {
		t.Errorf("again: %v", err)
	}
}
