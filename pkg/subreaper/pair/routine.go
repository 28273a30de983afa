package pair

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/subreaper"
)

// routine is one guard or reaper. Everything in it belongs to the main thread.
type routine struct {
	args
	pid    int
	bootID string

	epoll     int
	signals   *signals
	guardFD   int // reaper: pidfd of its guard, else -1
	reaperPID int // guard: 0 while there is none
	reaperFD  int
	reaperAt  time.Duration // when it was started

	watches  map[string]*watch // by instance id
	byFD     map[int]*watch
	launches map[string]*launch // by instance id
	conns    map[int]*conn

	// What the next pass has to look at; see doc.go.
	childrenDue, scanDue, heirDue, acceptDue bool
	blind                                    bool // the last scan may have overlooked an instance
	upgradeDue, guardDied, ending            bool

	lookAt time.Duration   // when everything is due again; 0 for never
	seenAt time.Duration   // when the directories were last scanned
	untidy int             // wake-ups since memory was given back
	null   int             // /dev/null
	build  string          // of this image
	tells  bool            // this kernel is known to tell exits after the reap
	logs   bool            // stderr was the log in the run directory
	logged map[string]bool // complaints already made about one object
}

// Run is the program. It returns the exit status; the caller must have locked the main goroutine to its thread.
func Run(argv []string) int {
	a, err := parseArgs(argv)
	if err != nil {
		fmt.Fprintln(os.Stderr, "reconciler-subreaper:", err)
		return 2
	}
	r, err := newRoutine(a)
	if errors.Is(err, errLocked) {
		fmt.Fprintln(os.Stderr, "reconciler-subreaper:", err)
		return subreaper.ExitLocked
	}
	if err == nil {
		err = r.loop()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "reconciler-subreaper %s %d: %v\n", a.role, os.Getpid(), err)
		return 1
	}
	return 0
}

// newRoutine prepares what both roles need, in an order that matters: subreaper before anything can fall to us,
// signals before the first look at children.
func newRoutine(a args) (*routine, error) {
	runtime.GOMAXPROCS(1) // one thread works; more of them cost memory
	debug.SetGCPercent(10)
	r := &routine{
		args: a, pid: os.Getpid(), guardFD: -1, reaperFD: -1,
		watches: map[string]*watch{}, byFD: map[int]*watch{}, launches: map[string]*launch{}, conns: map[int]*conn{},
		childrenDue: true, scanDue: true, heirDue: true, acceptDue: true,
		logged: map[string]bool{}, untidy: 1,
	}
	r.logs = r.logsThere()
	// For ps and pgrep: after an execve of /proc/self/exe it would be "exe".
	_ = os.WriteFile("/proc/self/comm", []byte(filepath.Base(a.program)), 0)
	unix.Umask(0o022) // for what a runtime makes in a root filesystem; we ourselves name every mode
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become subreaper: %w", err)
	}
	var err error
	if r.signals, err = catchSignals(); err != nil {
		return nil, err
	}
	if r.bootID, err = subreaper.BootID(); err != nil {
		return nil, err
	}
	if r.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	if err := r.poll(r.signals.fd, unix.EPOLLIN); err != nil {
		return nil, err
	}
	for _, fd := range []*int{&r.inotify, &r.spare} {
		if *fd < 0 {
			if *fd, err = newInotify(); err != nil {
				return nil, err
			}
		}
	}
	if err := r.poll(r.inotify, unix.EPOLLIN); err != nil {
		return nil, err
	}
	if err := r.takeRole(); err != nil {
		return nil, err
	}
	r.learn()
	return r, nil
}

// newInotify makes what one of the two listens to. The last close of it waits until the kernel has destroyed its marks,
// 10 to 17 ms, and a process that is killed closes its files before anybody is told of its death. So each holds the
// other's as well, over every execve, and no death of one of them is the last close.
func newInotify() (int, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return -1, fmt.Errorf("inotify: %w", err)
	}
	return fd, nil
}

// poll adds a descriptor to the epoll set.
func (r *routine) poll(fd int, events uint32) error {
	e := unix.EpollEvent{Events: events, Fd: int32(fd)}
	if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &e); err != nil {
		return fmt.Errorf("epoll add %d: %w", fd, err)
	}
	return nil
}
