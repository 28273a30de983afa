package desired

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Dir is a directory of manifests, the source of what a node's owner wants. It is named, not held open: it may vanish and
// come back, which Scan tells and Watch outlives.
//
// One goroutine may Scan and Look while another one Watches.
type Dir struct {
	path  string
	cache map[string]cached // by file name; Scan's and Look's own, like the next three
	links map[string]bool   // those in cache that are symlinks
	last  string            // identity of the directory that was last read
	whole bool              // cache is all that this directory held
	moved chan struct{}     // another directory than before was read: Watch may look at the wrong one
}

// Scan is what a directory held at one time.
type Scan struct {
	Identity string          // of the directory: see SameDirectory
	Files    map[string]File // every manifest file, by name; if Partial, those that were looked at
	Partial  bool            // other files are as they were
	Gone     []string        // looked at and not there; only if Partial
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
func (d *Dir) Scan() (Scan, error) { return d.look(nil, true) }

// Look is a Scan that looks only at the named files, and at all symlinks: what is behind one may have changed under any
// name. It is a whole Scan where the last one was not of the directory that is there now.
func (d *Dir) Look(names []string) (Scan, error) { return d.look(names, false) }

func (d *Dir) look(names []string, whole bool) (s Scan, err error) {
	defer func() {
		if err != nil {
			d.whole = false
			s, err = Scan{}, fmt.Errorf("manifests directory %s: %w", d.path, cause(err))
		}
	}()
	// os.OpenRoot opens whatever it is given, and would wait for ever for the writer of a FIFO. The dot asks for a
	// directory.
	root, err := os.OpenRoot(d.path + "/.")
	if err != nil {
		return s, err
	}
	defer root.Close()
	dir, err := root.Open(".")
	if err != nil {
		return s, err
	}
	defer dir.Close()
	s.Identity, err = trusted(dir)
	if err != nil {
		return s, err
	}
	d.saw(s.Identity)
	if d.whole && !whole {
		return d.named(root, s, names), nil
	}
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return s, err
	}
	return d.all(root, s, entries), nil
}

// all completes a scan by every file there is.
func (d *Dir) all(root *os.Root, s Scan, entries []fs.DirEntry) Scan {
	s.Files = make(map[string]File, len(entries))
	was := d.cache
	d.cache, d.links, d.whole = make(map[string]cached, len(entries)), map[string]bool{}, true
	for _, entry := range entries {
		if name := entry.Name(); IsManifest(name) {
			d.take(root, &s, name, was[name])
		}
	}
	return s
}

// named completes a scan by the files named and all symlinks.
func (d *Dir) named(root *os.Root, s Scan, names []string) Scan {
	s.Partial, s.Files = true, make(map[string]File, len(names)+len(d.links))
	looked := map[string]bool{}
	for _, name := range slices.AppendSeq(slices.Clone(names), maps.Keys(d.links)) {
		if looked[name] || !IsManifest(name) {
			continue
		}
		looked[name] = true
		if !d.take(root, &s, name, d.cache[name]) {
			delete(d.cache, name)
			delete(d.links, name)
			s.Gone = append(s.Gone, name)
		}
	}
	return s
}

// take puts one file into a scan and into the cache. It is false for a file that is not there.
func (d *Dir) take(root *os.Root, s *Scan, name string, was cached) bool {
	c, there := d.file(root, name, was)
	if !there {
		return false
	}
	d.cache[name], s.Files[name] = c, c.file
	if c.link {
		d.links[name] = true
	} else {
		delete(d.links, name)
	}
	return true
}

// saw wakes Watch when another directory stands at the path, such as after a mount: inotify(7) tells no mounts.
func (d *Dir) saw(identity string) {
	if d.last != "" && d.last != identity {
		d.whole = false
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
