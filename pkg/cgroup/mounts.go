package cgroup

import (
	"path/filepath"
	"slices"
	"strings"
)

// hierarchy is one tree of cgroups.
type hierarchy struct {
	mount       string   // where it is mounted
	controllers []string // of a version 1 one, or the name= of one without controllers; version 2's has none here
}

// hierarchies are those that proc_pid_mountinfo(5) tells, by mount point. One that is mounted at several places counts
// once, by its first mount. Root is the directory that the mount points are below: / but for tests.
func hierarchies(mountinfo []byte, root string) []hierarchy {
	var found []hierarchy
	known := map[string]bool{} // by device
	for line := range strings.Lines(string(mountinfo)) {
		mount, filesystem, _ := strings.Cut(line, " - ")
		f, fs := strings.Fields(mount), strings.Fields(filesystem) // ID parent major:minor root point.. - type source options
		if len(f) < 5 || len(fs) < 3 || fs[0] != "cgroup" && fs[0] != "cgroup2" || known[f[2]] {
			continue
		}
		known[f[2]] = true
		h := hierarchy{mount: filepath.Join(root, unescape.Replace(f[4]))}
		if fs[0] == "cgroup" {
			h.controllers = strings.Split(fs[2], ",")
		}
		found = append(found, h)
	}
	slices.SortFunc(found, func(a, b hierarchy) int { return strings.Compare(a.mount, b.mount) })
	return found
}

var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// has says whether a line of proc_pid_cgroup(5) with these controllers is about this hierarchy.
func (h hierarchy) has(controllers string) bool {
	if controllers == "" {
		return h.controllers == nil
	}
	first, _, _ := strings.Cut(controllers, ",") // a controller is in one hierarchy only
	return slices.Contains(h.controllers, first)
}
