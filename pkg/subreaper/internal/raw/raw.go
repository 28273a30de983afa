// Package raw reads files and directories with nothing but system calls. Package os makes a dozen objects of as many
// sizes for each file, and the Go heap keeps some 20 KiB of bookkeeping for every size ever used: in a process that
// shall stay below 1.5 MiB that is what most of it goes to.
package raw

import (
	"errors"
	"iter"
	"os"

	"golang.org/x/sys/unix"
)

// ReadFile reads at most len(buf) bytes of a file into buf and returns them. A symlink in the last place is refused,
// and a FIFO does not block.
func ReadFile(path string, buf []byte) ([]byte, error) {
	fd, err := open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	n := 0
	for n < len(buf) {
		k, err := unix.Read(fd, buf[n:])
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil, &os.PathError{Op: "read", Path: path, Err: err}
		case k == 0:
			return buf[:n], nil
		default:
			n += k
		}
	}
	return buf[:n], nil
}

// Names yields the names in a directory, without "." and "..", in no order; an error comes last.
func Names(dir string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		fd, err := open(dir, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			yield("", err)
			return
		}
		defer func() { _ = unix.Close(fd) }()
		NamesOf(fd)(func(name string, err error) bool {
			if err != nil {
				err = &os.PathError{Op: "getdents", Path: dir, Err: err}
			}
			return yield(name, err)
		})
	}
}

// NamesOf is Names of a directory that is open, from its start.
func NamesOf(fd int) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if _, err := unix.Seek(fd, 0, unix.SEEK_SET); err != nil {
			yield("", err)
			return
		}
		var buf [4096]byte
		for {
			n, err := unix.ReadDirent(fd, buf[:])
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil {
				yield("", err)
				return
			}
			if n <= 0 || !yieldNames(buf[:n], yield) {
				return
			}
		}
	}
}

// yieldNames takes apart what getdents64(2) returned.
func yieldNames(b []byte, yield func(string, error) bool) (more bool) {
	const length, name = 16, 19 // offsets of d_reclen and d_name
	for len(b) > name {
		size := int(b[length]) | int(b[length+1])<<8
		entry := unix.ByteSliceToString(b[name:size])
		b = b[size:]
		if entry != "." && entry != ".." && !yield(entry, nil) {
			return false
		}
	}
	return true
}

// Exists reports whether there is anything at path, be it a dangling symlink. What cannot be told is taken as no.
func Exists(path string) bool {
	var s unix.Stat_t
	return unix.Lstat(path, &s) == nil
}

// Gone reports that there is nothing at path. What cannot be told is taken as no.
func Gone(path string) bool {
	var s unix.Stat_t
	return errors.Is(unix.Lstat(path, &s), unix.ENOENT)
}

func open(path string, flags int) (int, error) {
	for {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return -1, &os.PathError{Op: "open", Path: path, Err: err}
		}
		return fd, nil
	}
}
