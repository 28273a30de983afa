package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// Parent is the cgroup below which every instance has one of its own. Its methods may be called concurrently.
type Parent struct {
	path     string   // absolute within each hierarchy
	mounts   []string // of the hierarchies
	freezers []string // those of them that can freeze
	root     string   // of the file system that has proc: / but for tests
}

// Open finds the machine's hierarchies. It makes nothing.
func Open(parent string) (*Parent, error) { return open("/", parent) }

func open(root, parent string) (*Parent, error) {
	if !filepath.IsAbs(parent) || filepath.Clean(parent) == "/" || filepath.Clean(parent) != parent {
		return nil, fmt.Errorf("cgroup parent %q must be an absolute path below the root, such as /reconciler", parent)
	}
	mountinfo, err := os.ReadFile(filepath.Join(root, "proc/self/mountinfo"))
	if err != nil {
		return nil, err
	}
	found := hierarchies(mountinfo, root)
	if len(found) == 0 {
		return nil, errors.New("no cgroup hierarchy is mounted; mount cgroup2 on /sys/fs/cgroup")
	}
	p := &Parent{path: parent, root: root}
	for _, h := range found {
		p.mounts = append(p.mounts, h.mount)
		if h.controllers == nil || slices.Contains(h.controllers, "freezer") {
			p.freezers = append(p.freezers, h.mount)
		}
	}
	return p, nil
}

// At is Open for hierarchies that are known by their mount points.
func At(parent string, mounts ...string) *Parent {
	return &Parent{path: parent, mounts: mounts, freezers: mounts, root: "/"}
}

// Path is the cgroup path of an instance, as a config.json names it.
func (p *Parent) Path(instance string) string { return filepath.Join(p.path, instance) }

// dirs are the directories of an instance's cgroup that exist: none for what is no name of one, such as .. or nothing,
// which would be somebody else's.
func (p *Parent) dirs(instance string) []string { return p.dirsIn(p.mounts, instance) }

func (p *Parent) dirsIn(mounts []string, instance string) []string {
	var found []string
	if filepath.Dir(p.Path(instance)) != p.path {
		return nil
	}
	for _, mount := range mounts {
		dir := filepath.Join(mount, p.Path(instance))
		if _, err := os.Lstat(dir); err == nil {
			found = append(found, dir)
		}
	}
	return found
}

// Exists says whether anything of an instance's cgroup is left in any hierarchy.
func (p *Parent) Exists(instance string) bool { return len(p.dirs(instance)) > 0 }

// Instances are the names of all cgroups right below the parent.
func (p *Parent) Instances() ([]string, error) {
	var found []string
	for _, mount := range p.mounts {
		entries, err := os.ReadDir(filepath.Join(mount, p.path))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			if e.IsDir() {
				found = append(found, e.Name())
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// Remove removes an instance's cgroup in every hierarchy, those that its processes made below it included. It fails with
// EBUSY while a process lives there.
func (p *Parent) Remove(instance string) error {
	for _, dir := range p.dirs(instance) {
		var below []string
		if err := walk(dir, func(d string) error { below = append(below, d); return nil }); err != nil {
			return err
		}
		for _, d := range slices.Backward(below) {
			if err := ignoreGone(unix.Rmdir(d)); err != nil {
				return &fs.PathError{Op: "rmdir", Path: d, Err: err}
			}
		}
	}
	return nil
}

// RemoveParent removes the parent wherever it is empty.
func (p *Parent) RemoveParent() error {
	for _, mount := range p.mounts {
		err := unix.Rmdir(filepath.Join(mount, p.path))
		if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENOTEMPTY) {
			return &fs.PathError{Op: "rmdir", Path: filepath.Join(mount, p.path), Err: err}
		}
	}
	return nil
}

// walk visits a directory and all below it, parents first. What vanishes meanwhile is skipped.
func walk(dir string, visit func(dir string) error) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return ignoreGone(err)
		}
		return visit(path)
	})
}

func ignoreGone(err error) error {
	// ENODEV: a read from the file of a cgroup that was removed since it was opened. EOPNOTSUPP: one of a threaded cgroup,
	// whose processes are listed by the domain above it: cgroups(7).
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}
