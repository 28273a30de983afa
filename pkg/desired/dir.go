package desired

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Dir is a directory of manifests, the source of what a node's owner wants. It is named, not held open: it may vanish and
// come back, which Scan tells and Watch outlives.
//
// One goroutine may Scan while another one Watches.
type Dir struct {
	path  string
	cache map[string]cached // by file name; Scan's own
	last  string            // identity of the directory that the last Scan read
	moved chan struct{}     // Scan saw another directory than before: Watch may look at the wrong one
}

// Scan is what a directory held at one time.
type Scan struct {
	Identity string          // of the directory: see SameDirectory
	Files    map[string]File // every manifest file, by name
}

// File is one manifest file: its containers, or every error in it. They are shared between scans and must not be changed.
type File struct {
	Containers []Container
	Errors     []error // each an *Error
}

// OpenDir names a directory of manifests. Whether it is there is for Scan to tell, each time.
func OpenDir(path string) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("manifests directory: %w", err)
	}
	return &Dir{path: path, moved: make(chan struct{}, 1)}, nil
}

// Scan lists the directory and reads what changed since the last time. An error means that the directory cannot be
// trusted or read, and tells nothing about what it should hold: a vanished directory has removed nothing. The same goes
// for a directory of another identity than before, which the caller must compare.
//
// A file that cannot be read or parsed is among Files, with its errors: it was not removed.
func (d *Dir) Scan() (Scan, error) {
	// os.OpenRoot opens whatever it is given, and would wait for ever for the writer of a FIFO. The dot asks for a
	// directory.
	root, err := os.OpenRoot(d.path + "/.")
	if err != nil {
		return Scan{}, fmt.Errorf("manifests directory %s: %w", d.path, cause(err))
	}
	defer root.Close()
	dir, err := root.Open(".")
	if err != nil {
		return Scan{}, fmt.Errorf("manifests directory %s: %w", d.path, cause(err))
	}
	defer dir.Close()
	identity, err := trusted(dir)
	if err != nil {
		return Scan{}, fmt.Errorf("manifests directory %s: %w", d.path, err)
	}
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return Scan{}, fmt.Errorf("manifests directory %s: %w", d.path, cause(err))
	}
	d.saw(identity)
	scan := Scan{Identity: identity, Files: make(map[string]File, len(entries))}
	cache := make(map[string]cached, len(entries))
	for _, entry := range entries {
		name := entry.Name()
		if !IsManifest(name) {
			continue
		}
		if c, ok := d.file(root, name); ok {
			cache[name] = c
			scan.Files[name] = c.file
		}
	}
	d.cache = cache
	return scan, nil
}

// saw wakes Watch when another directory stands at the path, such as after a mount: inotify(7) tells no mounts.
func (d *Dir) saw(identity string) {
	if d.last != "" && d.last != identity {
		select {
		case d.moved <- struct{}{}:
		default:
		}
	}
	d.last = identity
}

// IsManifest reports whether a file of that name is read: one that ends in .yaml, .yml or .json. What editors and copying
// programs put beside it is left out, since they use other endings (x.yaml~, x.yaml.swp, x.yaml.tmp) or a leading dot.
func IsManifest(name string) bool {
	switch filepath.Ext(name) {
	case ".yaml", ".yml", ".json":
		return name[0] != '.'
	}
	return false
}

// trusted returns the identity of an open directory whose content root alone can change.
func trusted(dir *os.File) (identity string, err error) {
	var st unix.Statx_t
	err = unix.Statx(int(dir.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &st)
	if err != nil {
		return "", fmt.Errorf("statx: %w", err)
	}
	if err := onlyRootWrites(st.Uid, uint32(st.Mode)); err != nil {
		return "", err
	}
	born := "unknown" // not every file system keeps it
	if st.Mask&unix.STATX_BTIME != 0 {
		born = fmt.Sprintf("%d.%09d", st.Btime.Sec, st.Btime.Nsec)
	}
	return fmt.Sprintf("device %d:%d%s%d born %s", st.Dev_major, st.Dev_minor, identityInode, st.Ino, born), nil
}

const identityInode = " inode "

// SameDirectory reports whether two identities are of one directory. Over a reboot the device number does not count: it
// depends on the order in which disks were found.
func SameDirectory(a, b string, rebooted bool) bool {
	if rebooted {
		_, a, _ = strings.Cut(a, identityInode)
		_, b, _ = strings.Cut(b, identityInode)
	}
	return a != "" && a == b
}

// onlyRootWrites holds for what nobody but root can change: a manifest is a grant of root. A reader that is not root
// (validate) may trust itself as well.
func onlyRootWrites(uid, mode uint32) error {
	if uid != 0 && int(uid) != os.Geteuid() {
		return fmt.Errorf("belongs to uid %d, who could have anything run as root: chown it to root", uid)
	}
	if mode&0o022 != 0 {
		return fmt.Errorf("is writable for others than its owner (mode %04o), who could have anything run as root: chmod go-w it",
			mode&0o7777)
	}
	return nil
}
