package scratch

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// FindRuntime returns the absolute path of an OCI runtime, by name or path, and sees to it that the runtime can work
// here: crun refuses a cgroup hybrid, v1 with v2 mounted below it. On such a machine this process becomes this program
// anew, in a mount namespace where the hybrid looks like plain v1; so call it first. All that it starts lives there too,
// at no cost a call, which a wrapper around crun would have.
func FindRuntime(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("no runtime (run hack/setup): %w", err)
	}
	if path, err = filepath.Abs(path); err != nil || filepath.Base(path) != "crun" {
		return path, err
	}
	if err := hideUnified(); err != nil {
		return "", fmt.Errorf("make the cgroup hybrid look like v1: %w", err)
	}
	return path, nil
}

// hideUnified does nothing where there is no hybrid; what it runs anew comes here again and finds none.
func hideUnified() error {
	const unified = cgroupFS + "/unified"
	if fileSystem(unified) != unix.CGROUP2_SUPER_MAGIC {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	runtime.LockOSThread() // namespaces are a thread's, and execve keeps those of the thread that calls it
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Unmount(unified, 0); err != nil {
		return fmt.Errorf("unmount %s: %w", unified, err)
	}
	// crun makes directories here all the same. Without a mount of ours they would be made in what all namespaces share.
	if err := unix.Mount("none", unified, "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mount a tmpfs on %s: %w", unified, err)
	}
	return unix.Exec(self, os.Args, os.Environ())
}

// fileSystem is the type of the one that path is on: a magic number of statfs(2), 0 if there is no such path.
func fileSystem(path string) int64 {
	var fs unix.Statfs_t
	if unix.Statfs(path, &fs) != nil {
		return 0
	}
	return fs.Type
}
