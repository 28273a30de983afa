package runc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Create makes a container from the bundle and leaves it waiting for Start. The bundle's cwd is made first: see
// EnsureCwd. If the calling process is a subreaper the container's init becomes its child: see Wait.
//
// The id must be this caller's own: two who create one id at the same time may delete each other's container. One that is
// there already is ErrExist and left alone. After any other failure nothing is left that Create made, or the error says
// what: a container half made is deleted, its init reaped, files removed, and cgroups that were not there before emptied
// and removed. The last needs an absolute cgroupsPath in the bundle, and one that no other container uses: runc 1.1.5
// and crun join a cgroup that is not empty, and crun's delete kills everybody in it.
func (r *Runtime) Create(ctx context.Context, id, bundle string, o CreateOptions) (*Container, error) {
	c, err := r.Container(id)
	if err != nil {
		return nil, err
	}
	cmd, err := r.CreateCommand(id, bundle, o)
	if err != nil {
		return nil, err
	}
	if r.has(id) {
		return nil, cmd.error("", ErrExist)
	}
	spec, err := loadSpec(bundle)
	if err != nil {
		return nil, fmt.Errorf("create container %s: %w", id, err)
	}
	if err := EnsureCwd(rootfs(bundle, spec), spec.Process.Cwd); err != nil {
		return nil, fmt.Errorf("create container %s: %w", id, err)
	}
	made, err := missingCgroups(spec)
	if err != nil {
		return nil, fmt.Errorf("create container %s: %w", id, err)
	}
	if err := r.makeDirs(); err != nil {
		return nil, err
	}
	pl, err := r.plumb(spec.Process.Terminal && o.ConsoleSocket == "", o.Stdin, o.Stdout, o.Stderr, o.Connections)
	if err != nil {
		return nil, fmt.Errorf("create container %s: %w", id, err)
	}
	if pl.console != nil {
		o.ConsoleSocket = pl.console.Path()
		if cmd, err = r.CreateCommand(id, bundle, o); err != nil {
			pl.abandon()
			return nil, err
		}
	}
	if o.Log == "" {
		defer os.Remove(cmd.Log)
	}
	if o.PIDFile == "" {
		defer os.Remove(cmd.PIDFile)
	}
	c.ownsPIDs = OwnsPIDNamespace(spec)
	c.init, err = r.create(ctx, cmd, o.ExtraFiles, pl)
	if err == nil {
		pl.done()
		c.streams = pl.streams
		return c, nil
	}
	pl.abandon()
	if errors.Is(err, ErrExist) { // somebody was faster, and it is theirs
		return nil, err
	}
	return nil, errors.Join(err, r.discard(ctx, c, cmd, made))
}

// create runs the command and records what it made.
func (r *Runtime) create(ctx context.Context, cmd *Command, extra []*os.File, pl *plumbing) (Process, error) {
	births.RLock()
	defer births.RUnlock()
	// There was no container of this id a moment ago: these are an earlier one's.
	if err := errors.Join(removeFile(cmd.PIDFile), removeFile(cmd.Log), r.forget(cmd.ID)); err != nil {
		return Process{}, err
	}
	err := r.run(ctx, cmd, func(c *exec.Cmd) {
		c.ExtraFiles = extra
		pl.files(c)
	})
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return Process{}, cmd.failed(exitStatus(e.Sys().(syscall.WaitStatus)), "")
	}
	if err != nil {
		return Process{}, err
	}
	if !r.has(cmd.ID) {
		return Process{}, cmd.error("there is no such container", ErrNoEffect)
	}
	p, err := cmd.readPID()
	if err != nil {
		return Process{}, err
	}
	if err := pl.join(ctx, r); err != nil {
		return Process{}, cmd.error("", err)
	}
	if err := r.recordInit(cmd.ID, p); err != nil {
		return Process{}, err
	}
	known.Store(p, nil)
	return p, nil
}

// readPID identifies the process in the pid file.
func (c *Command) readPID() (Process, error) {
	text, err := readEnd(c.PIDFile)
	if err != nil {
		return Process{}, c.error("pid file: "+err.Error(), ErrNoEffect)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || pid <= 1 {
		return Process{}, c.error(fmt.Sprintf("pid file %s says %q", c.PIDFile, text[:min(len(text), 100)]), ErrBadOutput)
	}
	p, err := identify(pid)
	if vanished(err) {
		return Process{}, c.error(fmt.Sprintf("process %d, which it started, is gone", pid), ErrNotRunning)
	}
	return p, err
}

// discard removes what a failed create made, whatever became of the context and the runtime.
func (r *Runtime) discard(ctx context.Context, c *Container, cmd *Command, made cgroups) error {
	ctx = context.WithoutCancel(ctx)
	init, initErr := openInit(cmd)
	// Before delete, which forgets a container without a state and leaves its processes.
	err := r.within(ctx, made.kill)
	if r.has(c.id) {
		err = errors.Join(err, c.Delete(ctx, DeleteOptions{Force: true}))
	}
	if initErr == nil {
		err = errors.Join(err, r.within(ctx, init.discard))
	}
	dir, name := filepath.Split(cmd.PIDFile)
	err = errors.Join(err,
		r.within(ctx, made.remove),
		removeFile(cmd.PIDFile),
		removeFile(filepath.Join(dir, "."+name)), // what runc renames into place
		r.forget(c.id))
	if err != nil {
		return fmt.Errorf("clean up after it: %w", err)
	}
	return nil
}

// within gives a step the time of one call.
func (r *Runtime) within(ctx context.Context, step func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	return step(ctx)
}
