package cgroup

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Limit is the number that a file of an instance's cgroup begins with, by whichever name its version of cgroups has for it:
// math.MaxInt64 for max. It is false where there is no such file, or no number in it.
func (p *Parent) Limit(instance string, files ...string) (limit int64, found bool) {
	for _, dir := range p.dirs(instance) {
		for _, file := range files {
			text, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				continue
			}
			first, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
			if first == "max" {
				return math.MaxInt64, true
			}
			if n, err := strconv.ParseInt(first, 10, 64); err == nil {
				return n, true
			}
		}
	}
	return 0, false
}
