package runc

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/internal/runctest"
)

func TestProcessesWithAZombie(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		for i, edit := range []func(*runctest.BundleOptions){func(*runctest.BundleOptions) {}, hostPID} {
			c := w.run([]string{"own", "shared"}[i], "sleep 0 & sleep 600 & exec sleep 700", edit)
			want := []string{"init: sleep 700", "sleep 600", "zombie"}
			eventually(t, "one of the two children has ended, and both have become what they are to be", func() bool {
				processes, err := c.Processes(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				var names []string
				for _, p := range processes {
					names = append(names, name(c, p))
				}
				slices.Sort(names)
				return slices.Equal(names, want)
			})
		}
	})
}

func name(c *Container, p ProcessInfo) string {
	command := strings.Join(p.Command, " ")
	switch {
	case p.Zombie:
		return "zombie" + command
	case p.Process == c.init:
		return "init: " + command
	}
	return command
}

func TestZombies(t *testing.T) {
	runctest.Require(t, runctest.Pidfd)
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Wait() })
	if err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	self, err := identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := zombies(self); err != nil || len(got) != 1 || got[0].PID != cmd.Process.Pid || !got[0].Zombie {
		t.Errorf("%+v, %v", got, err)
	}
	self.StartTime--
	if got, err := zombies(self); err != nil || len(got) > 0 {
		t.Errorf("of the pid's earlier owner: %+v, %v", got, err)
	}
}
