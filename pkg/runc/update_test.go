package runc

import (
	"errors"
	"os"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestUpdate(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		c := w.run("a", "exec sleep 600")
		const limit = 64 << 20 // bytes
		for _, r := range []*specs.LinuxResources{
			{Memory: &specs.LinuxMemory{Limit: new(int64(limit))}},
			{Pids: &specs.LinuxPids{Limit: new(int64(17))}}, // and leaves the memory alone
			{},
		} {
			if err := c.Update(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		if got := w.limit("a", "memory.limit_in_bytes", "memory.max"); got != "67108864" {
			t.Errorf("memory limit %s", got)
		}
		if got := w.limit("a", "pids.max"); got != "17" {
			t.Errorf("pids limit %s", got)
		}

		absent := &specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "100000"}}
		err := c.Update(t.Context(), absent)
		if e, ok := errors.AsType[*Error](err); !ok || e.Op != "update" || e.ExitStatus.Code != 1 || !strings.Contains(e.Message, "cpuset.cpus") {
			t.Errorf("a processor that is not there: %v", err)
		}
		if got := w.status(c); got != Running {
			t.Errorf("it is %s", got)
		}
	})
}

// limit reads the first of these files that a cgroup of the container has, in whichever hierarchy.
func (w *world) limit(id string, files ...string) string {
	w.t.Helper()
	for _, dir := range cgroupDirs(w.t, w.parent+"/"+id) {
		for _, file := range files {
			if b, err := os.ReadFile(dir + "/" + file); err == nil {
				return strings.TrimSpace(string(b))
			}
		}
	}
	w.t.Fatalf("no cgroup of %s has any of %q", id, files)
	return ""
}
