package runctest

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// settle bounds the wait for what the kernel does a moment after it was asked: a process ends, a cgroup empties.
const settle = 5 * time.Second

// made holds every cgroup parent of this test binary's run, for Main.
var made struct {
	sync.Mutex
	parents []string
}

// CgroupParent returns the absolute path of a cgroup for this test alone. Runtimes make it when first asked for something
// below it. When the test ends, whatever still lives in it is killed, it is removed from every hierarchy, and the test
// fails if anything was left below it: call CgroupParent before anything whose cleanup empties it.
func CgroupParent(t testing.TB) string {
	t.Helper()
	Require(t, Root)
	var b [8]byte
	rand.Read(b[:]) // never fails
	parent := "/reconciler-test-" + hex.EncodeToString(b[:])
	made.Lock()
	made.parents = append(made.parents, parent)
	made.Unlock()
	t.Cleanup(func() {
		left, err := sweep(parent)
		if err != nil {
			t.Errorf("cgroup %s: %v", parent, err)
		}
		for _, what := range left {
			t.Errorf("left in cgroup %s: %s", parent, what)
		}
	})
	return parent
}

// hierarchies returns the mount point of each cgroup hierarchy: several with v1, one with v2, and both in a hybrid.
func hierarchies() ([]string, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var points []string
	seen := map[string]bool{} // by device: one hierarchy may be mounted at many places
	for line := range bytes.Lines(b) {
		before, after, _ := strings.Cut(string(line), " - ")
		f := strings.Fields(before)
		if fs, _, _ := strings.Cut(after, " "); len(f) < 5 || fs != "cgroup" && fs != "cgroup2" || seen[f[2]] {
			continue
		}
		seen[f[2]] = true
		points = append(points, f[4])
	}
	return points, nil
}

// sweep kills what lives in the cgroup and removes it everywhere. It returns what it found below it.
func sweep(cgroup string) (left []string, err error) {
	points, err := hierarchies()
	if err != nil {
		return nil, err
	}
	for _, point := range points {
		found, e := sweepHierarchy(filepath.Join(point, cgroup))
		left = append(left, found...)
		err = errors.Join(err, e)
	}
	slices.Sort(left)
	return slices.Compact(left), err // one process is in every hierarchy
}

func sweepHierarchy(top string) (left []string, err error) {
	dirs, err := below(top)
	if err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		if dir != top {
			left = append(left, "cgroup "+dir)
		}
	}
	for deadline := time.Now().Add(settle); ; time.Sleep(time.Millisecond) {
		err = nil
		for _, dir := range slices.Backward(dirs) { // children come after their parents
			left = append(left, killAll(dir)...)
			if e := os.Remove(dir); e != nil && !errors.Is(e, fs.ErrNotExist) {
				err = errors.Join(err, e)
			}
		}
		if err == nil || time.Now().After(deadline) {
			slices.Sort(left)
			return slices.Compact(left), err
		}
	}
}

// below returns top and the cgroups below it, parents first, or nothing if there is no top.
func below(top string) (dirs []string, err error) {
	err = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err == nil && d.IsDir():
			dirs = append(dirs, path)
		}
		return err
	})
	return dirs, err
}

// killAll thaws one cgroup, kills its processes and describes them.
func killAll(dir string) (killed []string) {
	// A frozen v1 cgroup keeps even SIGKILL pending. The file is not there in other hierarchies, where this does nothing.
	os.WriteFile(filepath.Join(dir, "freezer.state"), []byte("THAWED"), 0)
	for _, pid := range members(dir) {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		// Members are counted again now that the pidfd pins the process: the pid may have been someone else's by then.
		if slices.Contains(members(dir), pid) {
			comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
			killed = append(killed, fmt.Sprintf("process %d (%s)", pid, bytes.TrimSpace(comm)))
			unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) // at worst it is gone
		}
		unix.Close(fd)
	}
	return killed
}

func members(dir string) (pids []int) {
	b, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	for _, f := range strings.Fields(string(b)) {
		if pid, err := strconv.Atoi(f); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}
