package relay

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/logs/cri"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// output is what one instance writes, and where it goes.
type output struct {
	id      string
	label   string // in messages
	name    string // of its directory below that of all logs
	attempt int
	bound   subreaper.Output

	streams [2]stream
	stateFD int
	logFD   int // -1 while it is not open
	state   state
	encoded [stateSize]byte // what commit writes from

	gap      bool // the state was lost: nothing is committed until the log tells that
	ending   bool // init is dead: what is in the FIFOs is all there will be
	place    place
	wakeAt   time.Duration // waiting: when it is looked at again
	interval time.Duration // of looking while it writes little at a time
}

// stream is one FIFO and its journal.
type stream struct {
	of      *output
	fifo    int
	journal int
	size    int64 // of the journal: what was taken so far
	freed   int64 // what of that is no longer on the disk
	left    int64 // ending: what may still be taken
	armed   bool  // epoll will tell when there is something to read
}

// place is the list of the relay that an output is in.
type place int

const (
	quiet   place = iota // none: epoll will tell
	ready                // to be passed now
	waiting              // until wakeAt
)

// defaultBound holds where the file that tells it is damaged.
var defaultBound = subreaper.Output{MaxSize: 10 << 20, MaxFiles: 3}

// parseID takes apart an instance's id, <name>.<attempt>: names have no dot.
func parseID(id string) (name string, attempt int, ok bool) {
	name, number, _ := strings.Cut(id, ".")
	attempt, err := strconv.Atoi(number)
	return name, attempt, err == nil && attempt > 0 && subreaper.ValidID(id) && name+"."+strconv.Itoa(attempt) == id
}

func (o *output) file() cri.File { return cri.File{Attempt: o.attempt} }

// errOver is an output that was complete before: only its files are left.
var errOver = errors.New("output is over")

// openOutput opens all that an output needs but its log. Whatever is missing of the relay's own is made.
func openOutput(run subreaper.RunDir, id string) (*output, error) {
	name, attempt, ok := parseID(id)
	if !ok {
		return nil, fmt.Errorf("%q is no id of an instance", id)
	}
	o := &output{id: id, label: "output of " + id, name: name, attempt: attempt, bound: defaultBound, stateFD: -1, logFD: -1}
	for i := range o.streams {
		o.streams[i] = stream{of: o, fifo: -1, journal: -1}
	}
	if err := o.open(run); err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

func (o *output) open(run subreaper.RunDir) (err error) {
	for i, path := range []string{run.Stdout(o.id), run.Stderr(o.id)} {
		s := &o.streams[i]
		if s.fifo, err = openFIFO(path); err != nil {
			return err
		}
		if s.journal, err = openOwn(path + journalSuffix); err != nil {
			return err
		}
		if s.size, err = sizeOf(s.journal); err != nil {
			return err
		}
	}
	o.stateFD, err = openOwn(statePath(run, o.id))
	return err
}

const journalSuffix = ".journal"

func statePath(run subreaper.RunDir, id string) string {
	return strings.TrimSuffix(run.Output(id), ".json") + ".state"
}

// openFIFO opens a FIFO so that it always has a writer, this process, and never ends. One that is missing was removed
// by a relay that had taken all of it: its maker makes what tells of it last.
func openFIFO(path string) (int, error) {
	fd, err := open(unix.AT_FDCWD, path, unix.O_RDWR|unix.O_NONBLOCK, unix.S_IFIFO)
	if errors.Is(err, fs.ErrNotExist) {
		return -1, errOver
	}
	return fd, err
}

// openOwn opens a file of the relay's own.
func openOwn(path string) (int, error) {
	return open(unix.AT_FDCWD, path, unix.O_RDWR|unix.O_CREAT, unix.S_IFREG)
}

// open opens a file of the expected type and of no other: a symlink is not followed, and nothing is waited for.
func open(dir int, path string, flags int, kind uint32) (int, error) {
	fd, err := unix.Openat(dir, path, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
	for errors.Is(err, unix.EINTR) {
		fd, err = unix.Openat(dir, path, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
	}
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != kind {
		_ = unix.Close(fd)
		return -1, &fs.PathError{Op: "open", Path: path, Err: errors.New("not a file of the expected type")}
	}
	return fd, nil
}

func sizeOf(fd int) (int64, error) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	return st.Size, err
}

// close gives back the descriptors.
func (o *output) close() {
	fds := []*int{&o.stateFD, &o.logFD}
	for i := range o.streams {
		fds = append(fds, &o.streams[i].fifo, &o.streams[i].journal)
	}
	for _, fd := range fds {
		if *fd >= 0 {
			_ = unix.Close(*fd)
			*fd = -1
		}
	}
}

// remove removes what is left of an output that is complete, last of all what tells of it.
func remove(run subreaper.RunDir, id string) error {
	for _, path := range []string{
		run.Stdout(id), run.Stderr(id), run.Stdout(id) + journalSuffix, run.Stderr(id) + journalSuffix,
		statePath(run, id), run.Output(id),
	} {
		if err := unix.Unlink(path); err != nil && !errors.Is(err, unix.ENOENT) {
			return &fs.PathError{Op: "unlink", Path: path, Err: err}
		}
	}
	return nil
}
