package cgroup

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestOpenRefusesTheRoot(t *testing.T) {
	for _, parent := range []string{"", "/", "relative", "/a/../b", "/a/"} {
		if _, err := Open(parent); err == nil {
			t.Errorf("%q was accepted", parent)
		}
	}
}

func TestWhatIsNoInstanceHasNoCgroup(t *testing.T) {
	root := t.TempDir()
	plant(t, root, map[string]string{"p/cgroup.procs": "1\n", "p/web.1/sub/cgroup.procs": "2\n", "cgroup.procs": "3\n"})
	p := At("/p", root)
	for _, instance := range []string{"", ".", "..", "web.1/sub", "../p/web.1/.."} {
		if pids, err := p.Processes(instance); err != nil || len(pids) > 0 || p.Exists(instance) {
			t.Errorf("%q: %v, %v", instance, pids, err)
		}
	}
	if pids, err := p.Processes("web.1"); err != nil || !slices.Equal(pids, []int{2}) {
		t.Errorf("%v, %v", pids, err)
	}
}

// TestKillAndRemove empties a real cgroup, one below it included, and removes it in every hierarchy.
func TestKillAndRemove(t *testing.T) {
	eachVersion(t, func(t *testing.T, p *Parent) {
		want := []int{occupy(t, p, "web.1", ""), occupy(t, p, "web.1", "below")}
		slices.Sort(want)
		if got, err := p.Processes("web.1"); err != nil || !slices.Equal(got, want) {
			t.Fatalf("processes %v, want %v; %v", got, want, err)
		}
		if err := p.Remove("web.1"); err == nil {
			t.Error("removed around living processes")
		}
		// A container may have frozen what it made itself.
		if v1 := p.FreezerEvents("web.1"); filepath.Base(v1) == freezerV1 {
			if err := os.WriteFile(filepath.Join(filepath.Dir(v1), "below", freezerV1), []byte("FROZEN"), 0); err != nil {
				t.Fatal(err)
			}
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
