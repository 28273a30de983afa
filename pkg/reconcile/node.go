package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/bundle"
	"reconciler.dev/reconciler/pkg/cgroup"
	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/runc"
	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// Node carries out effects on this machine: with an OCI runtime, the subreaper pair, pidfds and cgroups.
type Node struct {
	Runtime     *runc.Runtime
	RuntimeRoot string // the runtime's own directory
	Pair        *subreaper.Client
	Cgroups     *cgroup.Parent
	Run         subreaper.RunDir
	Bundles     string // <run>/bundles: the derived bundle of each instance
	Logs        string
	Cleaned     func(instance string) // told last, when nothing is left
}

var _ Effects = (*Node)(nil)

const (
	launchTimeout = time.Minute      // of one create, the runtime's hooks included
	pairTimeout   = 10 * time.Second // for a pair that heals to answer
	cleanTimeout  = 20 * time.Second
)

// Expect hides the slow part of entering a cgroup behind the commit of the intent.
func (n *Node) Expect() { go cgroup.Warm() }

// Launch makes the derived bundle and has the reaper run the runtime's create on it.
func (n *Node) Launch(ctx context.Context, d *store.Desired, attempt *store.Attempt, again bool) error {
	id := attempt.Instance
	command, err := n.prepare(d, attempt)
	if err != nil {
		return &NotLaunched{err}
	}
	log := filepath.Join(n.Logs, d.Container.Name, strconv.Itoa(attempt.Number)+".log")
	ctx, cancel := context.WithTimeout(ctx, launchTimeout+pairTimeout)
	defer cancel()
	_, err = n.Pair.Launch(ctx, subreaper.Launch{
		ID: id, Args: command.Args, Env: command.Env, Dir: command.Dir, PIDFile: command.PIDFile,
		Stdout: log, Stderr: log, Timeout: launchTimeout, Again: again,
	})
	if failed, ok := errors.AsType[*subreaper.LaunchError](err); ok {
		if failed.TimedOut || failed.Status == 0 {
			return &NotLaunched{failed}
		}
		return &NotLaunched{command.Err(failed.Status)}
	}
	if errors.Is(err, subreaper.ErrLost) {
		return &NotLaunched{err}
	}
	return err
}

// prepare writes the derived bundle and returns the command that creates the instance from it.
func (n *Node) prepare(d *store.Desired, attempt *store.Attempt) (*runc.Command, error) {
	id := attempt.Instance
	source, err := filepath.EvalSymlinks(d.Container.Spec.Bundle) // runc refuses a root file system below a symlink
	if err != nil {
		return nil, err
	}
	// Runtimes join a cgroup that is not empty, and crun's delete then kills who was there before.
	if _, err := os.Lstat(n.Run.Launching(id)); errors.Is(err, fs.ErrNotExist) {
		if pids, err := n.Cgroups.Processes(id); err != nil || len(pids) > 0 {
			return nil, errors.Join(err, fmt.Errorf("cgroup %s must be empty and holds processes %v", n.Cgroups.Path(id), pids))
		}
	}
	derived, facts, _, err := derive(d.Container, d.Config, bundle.Params{
		Bundle: source, Instance: id, CgroupPath: n.Cgroups.Path(id), Annotations: origin(d, attempt),
	})
	if err != nil {
		return nil, err
	}
	if err := runc.EnsureCwd(facts.Root, facts.Cwd); err != nil {
		return nil, err
	}
	dir := filepath.Join(n.Bundles, id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	// A launch that is asked for again may have its runtime reading this file.
	config := filepath.Join(dir, "config.json")
	if err := os.WriteFile(config+".new", derived, 0o600); err != nil {
		return nil, err
	}
	if err := os.Rename(config+".new", config); err != nil {
		return nil, err
	}
	return n.Runtime.CreateCommand(id, dir, runc.CreateOptions{
		PIDFile: filepath.Join(dir, "init.pid"), Log: filepath.Join(dir, "create.log"),
	})
}

// Start runs the runtime's start, or ends one that was killed. What is running has been started, and what has ended
// meanwhile will be seen dead.
func (n *Node) Start(ctx context.Context, instance string) error {
	start := func(c *runc.Container, ctx context.Context) error {
		in, err := subreaper.ReadInstance(n.Run, instance)
		if err == nil {
			err = c.FinishStart(in.Process.PID)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return c.Start(ctx)
	}
	return n.call(ctx, instance, start, runc.ErrAlreadyRunning, runc.ErrNotRunning)
}

// Signal sends by a pidfd that was verified against p's start time. SIGKILL reaches a container that somebody froze only
// once it is thawed.
func (n *Node) Signal(instance string, p subreaper.Process, signal string) error {
	number, err := desired.ParseSignal(signal)
	if err != nil {
		return err
	}
	err = p.Signal(number)
	if errors.Is(err, subreaper.ErrGone) {
		return nil
	}
	if err == nil && number == unix.SIGKILL {
		n.Cgroups.Thaw(instance)
	}
	return err
}

// Pause freezes the instance; one that is frozen or gone is no error.
func (n *Node) Pause(ctx context.Context, instance string) error {
	return n.call(ctx, instance, (*runc.Container).Pause, runc.ErrPaused, runc.ErrNotRunning, runc.ErrNotExist)
}

// Resume thaws the instance, also one that was frozen past the runtime, or whose state the runtime cannot read; one that
// is thawed or gone is no error. One that stays frozen, since a cgroup above it is, is an error: what follows is a retry
// with its pause, and not another look at once.
func (n *Node) Resume(ctx context.Context, instance string) error {
	err := n.call(ctx, instance, (*runc.Container).Resume, runc.ErrNotPaused, runc.ErrNotExist)
	n.Cgroups.Thaw(instance)
	frozen, lookErr := n.Cgroups.Frozen(instance)
	switch {
	case lookErr != nil:
		return errors.Join(err, lookErr)
	case !frozen:
		return nil
	}
	return errors.Join(err, fmt.Errorf("cgroup %s stays frozen: one above it may be", n.Cgroups.Path(instance)))
}

// call has the runtime act on a container, but for errors that say that there is nothing to do.
func (n *Node) call(ctx context.Context, instance string, do func(*runc.Container, context.Context) error, fine ...error) error {
	c, err := n.Runtime.Container(instance)
	if err != nil {
		return err
	}
	err = do(c, ctx)
	if slices.ContainsFunc(fine, func(e error) bool { return errors.Is(err, e) }) {
		return nil
	}
	return err
}

// Clean is the one way in which anything of an instance goes, whatever state it is in: its processes by their cgroup,
// then what the runtime knows, then the cgroup that no runtime removes, then our files. The instance file goes before the
// exit file, else an heir of the pair would record the exit again; both only once the init is reaped.
func (n *Node) Clean(ctx context.Context, instance string) error {
	ctx, cancel := context.WithTimeout(ctx, cleanTimeout)
	defer cancel()
	if err := n.Cgroups.Kill(ctx, instance); err != nil {
		return err
	}
	if err := n.awaitReaped(ctx, instance); err != nil {
		return err
	}
	c, err := n.Runtime.Container(instance)
	if err != nil {
		return err
	}
	if err := n.delete(ctx, c); err != nil {
		return err
	}
	if err := n.Cgroups.Remove(instance); err != nil {
		return err
	}
	paths := []string{
		filepath.Join(n.Bundles, instance), n.Run.Instance(instance), n.Run.Launching(instance), n.Run.Exit(instance),
	}
	for _, path := range paths {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	n.Cleaned(instance)
	return nil
}

// Spared says why what belongs to no container on record is not to be pruned: it may be another's in a cgroup of the same
// parent, or ours, of a container that was wanted by a store that is lost.
func (n *Node) Spared(id string) string {
	places := []string{filepath.Join(n.RuntimeRoot, id), filepath.Join(n.Bundles, id), n.Run.Instance(id), n.Run.Launching(id), n.Run.Exit(id)}
	if !slices.ContainsFunc(places, func(path string) bool { _, err := os.Lstat(path); return err == nil }) {
		return "it is left alone: all that there is of it is a cgroup"
	}
	if origin, err := n.Origin(id); err != nil || origin != nil {
		return "it is left alone: it was made by a reconciler; want its name and then delete it"
	}
	return ""
}

// Prune ends and removes what is nobody's, wherever its cgroup is.
func (n *Node) Prune(ctx context.Context, id string) error {
	if c, err := n.Runtime.Container(id); err == nil { // else it is no name that a runtime takes
		err := c.Delete(ctx, runc.DeleteOptions{Force: true})
		if err != nil && !errors.Is(err, runc.ErrNotExist) {
			return err
		}
	}
	return n.Clean(ctx, id)
}

// delete has the runtime forget a container of which nothing lives. A state file cut short keeps runc from deleting what
// it is about, forced or not: then the runtime's directory is removed in its place.
func (n *Node) delete(ctx context.Context, c *runc.Container) error {
	err := c.Delete(ctx, runc.DeleteOptions{})
	if err == nil || errors.Is(err, runc.ErrNotExist) {
		return nil
	}
	_, stateErr := c.State(ctx)
	if answer, ok := errors.AsType[*runc.Error](stateErr); !ok || answer.ExitStatus == (runc.ExitStatus{}) {
		return err // it is no damaged state, or the runtime does not answer at all
	}
	return os.RemoveAll(filepath.Join(n.RuntimeRoot, c.ID()))
}

// awaitReaped waits until the instance's init, if its launch committed, is reaped.
func (n *Node) awaitReaped(ctx context.Context, instance string) error {
	in, err := subreaper.ReadInstance(n.Run, instance)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, subreaper.ErrDamaged) {
		return nil // nothing is known to wait for; its cgroup is empty
	}
	if err != nil {
		return err
	}
	fd, err := in.Process.Open()
	if errors.Is(err, subreaper.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		seen, err := subreaper.Witness(fd, in.Process)
		if err != nil || seen.Life == subreaper.Reaped {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("init %d of %s is not reaped: %w", in.Process.PID, instance, ctx.Err())
		case <-time.After(pause):
		}
	}
}

var _ World = (*observed.Observer)(nil)
