package runc

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Container is a container id and the runtime to ask about it; that there is such a container is not implied. It is safe
// for concurrent use as far as the runtime is.
type Container struct {
	r    *Runtime
	id   string
	wait chan struct{} // holds one token, for whoever looks at exit and settled
	exit *ExitStatus   // of init, which can be asked for once only
	init Process       // zero until known

	settled  bool // nothing is left of it to wait for
	ownsPIDs bool // known to have a pid namespace of its own
	streams       // of init
	execs    *execs
}

// DeleteOptions says how a container is deleted.
type DeleteOptions struct {
	Force bool // kill one that is not stopped; one that does not exist is no error. 105 ms for a live one, with runc.
}

// Container returns the container of this id, or ErrInvalidID.
func (r *Runtime) Container(id string) (*Container, error) {
	if err := ValidateID(id); err != nil {
		return nil, err
	}
	return &Container{r: r, id: id, wait: make(chan struct{}, 1), execs: &execs{}}, nil
}

// ID returns the container's id.
func (c *Container) ID() string { return c.id }

// Start lets init run the user's program, and its streams be relayed. A failure changes nothing: the container may well be
// alive.
// Errors: ErrNotExist, ErrAlreadyRunning, ErrNotRunning for one that has stopped.
func (c *Container) Start(ctx context.Context) error {
	if _, err := c.r.call(ctx, "start", c.id, c.id); err != nil {
		return err
	}
	if _, err := os.Lstat(c.fifo()); err == nil {
		return c.noEffect("start", "its init still waits")
	}
	if r := c.relay(); r != nil {
		r.Start()
	}
	return nil
}

// Kill sends a signal to init. Errors: ErrInvalidSignal, ErrNotExist, ErrNotRunning. A paused container's init gets it
// when it is resumed, SIGKILL included with crun on cgroup v1; runc resumes it for SIGKILL.
func (c *Container) Kill(ctx context.Context, sig syscall.Signal) error {
	if err := validateSignal(sig); err != nil {
		return err
	}
	_, err := c.r.call(ctx, "kill", c.id, c.id, strconv.Itoa(int(sig)))
	return err
}

// KillAll sends a signal to every process of the container, also after its init has ended, which matters to one without a
// pid namespace of its own. To a stopped container without processes it is no error. A paused one is resumed by it, but for
// runc 1.5.2, which does so for SIGKILL only.
func (c *Container) KillAll(ctx context.Context, sig syscall.Signal) error {
	if err := validateSignal(sig); err != nil {
		return err
	}
	_, err := c.r.call(ctx, "kill", c.id, "--all", c.id, strconv.Itoa(int(sig)))
	return err
}

// Delete removes what the runtime keeps of a container, its cgroup too. A created one is killed first, a stopped one's
// left-over processes as well. Errors: ErrNotExist, ErrNotStopped.
func (c *Container) Delete(ctx context.Context, o DeleteOptions) error {
	args := []string{c.id}
	if o.Force {
		args = []string{"--force", c.id}
	}
	_, err := c.r.call(ctx, "delete", c.id, args...)
	if !errors.Is(err, ErrNotStopped) && c.r.has(c.id) && c.r.detachBinary(c.id) {
		_, err = c.r.call(ctx, "delete", c.id, args...)
	}
	if err != nil {
		return err
	}
	if c.r.has(c.id) {
		return c.noEffect("delete", "its directory is still there")
	}
	return c.r.forget(c.id)
}

// State asks the runtime. The error is ErrNotExist also for a directory without a state file: see Damaged.
func (c *Container) State(ctx context.Context) (State, error) { return c.r.state(ctx, c.id) }

// Exists reports whether the runtime knows the container, whatever its state. On an error that is not known.
func (c *Container) Exists(ctx context.Context) (bool, error) {
	_, err := c.State(ctx)
	if errors.Is(err, ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Init returns the container's first process: as recorded by Create, dead or not, else as the runtime tells it.
// Errors: ErrNotExist, ErrNotRunning.
func (c *Container) Init(ctx context.Context) (Process, error) {
	p, err := c.r.readInit(c.id)
	if !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	s, err := c.State(ctx)
	if err != nil {
		return Process{}, err
	}
	if s.PID != 0 {
		if p, err = identify(s.PID); !vanished(err) {
			return p, err
		}
	}
	return Process{}, c.r.command("state", c.id, "").error("", ErrNotRunning)
}

// PID returns the pid of Init.
func (c *Container) PID(ctx context.Context) (int, error) {
	p, err := c.Init(ctx)
	return p.PID, err
}

func (c *Container) noEffect(verb, what string) error {
	return c.r.command(verb, c.id, "").error(what, ErrNoEffect)
}

// detachBinary undoes a mount that keeps the container's directory from being removed: runc 1.1.5 binds its own binary
// to a file runc.XXXXXX there for a moment of create, and leaves it when killed in that moment.
func (r *Runtime) detachBinary(id string) (detached bool) {
	dir := filepath.Join(r.root, id)
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "runc.") &&
			unix.Unmount(filepath.Join(dir, e.Name()), unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW) == nil {
			detached = true
		}
	}
	return detached
}
