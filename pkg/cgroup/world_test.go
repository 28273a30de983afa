package cgroup

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"reconciler.dev/reconciler/internal/runctest"
)

func TestMain(m *testing.M) { runctest.Main(m) }

// eachVersion runs a test on this machine's hierarchies of version 1 alone, of version 2 alone, and on all together, as
// far as it has them. Version 2's processes, events, freezer and killing need no controller, so a hybrid machine has them.
func eachVersion(t *testing.T, test func(t *testing.T, p *Parent)) {
	runctest.Require(t, runctest.Root, runctest.Pidfd)
	machine, err := Open("/any")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string][]string{"all": machine.mounts}
	for _, h := range machine.mounts {
		version := "v1"
		if _, err := os.Lstat(filepath.Join(h, "cgroup.controllers")); err == nil {
			version = "v2"
		}
		kinds[version] = append(kinds[version], h)
	}
	for kind, mounts := range kinds {
		t.Run(kind, func(t *testing.T) {
			p := At(runctest.CgroupParent(t), mounts...)
			t.Cleanup(func() {
				if err := p.RemoveParent(); err != nil {
					t.Error(err)
				}
			})
			test(t, p)
		})
	}
}

// occupy starts a process in an instance's cgroup, or in one below it, in every hierarchy.
func occupy(t *testing.T, p *Parent, instance, below string) (pid int) {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	reaped := make(chan struct{})
	go func() { _ = cmd.Wait(); close(reaped) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-reaped; _ = p.Remove(instance) })
	for _, h := range p.mounts {
		dir := filepath.Join(h, p.Path(instance), below)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { write(filepath.Join(dir, freezerV1), "THAWED") }) // first, else the kill waits for ever
		if filepath.Base(h) == "cpuset" {
			continue // takes nobody before its cpus and memory nodes are set
		}
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(cmd.Process.Pid)), 0); err != nil {
			t.Fatal(err)
		}
	}
	return cmd.Process.Pid
}
