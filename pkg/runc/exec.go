package runc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// ExecOptions says where the streams of another process of a container lead. The zero value means /dev/null.
type ExecOptions struct {
	Stdin, Stdout, Stderr *os.File // the process's own; they stay the caller's

	// Connections are relayed from the beginning, instead of Stdin, Stdout and Stderr. A process with a terminal has no
	// other way. If Exec fails they stay the caller's.
	Connections *Connections
}

// Exec starts another process in a container that is created or running. It needs Args and Cwd at least, and PATH in its
// Env if the program is given by name. If the calling process is a subreaper it becomes its child, and is reaped as soon
// as it ends, whether or not anybody waits: a zombie in its pid namespace would hold back the death of the container.
//
// Errors: ErrProcess, ErrNotExist, ErrNotRunning, ErrPaused; ErrNoProgram, ErrNotExecutable; ErrConsole if its terminal
// does not arrive. A file in an unknown format is no error: runtimes see that too late, and the process ends with a status.
// After a failure nothing is left, with two exceptions: a runtime killed at its time limit may have started a process that
// nobody knows, which ends with the container; and crun 1.8.1 leaves an orphan, which is reaped in a container with a pid
// namespace of its own and else is one of those of SetSubreaper.
func (c *Container) Exec(ctx context.Context, process *specs.Process, o ExecOptions) (*ExecProcess, error) {
	if err := checkProcess(process); err != nil {
		return nil, fmt.Errorf("exec in container %s: %w", c.id, err)
	}
	if err := c.r.makeDirs(); err != nil {
		return nil, err
	}
	files, err := os.MkdirTemp(c.r.stateDir, "exec.")
	if err != nil {
		return nil, fmt.Errorf("exec in container %s: %w", c.id, err)
	}
	defer os.RemoveAll(files)
	pl, err := c.r.plumb(process.Terminal, o.Stdin, o.Stdout, o.Stderr, o.Connections)
	if err != nil {
		return nil, fmt.Errorf("exec in container %s: %w", c.id, err)
	}
	cmd, err := c.execCommand(files, process, pl.console)
	if err != nil {
		pl.abandon()
		return nil, fmt.Errorf("exec in container %s: %w", c.id, err)
	}
	p, err := c.exec(ctx, cmd, pl, process.Args[0])
	if err != nil {
		pl.abandon()
		return nil, err
	}
	pl.done()
	return p, nil
}

func checkProcess(p *specs.Process) error {
	switch {
	case p == nil:
		return fmt.Errorf("%w: none", ErrProcess)
	case len(p.Args) == 0:
		return fmt.Errorf("%w: args: empty", ErrProcess)
	case !filepath.IsAbs(p.Cwd):
		return fmt.Errorf("%w: cwd %q: must be an absolute path", ErrProcess, p.Cwd) // crun takes any
	}
	return nil
}

// execCommand makes the command, with its files in a directory of its own.
func (c *Container) execCommand(dir string, process *specs.Process, console *ConsoleSocket) (*Command, error) {
	b, err := json.Marshal(process)
	if err != nil {
		return nil, err
	}
	config, pidFile := filepath.Join(dir, "process.json"), filepath.Join(dir, "pid")
	if err := os.WriteFile(config, b, 0o600); err != nil {
		return nil, err
	}
	flags := []string{"--detach", "--process", config, "--pid-file", pidFile}
	if console != nil {
		flags = append(flags, "--console-socket", console.Path())
	}
	cmd := c.r.command("exec", c.id, filepath.Join(dir, "log"), append(flags, c.id)...)
	cmd.PIDFile = pidFile
	return cmd, nil
}

// exec runs the command and takes charge of the process.
func (c *Container) exec(ctx context.Context, cmd *Command, pl *plumbing, program string) (x *ExecProcess, err error) {
	since := bootTicks()
	births.RLock()
	defer func() {
		births.RUnlock()
		if err != nil {
			go reapStray(since)
		}
	}()
	err = c.r.run(ctx, cmd, pl.files)
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		err = c.execFailed(ctx, cmd.failed(exitStatus(e.Sys().(syscall.WaitStatus)), ""), program)
	}
	if err != nil {
		return nil, errors.Join(err, c.r.discardExec(ctx, cmd))
	}
	p, err := cmd.readPID()
	if err != nil {
		return nil, err
	}
	h, err := open(p)
	if err != nil {
		return nil, cmd.error(fmt.Sprintf("process %d", p.PID), err)
	}
	if err = pl.join(ctx, c.r); err == nil {
		err = c.r.recordExec(c.id, p)
	}
	if err != nil {
		err = cmd.error(fmt.Sprintf("process %d", p.PID), err)
		return nil, errors.Join(err, h.kill(), c.r.within(context.WithoutCancel(ctx), h.discard))
	}
	known.Store(p, nil)
	return c.execs.add(c, p, h, pl.streams), nil
}

// execFailed asks for the state where the message tells nothing: crun 1.8.1 says that setns or clone failed when the
// container has stopped a moment ago.
func (c *Container) execFailed(ctx context.Context, failed *Error, program string) error {
	if failed.Err == nil {
		failed.Err = classifyProgram(program, failed.Message)
	}
	if failed.Err == nil {
		if s, err := c.State(ctx); err == nil && s.Status == Stopped {
			failed.Err = ErrNotRunning
		}
	}
	return failed
}

// discardExec ends what a failed exec started, as far as its pid file tells.
func (r *Runtime) discardExec(ctx context.Context, cmd *Command) error {
	h, err := openInit(cmd)
	if err != nil {
		return nil
	}
	return errors.Join(h.kill(), r.within(context.WithoutCancel(ctx), h.discard))
}

// execDir holds a file for each process that Exec started in a container, named after it, until ExecProcess.Delete or
// Container.Delete: the runtime does not tell them from others.
func (r *Runtime) execDir(id string) string { return filepath.Join(r.stateDir, id+".execs") }

func (r *Runtime) execFile(id string, p Process) string {
	return filepath.Join(r.execDir(id), fmt.Sprintf("%d.%d", p.PID, p.StartTime))
}

func (r *Runtime) recordExec(id string, p Process) error {
	if err := os.MkdirAll(r.execDir(id), 0o700); err != nil {
		return err
	}
	return os.WriteFile(r.execFile(id, p), nil, 0o600)
}

// byRuntime reports whether Create or Exec made the process.
func (r *Runtime) byRuntime(id string, p Process) bool {
	if init, err := r.readInit(id); err == nil && init == p {
		return true
	}
	_, err := os.Lstat(r.execFile(id, p))
	return err == nil
}
