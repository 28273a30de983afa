package scratch

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Disk mounts a small file system of this world's own and returns a directory on it, which may be removed and made anew
// as a mount point may not. It goes with Clear, or before by Unmount.
func (w *World) Disk(name string, megabytes int) (dir string, err error) {
	at := w.Path("disks", name)
	if err := os.MkdirAll(at, 0o700); err != nil {
		return "", err
	}
	if err := unix.Mount("none", at, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=700", megabytes)); err != nil {
		return "", fmt.Errorf("mount a tmpfs on %s: %w", at, err)
	}
	dir = filepath.Join(at, name)
	return dir, os.Mkdir(dir, 0o711)
}

// Unmount takes the disks away. What is on them is copied to the place where they were if keep says so: it is evidence.
func (w *World) Unmount(keep bool) {
	for _, at := range w.mounts() {
		aside := w.Path("kept", filepath.Base(at))
		if keep {
			copyFiles(aside, at)
		}
		_ = unix.Unmount(at, unix.MNT_DETACH) // Leftovers tells what stayed
	}
}

// copyFiles copies regular files, as far as it goes: sockets and what cannot be read are left out.
func copyFiles(to, from string) {
	_ = filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(path)
		below, relErr := filepath.Rel(from, path)
		if err == nil && relErr == nil {
			target := filepath.Join(to, below)
			_ = os.MkdirAll(filepath.Dir(target), 0o700)
			_ = os.WriteFile(target, b, 0o600)
		}
		return nil
	})
}

// OwnPrograms copies the programs to the world, so that they can be replaced by another build: see Upgrade.
func (w *World) OwnPrograms() error {
	from := filepath.Dir(w.reconciler)
	if err := os.MkdirAll(w.Path("bin"), 0o755); err != nil {
		return err
	}
	for _, name := range programs {
		b, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(w.Path("bin", name), b, 0o755); err != nil {
			return err
		}
	}
	w.reconciler = w.Path("bin", "reconciler")
	return nil
}

var programs = []string{"reconciler", "reconciler-subreaper"}

// Upgrade puts a program that does the same, and is not the same file, in the place of the world's own.
func (w *World) Upgrade(program string) error {
	path := w.Path("bin", program)
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", append(b, 0), 0o755); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
