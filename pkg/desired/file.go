package desired

import (
	"crypto/sha256"
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
	link   bool // its name is a symlink's
	stamp  stamp
	readAt time.Time // before the read
	sum    [sha256.Size]byte
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

// file reads one manifest file, unless it is what it was when it was last read. It is false for one that is not there.
func (d *Dir) file(root *os.Root, name string, was cached) (c cached, there bool) {
	c.readAt = time.Now()
	info, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return cached{}, false
	}
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		c.link = true
		if info, err = root.Stat(name); err != nil {
			err = fmt.Errorf("is a symlink that leads nowhere inside this directory (%w): put the file here", cause(err))
		}
	}
	// The first look keeps it from opening a device, which may act on being opened.
	if err == nil {
		c.stamp, err = usable(info)
	}
	if err != nil {
		return c.broken(name, err, was), true
	}
	if was.link == c.link && was.covers(c.stamp) {
		return was, true
	}
	var data []byte
	data, c.stamp, err = readRegular(root, name)
	if errors.Is(err, fs.ErrNotExist) && !c.link { // it vanished meanwhile
		return cached{}, false
	}
	if err != nil {
		return c.broken(name, err, was), true
	}
	if c.sum = sha256.Sum256(data); c.sum == was.sum {
		c.file = was.file
		return c, true
	}
	c.file.Containers, c.file.Errors = Parse(name, data, d.path)
	return c, true
}

// broken is c with an error in place of what it should hold: the same one as before, if it was so before.
func (c cached) broken(name string, err error, was cached) cached {
	c.stamp = stamp{} // to be looked at each time
	c.file = File{Errors: []error{&Error{File: name, Message: cause(err).Error()}}}
	if was.stamp == c.stamp && len(was.file.Errors) == 1 && was.file.Errors[0].Error() == c.file.Errors[0].Error() {
		c.file = was.file
	}
	return c
}

// readRegular reads a regular file that root alone can change, following symlinks inside the root only. O_NONBLOCK keeps a
// FIFO that took the file's place from being waited for, and it is looked at once more: what counts is what was opened.
func readRegular(root *os.Root, name string) (data []byte, s stamp, err error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, stamp{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, stamp{}, err
	}
	if s, err = usable(info); err != nil {
		return nil, stamp{}, err
	}
	data, err = io.ReadAll(io.LimitReader(f, MaxFile+1)) // Parse tells one that grew
	return data, s, err
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
