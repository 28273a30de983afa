package cgroup

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// OOMKills is how often the OOM killer struck in an instance's cgroup: oom_kill in memory.events (v2) or in
// memory.oom_control (v1). It can be read until the cgroup is removed, and is 0 where nothing tells.
func (p *Parent) OOMKills(instance string) int {
	for _, dir := range p.dirs(instance) {
		for _, file := range []string{"memory.events", "memory.oom_control"} {
			b, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				continue
			}
			if n, ok := keyed(string(b), "oom_kill"); ok {
				return n
			}
		}
	}
	return 0
}

// keyed reads a flat keyed file: a key and a number a line.
func keyed(text, key string) (int, bool) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == key {
			n, err := strconv.Atoi(f[1])
			return n, err == nil
		}
	}
	return 0, false
}
