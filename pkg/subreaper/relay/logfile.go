package relay

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/logs/cri"
	"reconciler.dev/reconciler/pkg/subreaper"
	"reconciler.dev/reconciler/pkg/subreaper/internal/raw"
)

// logDir opens the directory of a container's logs, and makes what is missing. Below the directory of all logs no
// symlink is followed.
func (r *relay) logDir(name string) (int, error) {
	all, err := openDir(unix.AT_FDCWD, r.dirs.Logs, 0)
	if err != nil {
		return -1, err
	}
	defer func() { _ = unix.Close(all) }()
	return openDir(all, name, unix.O_NOFOLLOW)
}

func openDir(at int, path string, flags int) (int, error) {
	flags |= unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC
	fd, err := unix.Openat(at, path, flags, 0)
	if errors.Is(err, unix.ENOENT) {
		if err = unix.Mkdirat(at, path, 0o700); err == nil || errors.Is(err, unix.EEXIST) {
			fd, err = unix.Openat(at, path, flags, 0)
		}
	}
	if err != nil {
		return -1, fmt.Errorf("directory of logs %s: %w", path, err)
	}
	return fd, nil
}

// readyLog has the log open and of the size that is committed, and returns how much it holds. More may be there, which
// a batch in progress left; any other size is somebody else's doing, and the log goes on from there.
func (r *relay) readyLog(o *output) (size int64, err error) {
	if o.logFD >= 0 {
		var st unix.Stat_t
		if err := unix.Fstat(o.logFD, &st); err == nil && st.Nlink > 0 && r.fits(o, st.Size) {
			return st.Size, nil
		}
		_ = unix.Close(o.logFD) // removed, or changed
		o.logFD = -1
	}
	dir, err := r.logDir(o.name)
	if err != nil {
		return 0, err
	}
	defer func() { _ = unix.Close(dir) }()
	if o.logFD, err = open(dir, o.file().String(), unix.O_RDWR|unix.O_CREAT, unix.S_IFREG); err != nil {
		return 0, err
	}
	if size, err = sizeOf(o.logFD); err != nil || r.fits(o, size) {
		return size, err
	}
	if err := r.goOn(o, dir, size); err != nil {
		_ = unix.Close(o.logFD)
		o.logFD = -1
		return 0, err
	}
	return o.state.log, nil
}

// fits reports whether a log may be of that size.
func (r *relay) fits(o *output, size int64) bool {
	return size == o.state.log || size > o.state.log && size-o.state.log <= chunkSize && o.state.time != 0
}

// goOn makes the end of the log the place where it goes on.
func (r *relay) goOn(o *output, dir int, size int64) error {
	next := o.state
	next.log = size
	moved := cri.File{Attempt: o.attempt, Generation: int(o.state.generation)}
	var st unix.Stat_t
	if size == 0 && unix.Fstatat(dir, moved.String(), &st, unix.AT_SYMLINK_NOFOLLOW) == nil {
		next.generation++ // a rotation that was cut short between rename and commit
	} else {
		r.log("%s: its log has %d bytes and should have %d, somebody else changed it", o.label, size, o.state.log)
	}
	if size > 0 {
		var end [1]byte
		if _, err := unix.Pread(o.logFD, end[:], size-1); err != nil {
			return err
		}
		if end[0] != '\n' { // or the next line would be taken for a part of the torn one
			if err := writeAt(o.logFD, []byte{'\n'}, size); err != nil {
				return err
			}
			next.log++
		}
	}
	if o.gap { // what is committed first is the mark
		o.state = next
		return nil
	}
	return o.commit(next)
}

// rotate moves the log out of the way, for good, and begins a new one.
func (r *relay) rotate(o *output) error {
	dir, err := r.logDir(o.name)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(dir) }()
	files, _, err := list(dir)
	if err != nil {
		return err
	}
	next := o.state
	for _, f := range files { // more than the state knows of, if that was ever lost
		if f.Attempt == o.attempt {
			next.generation = max(next.generation, int64(f.Generation)+1)
		}
	}
	moved := cri.File{Attempt: o.attempt, Generation: int(next.generation)}
	if err := unix.Renameat(dir, o.file().String(), dir, moved.String()); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("move its log out of the way: %w", err)
	}
	_ = unix.Close(o.logFD)
	o.logFD = -1
	next.generation, next.log = next.generation+1, 0
	if err := o.commit(next); err != nil {
		return err
	}
	o.prune(r, dir)
	return nil
}

// prune keeps the logs of the container within its bound. Where that fails it is tried again at the next rotation.
func (o *output) prune(r *relay, dir int) {
	if err := prune(dir, o.file(), o.bound); err != nil {
		r.log("logs of %s: %v", o.name, err)
	}
}

// prune removes the oldest files of a container's logs, over all its attempts, until there is room for another file of
// full size. The last file of each of the last two attempts stays: what is written now, and how the previous one ended.
func prune(dir int, written cri.File, bound subreaper.Output) error {
	files, sizes, err := list(dir)
	if err != nil {
		return err
	}
	if _, there := sizes[written]; !there { // just moved out of the way
		files = append(files, written)
	}
	slices.SortFunc(files, cri.Compare)
	total := int64(0)
	for i, f := range files {
		if i < len(files)-1 {
			total += sizes[f]
		}
	}
	for i, f := range files {
		if total <= bound.MaxSize*int64(bound.MaxFiles-1) {
			return nil
		}
		if lastOfAttempt := i == len(files)-1 || files[i+1].Attempt != f.Attempt; lastOfAttempt && attemptsFrom(files[i:]) <= 2 {
			continue
		}
		if err := unix.Unlinkat(dir, f.String(), 0); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("remove the old log %v: %w", f, err)
		}
		total -= sizes[f]
	}
	return nil
}

// list returns the logs of a directory and their sizes.
func list(dir int) ([]cri.File, map[cri.File]int64, error) {
	var files []cri.File
	sizes := map[cri.File]int64{}
	for name, err := range raw.NamesOf(dir) {
		if err != nil {
			return nil, nil, err
		}
		f, ok := cri.ParseName(name)
		if !ok {
			continue
		}
		var st unix.Stat_t
		if unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
			files = append(files, f)
			sizes[f] = st.Size
		}
	}
	return files, sizes, nil
}

// attemptsFrom counts the attempts that ordered files are of.
func attemptsFrom(files []cri.File) (n int) {
	for i, f := range files {
		if i == 0 || f.Attempt != files[i-1].Attempt {
			n++
		}
	}
	return n
}
