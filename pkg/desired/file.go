package desired

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// cached is a file as it was read, and when.
type cached struct {
	stamp  stamp
	readAt time.Time // before the read
	file   File
}

// stamp tells whether a file is the one it was.
type stamp struct {
	dev, ino     uint64
	size         int64
	mtime, ctime syscall.Timespec
}

// settled is how much older than the read a file's last change must be before its stamp can be believed: within the
// tick of a file system's clock (10 ms on older kernels, 2 s on the worst) a second change leaves the same stamp.
const settled = 2 * time.Second

// covers reports whether c still is what a file of that stamp holds.
func (c cached) covers(s stamp) bool {
	return c.stamp == s && c.readAt.Sub(time.Unix(s.ctime.Unix())) > settled
}

// file reads one manifest file, or takes it from the cache. It is false for one that vanished meanwhile.
func (d *Dir) file(root *os.Root, name string) (cached, bool) {
	readAt := time.Now()
	f, s, err := openRegular(root, name)
	if errors.Is(err, fs.ErrNotExist) && !isSymlink(root, name) {
		return cached{}, false
	}
	if err != nil {
		return broken(name, err), true
	}
	defer f.Close()
	if c := d.cache[name]; c.covers(s) {
		return c, true
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1)) // Parse tells one that grew
	if err != nil {
		return broken(name, err), true
	}
	c := cached{stamp: s, readAt: readAt}
	c.file.Containers, c.file.Errors = Parse(name, data, d.path)
	return c, true
}

func broken(name string, err error) cached {
	return cached{file: File{Errors: []error{&Error{File: name, Message: cause(err).Error()}}}}
}

func isSymlink(root *os.Root, name string) bool {
	info, err := root.Lstat(name)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// openRegular opens a regular file that root alone can change, following symlinks inside the root only. The first look
// keeps it from opening a device, which may act on being opened; O_NONBLOCK keeps a FIFO that took the file's place from
// being waited for; the second look is at what was opened.
func openRegular(root *os.Root, name string) (*os.File, stamp, error) {
	info, err := root.Stat(name)
	if err != nil {
		if isSymlink(root, name) {
			return nil, stamp{}, fmt.Errorf("is a symlink that leads nowhere inside this directory (%w): put the file here", cause(err))
		}
		return nil, stamp{}, err
	}
	if _, err := usable(info); err != nil {
		return nil, stamp{}, err
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, stamp{}, err
	}
	if info, err = f.Stat(); err == nil {
		var s stamp
		if s, err = usable(info); err == nil {
			return f, s, nil
		}
	}
	return nil, stamp{}, errors.Join(err, f.Close())
}

// cause is err without the path, which is told anyway.
func cause(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}

// usable returns the stamp of a file that may be read as a manifest.
func usable(info fs.FileInfo) (stamp, error) {
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return stamp{}, errors.New("cannot be told from other files")
	case !info.Mode().IsRegular():
		return stamp{}, fmt.Errorf("is %s: a manifest is a regular file", kindOf(info.Mode()))
	case info.Size() > MaxFile:
		return stamp{}, errors.New(tooLarge)
	}
	if err := onlyRootWrites(st.Uid, st.Mode); err != nil {
		return stamp{}, err
	}
	return stamp{dev: st.Dev, ino: st.Ino, size: st.Size, mtime: st.Mtim, ctime: st.Ctim}, nil
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}
