package relay

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/subreaper"
)

// Dirs are the places a relay works in, absolute paths.
type Dirs struct {
	Run   subreaper.RunDir
	State string // for the lock: it is not wiped with the run directory
	Logs  string
}

// relay is the one that runs. Everything in it belongs to one goroutine.
type relay struct {
	dirs    Dirs
	epoll   int
	inotify int

	outputs map[string]*output // by instance id
	byFD    map[int]*stream    // by FIFO
	ready   []*output          // to be passed now
	waiting []*output          // until their time

	scanDue bool          // look which outputs there are
	scanAt  time.Duration // and at this time in any case; 0 for never
	lookDue bool          // look at the end of every instance

	untidy int // outputs that began or ended since memory was given back

	window   []byte      // what is read from a journal
	chunk    chunk       // what is written to a log
	prefixes prefixCache // of the present batch
	now      func() int64
	failures map[string]string // by object: the last complaint about it, until it goes well
	events   [64]unix.EpollEvent
}

// Run is the program: it carries output until it is killed, and returns only what kept it from beginning. A relay that
// runs already in the same state directory is killed first.
func Run(dirs Dirs) error {
	for _, dir := range []string{string(dirs.Run), dirs.State, dirs.Logs} {
		if !filepath.IsAbs(dir) {
			return fmt.Errorf("relay: %q is not an absolute path", dir)
		}
	}
	runtime.GOMAXPROCS(1) // one thread works; more of them cost memory
	debug.SetGCPercent(10)
	lock, err := takeLock(dirs.State)
	if err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	defer func() { _ = unix.Close(lock) }()
	r, err := newRelay(dirs)
	if err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	defer r.close()
	for {
		if err := r.step(true); err != nil {
			return fmt.Errorf("relay: %w", err)
		}
	}
}

func newRelay(dirs Dirs) (*relay, error) {
	r := &relay{
		dirs: dirs, epoll: -1, inotify: -1,
		outputs: map[string]*output{}, byFD: map[int]*stream{},
		scanDue: true,
		window:  make([]byte, windowSize), chunk: chunk{bytes: make([]byte, 0, chunkSize)},
		now:      func() int64 { return time.Now().UnixNano() },
		failures: map[string]string{},
	}
	var err error
	if r.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	if r.inotify, err = unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err != nil {
		r.close()
		return nil, fmt.Errorf("inotify: %w", err)
	}
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(r.inotify)}
	if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, r.inotify, &e); err != nil {
		r.close()
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return r, nil
}

func (r *relay) close() {
	for _, o := range r.outputs {
		o.close()
	}
	for _, fd := range []int{r.inotify, r.epoll} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

// prefixCache makes the prefixes of a batch once.
type prefixCache struct {
	time int64
	of   prefixes
}

func (c *prefixCache) at(nanoseconds int64) *prefixes {
	if c.time != nanoseconds {
		c.time = nanoseconds
		c.of.set(nanoseconds)
	}
	return &c.of
}

// complain logs a failure of an object once, until another one or none follows.
func (r *relay) complain(object string, err error) {
	if r.failures[object] != err.Error() {
		r.failures[object] = err.Error()
		r.log("%s: %v", object, err)
	}
}

// line is what log writes from; only one goroutine logs.
var line [1 << 10]byte

// log writes one line to stderr.
func (r *relay) log(format string, v ...any) {
	b := time.Now().UTC().AppendFormat(line[:0], "2006-01-02T15:04:05.000Z")
	b = fmt.Appendf(b, " relay[%d] ", os.Getpid())
	b = fmt.Appendf(b, format, v...)
	_, _ = os.Stderr.Write(append(b, '\n'))
}
