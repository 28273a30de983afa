package cgroup

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"reconciler.dev/reconciler/internal/runctest"
)

// Mounts as machines of each kind have them.
const (
	onlyV2 = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw
24 22 0:22 / /proc rw - proc proc rw
26 22 0:24 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
`
	onlyV1 = `31 23 0:28 / /sys/fs/cgroup ro shared:9 - tmpfs tmpfs ro,mode=755
32 31 0:29 / /sys/fs/cgroup/systemd rw shared:10 - cgroup cgroup rw,xattr,name=systemd
33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:11 - cgroup cgroup rw,cpu,cpuacct
34 31 0:31 / /sys/fs/cgroup/memory rw shared:12 - cgroup cgroup rw,memory
35 31 0:32 / /sys/fs/cgroup/freezer rw shared:13 - cgroup cgroup rw,freezer
`
	odd = `30 24 0:26 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 none rw
31 24 0:27 / /mnt/with\040space rw - cgroup cgroup rw,cpu
32 24 0:28 / /srv/cgroup rw - ext4 /dev/cgroup rw
33 24 0:27 /sub /var/lib/machines/a/cpu rw - cgroup cgroup rw,cpu
34 24 0:29 / /too/short - cgroup
garbage
`
)

func TestHierarchies(t *testing.T) {
	for name, c := range map[string]struct {
		mountinfo string
		want      []hierarchy
	}{
		"v2": {onlyV2, []hierarchy{{mount: "/at/sys/fs/cgroup"}}},
		"v1": {onlyV1, []hierarchy{
			{"/at/sys/fs/cgroup/cpu,cpuacct", []string{"rw", "cpu", "cpuacct"}},
			{"/at/sys/fs/cgroup/freezer", []string{"rw", "freezer"}},
			{"/at/sys/fs/cgroup/memory", []string{"rw", "memory"}},
			{"/at/sys/fs/cgroup/systemd", []string{"rw", "xattr", "name=systemd"}},
		}},
		"odd":  {odd, []hierarchy{{"/at/mnt/with space", []string{"rw", "cpu"}}, {mount: "/at/sys/fs/cgroup/unified"}}},
		"none": {"24 1 0:22 / /proc rw - proc proc rw\n", nil},
	} {
		if got := hierarchies([]byte(c.mountinfo), "/at"); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Each line of a process's memberships is about one hierarchy.
func TestMemberships(t *testing.T) {
	for name, c := range map[string]struct {
		mountinfo, memberships string
		want                   []string // mount point and path
	}{
		"v2":     {onlyV2, "0::/a:b\n", []string{"/sys/fs/cgroup/a:b"}},
		"v1":     {onlyV1, "3:cpu,cpuacct:/c\n2:name=systemd:/s\n", []string{"/sys/fs/cgroup/cpu,cpuacct/c", "/sys/fs/cgroup/systemd/s"}},
		"hybrid": {odd, "4:cpu:/c\n3:pids:/d\n0::/u\n", []string{"/mnt/with space/c", "/sys/fs/cgroup/unified/u"}},
	} {
		var got []string
		for controllers, path := range memberships(c.memberships) {
			for _, h := range hierarchies([]byte(c.mountinfo), "/") {
				if h.has(controllers) {
					got = append(got, h.mount+path)
				}
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// machine makes a tree of files that looks like a machine with these mounts, and opens it.
func machine(t *testing.T, mountinfo string, files map[string]string) (p *Parent, root string) {
	t.Helper()
	root = t.TempDir()
	plant(t, root, map[string]string{"proc/self/mountinfo": mountinfo})
	plant(t, root, files)
	p, err := open(root, "/p")
	if err != nil {
		t.Fatal(err)
	}
	return p, root
}

func TestOOMKills(t *testing.T) {
	const v1, v2 = "sys/fs/cgroup/memory/p/web.1/memory.oom_control", "sys/fs/cgroup/p/web.1/memory.events"
	for name, c := range map[string]struct {
		mountinfo, file, text string
		want                  int
	}{
		"v1":             {onlyV1, v1, "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", 2},
		"v1 before 4.13": {onlyV1, v1, "oom_kill_disable 0\nunder_oom 0\n", 0},
		"v2":             {onlyV2, v2, "low 0\nhigh 0\nmax 7\noom 4\noom_kill 3\noom_group_kill 1\n", 3},
		"v2, not yet":    {onlyV2, v2, "low 0\nhigh 0\nmax 7\noom 0\noom_kill 0\noom_group_kill 0\n", 0},
		"v2 garbage":     {onlyV2, v2, "oom_kill many\n", 0},
		"v2 no memory":   {onlyV2, "sys/fs/cgroup/p/web.1/cgroup.events", "populated 1\n", 0},
		"v2 another one": {onlyV2, "sys/fs/cgroup/p/web.2/memory.events", "oom_kill 1\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := machine(t, c.mountinfo, map[string]string{c.file: c.text})
			if got := p.OOMKills("web.1"); got != c.want {
				t.Errorf("%d, want %d", got, c.want)
			}
		})
	}
}

// TestKillOnV2 kills a real process in a machine of files, and not the one that took the pid of a member meanwhile.
func TestKillOnV2(t *testing.T) {
	runctest.Require(t, runctest.Pidfd)
	member, stranger := exec.Command("sleep", "1000"), exec.Command("sleep", "1000")
	for _, cmd := range []*exec.Cmd{member, stranger} {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	}
	pids := []int{member.Process.Pid, stranger.Process.Pid}
	slices.Sort(pids)
	const dir = "sys/fs/cgroup/p/web.1"
	p, root := machine(t, onlyV2, map[string]string{
		dir + "/cgroup.procs":                                    strconv.Itoa(stranger.Process.Pid) + "\n",
		dir + "/init/cgroup.procs":                               "0\n" + strconv.Itoa(member.Process.Pid) + "\n",
		dir + "/cgroup.kill":                                     "0",
		"sys/fs/cgroup/p/web.2/any":                              "-",
		"proc/" + strconv.Itoa(member.Process.Pid) + "/cgroup":   "0::/p/web.1/init\n",
		"proc/" + strconv.Itoa(stranger.Process.Pid) + "/cgroup": "0::/p/web.10\n",
	})
	if got, err := p.Processes("web.1"); err != nil || !slices.Equal(got, pids) {
		t.Errorf("processes %v, want %v; %v", got, pids, err)
	}
	if got, err := p.Instances(); err != nil || !slices.Equal(got, []string{"web.1", "web.2"}) {
		t.Errorf("instances %v, %v", got, err)
	}
	emptied := make(chan error)
	go func() { // what the kernel does with the files of a real one
		_ = member.Wait()
		emptied <- errors.Join(
			os.WriteFile(filepath.Join(root, dir, "init/cgroup.procs"), nil, 0),
			os.WriteFile(filepath.Join(root, dir, "cgroup.procs"), nil, 0))
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := p.Kill(ctx, "web.1"); err != nil {
		t.Error(err)
	}
	_ = member.Process.Kill() // should Kill have failed
	if err := <-emptied; err != nil {
		t.Error(err)
	}
	if kill, err := os.ReadFile(filepath.Join(root, dir, "cgroup.kill")); err != nil || string(kill) != "1" {
		t.Errorf("cgroup.kill: %q, %v", kill, err)
	}
	_ = stranger.Process.Signal(syscall.SIGTERM)
	_ = stranger.Wait()
	if status := stranger.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGTERM {
		t.Errorf("the stranger was ended by %v", status.Signal())
	}
}
