package cgroup

import (
	"math"
	"testing"
)

func TestLimit(t *testing.T) {
	for name, c := range map[string]struct {
		mountinfo, file, text string
		want                  int64
		found                 bool
	}{
		"v1":         {onlyV1, "sys/fs/cgroup/memory/p/web.1/memory.limit_in_bytes", "67108864\n", 67108864, true},
		"v2":         {onlyV2, "sys/fs/cgroup/p/web.1/memory.max", "67108864\n", 67108864, true},
		"of two":     {onlyV2, "sys/fs/cgroup/p/web.1/cpu.max", "50000 100000\n", 50000, true},
		"no limit":   {onlyV2, "sys/fs/cgroup/p/web.1/cpu.max", "max 100000\n", math.MaxInt64, true},
		"no number":  {onlyV2, "sys/fs/cgroup/p/web.1/cpu.max", "\n", 0, false},
		"another's":  {onlyV2, "sys/fs/cgroup/p/web.2/cpu.max", "1 2\n", 0, false},
		"other file": {onlyV2, "sys/fs/cgroup/p/web.1/pids.max", "1\n", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := machine(t, c.mountinfo, map[string]string{c.file: c.text})
			if got, found := p.Limit("web.1", "memory.max", "memory.limit_in_bytes", "cpu.max"); got != c.want || found != c.found {
				t.Errorf("%d, %v", got, found)
			}
		})
	}
}
