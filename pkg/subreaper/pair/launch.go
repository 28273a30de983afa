package pair

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/subreaper"
)

// launch is one command of a client's, running as my child.
type launch struct {
	id       string
	pidFile  string
	command  int           // pid of the runtime, not of the container; my child, so it is its own until I reap it
	fd       int           // its pidfd
	deadline time.Duration // on now's clock
	killed   bool          // the deadline was over
	exited   bool          // with status 0: its pid file waits to be believed
	waiters  []*conn
}

// spent is what a .launching file holds, for whoever inherits the command. It is complete before the fork, so there is
// no moment at which a command runs and nobody could know its time limit; hence no pid in it.
type spent struct {
	Args     []string      `json:"args"`
	BootID   string        `json:"bootID"`
	Deadline time.Duration `json:"deadline"` // nanoseconds of CLOCK_MONOTONIC
}

// adoptionPause is how often a new container's parent is looked at while it is not yet me: crun returns up to 4 ms
// before its init falls to the subreaper.
const adoptionPause = time.Millisecond

func (l *launch) wakeAt() time.Duration {
	switch {
	case l.exited:
		return now() + adoptionPause
	case l.killed:
		return 0 // its death will wake us
	}
	return l.deadline
}

// inherited reports whether somebody else began the launch; only its end is waited for.
func (l *launch) inherited() bool { return l.pidFile == "" }

// launch answers a request: from what is committed, by joining the command in flight, or by starting it.
func (r *routine) launch(c *conn, q subreaper.Launch) {
	if err := checkLaunch(q); err != nil {
		r.refuse(c, err)
		return
	}
	if l := r.launches[q.ID]; l != nil {
		l.waiters = append(l.waiters, c)
		return
	}
	in, err := subreaper.ReadInstance(r.run, q.ID)
	switch {
	case err == nil:
		r.reply(c, subreaper.Reply{Instance: &in})
		return
	case !errors.Is(err, fs.ErrNotExist):
		r.refuse(c, err)
		return
	}
	if q.Again {
		r.reply(c, subreaper.Reply{Lost: true})
		return
	}
	l, err := r.start(q)
	switch {
	case errors.Is(err, fs.ErrExist):
		r.reply(c, subreaper.Reply{Lost: true})
	case err != nil:
		r.refuse(c, err)
	default:
		l.waiters = append(l.waiters, c)
	}
}

func checkLaunch(q subreaper.Launch) error {
	if !subreaper.ValidID(q.ID) {
		return fmt.Errorf("instance id %q is not valid", q.ID)
	}
	const longest = time.Hour // an upgrade waits for launches in flight
	if len(q.Args) == 0 || q.Timeout <= 0 || q.Timeout > longest {
		return fmt.Errorf("launch %s needs a command and a time limit of at most %v", q.ID, longest)
	}
	for _, path := range []string{q.Args[0], q.Dir, q.PIDFile, q.Stdout, q.Stderr} {
		if !filepath.IsAbs(path) || strings.ContainsRune(path, 0) {
			return fmt.Errorf("launch %s: %q is not an absolute path", q.ID, path)
		}
	}
	return nil
}

// start spends the id and forks the command. The .launching file comes first: of two requests for one id, across any
// number of crashes, one gets this far. The error is fs.ErrExist if the id is spent.
func (r *routine) start(q subreaper.Launch) (*launch, error) {
	l := &launch{id: q.ID, pidFile: q.PIDFile, deadline: now() + q.Timeout, fd: -1}
	if err := r.spend(l, q.Args); err != nil {
		return nil, err
	}
	if err := removed(q.PIDFile); err != nil {
		return nil, err
	}
	stdout, err := openLog(q.Stdout)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(stdout) }()
	stderr, err := openLog(q.Stderr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(stderr) }()
	l.command, err = syscall.ForkExec(q.Args[0], q.Args, &syscall.ProcAttr{
		Dir:   q.Dir,
		Env:   q.Env,
		Files: []uintptr{uintptr(r.null), uintptr(stdout), uintptr(stderr)},
		// A group of its own, so that the time limit ends the helpers of a wrapper too.
		Sys: &syscall.SysProcAttr{Setpgid: true, PidFD: &l.fd},
	})
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", q.Args[0], err)
	}
	r.launches[q.ID] = l
	if err := r.pollLaunch(l); err != nil {
		r.log("watch the command of launch %s, SIGCHLD must do: %v", q.ID, err)
	}
	return l, nil
}

// spend makes the .launching file.
func (r *routine) spend(l *launch, argv []string) error {
	b, err := json.Marshal(spent{Args: argv, BootID: r.bootID, Deadline: l.deadline})
	if err != nil {
		return err
	}
	return writeNew(r.run.Launching(l.id), b)
}

func (r *routine) pollLaunch(l *launch) (err error) {
	if l.fd < 0 { // before Linux 5.2, or inherited
		if l.fd, err = unix.PidfdOpen(l.command, 0); err != nil {
			return err
		}
	}
	return r.poll(l.fd, unix.EPOLLIN|unix.EPOLLET)
}

// openLog opens a file for a container's output. It must be a regular one: opening a FIFO would block, and with it
// everything else here.
func openLog(path string) (fd int, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return -1, err
	}
	const flags = unix.O_WRONLY | unix.O_APPEND | unix.O_CREAT | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, err = unix.Open(path, flags, 0o600)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	var s unix.Stat_t
	if err = unix.Fstat(fd, &s); err == nil && s.Mode&unix.S_IFMT != unix.S_IFREG {
		err = &os.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")}
	}
	if err == nil {
		err = unix.SetNonblock(fd, false) // the container would inherit it
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
