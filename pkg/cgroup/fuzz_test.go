package cgroup

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Whatever is mounted: hierarchies are below the root, each once, in order.
func FuzzMountinfo(f *testing.F) {
	for _, s := range []string{onlyV1, onlyV2, odd, "", "1 2 3:4 / \\134\\040 - cgroup x y", "1 2 3:4 / /../../x rw - cgroup2 a b"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, mountinfo []byte) {
		found := hierarchies(mountinfo, "/at")
		for i, h := range found {
			if !filepath.IsAbs(h.mount) || h.controllers != nil && len(h.controllers) == 0 {
				t.Errorf("%+v", h)
			}
			if i > 0 && h.mount < found[i-1].mount {
				t.Errorf("%s after %s", h.mount, found[i-1].mount)
			}
			for _, controller := range h.controllers {
				if controller != "" && !h.has(controller) {
					t.Errorf("%+v has no %s", h, controller)
				}
			}
		}
		if lines := strings.Count(string(mountinfo), "\n") + 1; len(found) > lines {
			t.Errorf("%d hierarchies in %d lines", len(found), lines)
		}
	})
}

// Whatever a process is a member of: a path is told as it stands, colons in it included.
func FuzzMemberships(f *testing.F) {
	f.Add("0::/a:b\n", "cpu", "/x")
	f.Add("3:cpu,cpuacct:/c\n2:name=systemd:/s", "", ":")
	f.Fuzz(func(t *testing.T, text, controllers, path string) {
		for range memberships(text) {
		}
		if strings.ContainsAny(controllers, ":\n") || strings.Contains(path, "\n") {
			return
		}
		var got []string
		for c, p := range memberships("7:" + controllers + ":" + path + "\n") {
			got = append(got, c, p)
		}
		if !slices.Equal(got, []string{controllers, path}) {
			t.Errorf("%q of %q and %q", got, controllers, path)
		}
	})
}
