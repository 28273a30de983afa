package scratch

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const cgroupFS = "/sys/fs/cgroup"

// Leftovers names what there is of this world: processes, cgroups, mounts. Nil when it is gone.
func (w *World) Leftovers() []string {
	var left []string
	for _, p := range w.processes() {
		left = append(left, fmt.Sprintf("process %d %q", p.PID, argv(p.PID)))
	}
	for _, dir := range w.Cgroups() {
		left = append(left, "cgroup "+dir)
	}
	for _, m := range w.mounts() {
		left = append(left, "mount "+m)
	}
	return left
}

// Clear removes by force what there is of this world, so that a failed run leaves nothing to the machine either. The
// files are kept if keep says so: they are the evidence.
func (w *World) Clear(keep bool) {
	w.KillController()
	// Guard and reaper heal each other, but a stopped one heals nobody: all are stopped before any is killed.
	for range 20 {
		all := w.processes()
		if len(all) == 0 {
			break
		}
		for _, p := range all {
			_ = unix.Kill(p.PID, unix.SIGSTOP) // best effort: the kill below is what is checked
		}
		for _, p := range all {
			_ = p.Kill() // gone is as good
		}
		time.Sleep(50 * time.Millisecond)
	}
	cgroups := w.Cgroups()
	slices.Reverse(cgroups) // the inner ones first
	for _, dir := range cgroups {
		_ = os.Remove(dir) // Leftovers tells what stayed
	}
	w.Unmount(keep)
	w.log.Close()
	if !keep {
		_ = os.RemoveAll(w.Dir)
	}
}

// processes of this world: those in its cgroups, and those of ours and of the runtime that name its directory.
func (w *World) processes() []Process {
	var found []Process
	for _, pid := range pids() {
		args := argv(pid)
		if pid == os.Getpid() || !w.inCgroup(pid) && !w.named(args) {
			continue
		}
		if p, err := Find(pid); err == nil && p.Alive() {
			found = append(found, p)
		}
	}
	return found
}

func (w *World) inCgroup(pid int) bool {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	return strings.Contains(string(b), "/"+w.Parent+"/")
}

// Members lists the living processes in an instance's cgroup.
func (w *World) Members(instance string) []Process {
	found := w.processes()
	return slices.DeleteFunc(found, func(p Process) bool {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", p.PID))
		return !strings.Contains(string(b), "/"+w.Parent+"/"+instance+"\n")
	})
}

func (w *World) named(args []string) bool {
	return len(args) > 1 && slices.ContainsFunc(args[1:], func(a string) bool { return strings.Contains(a, w.Dir) })
}

// Cgroups lists the directories of the cgroup parent in all hierarchies, outer before inner. A tmpfs that stands in for
// one is none: what is there goes with this process's mount namespace.
func (w *World) Cgroups() []string {
	roots, _ := filepath.Glob(filepath.Join(cgroupFS, "*", w.Parent)) // the pattern is ours
	roots = append(roots, filepath.Join(cgroupFS, w.Parent))
	var found []string
	for _, root := range roots {
		if fileSystem(root) == unix.TMPFS_MAGIC {
			continue
		}
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				found = append(found, path)
			}
			return nil // what vanishes while we look is not left over
		})
	}
	return found
}

func (w *World) mounts() []string {
	b, _ := os.ReadFile("/proc/self/mountinfo")
	var found []string
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], w.Dir+"/") {
			found = append(found, f[4])
		}
	}
	return found
}
