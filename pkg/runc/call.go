package runc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// maxOutput bounds what is read of a runtime's standard output, in bytes: a list of thousands of containers.
const maxOutput = 32 << 20

// drain is how long a dead runtime's output may be held open by something it left running.
const drain = time.Second

// call runs one verb to its end and returns its standard output.
func (r *Runtime) call(ctx context.Context, verb, id string, args ...string) ([]byte, error) {
	return r.feed(ctx, nil, verb, id, args...)
}

// feed is call with something to read on standard input; nil is /dev/null.
func (r *Runtime) feed(ctx context.Context, stdin io.Reader, verb, id string, args ...string) ([]byte, error) {
	log, err := r.newLog(verb)
	if err != nil {
		return nil, fmt.Errorf("log of the runtime: %w", err)
	}
	defer os.Remove(log)
	c := r.command(verb, id, log, args...)
	stdout, stderr := &capture{most: maxOutput, strict: true}, &capture{most: maxLog}
	err = r.run(ctx, c, func(cmd *exec.Cmd) { cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr })
	if stdout.full {
		return nil, c.error(fmt.Sprintf("more than %d bytes of output", maxOutput), ErrBadOutput)
	}
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, c.failed(exitStatus(e.Sys().(syscall.WaitStatus)), string(stderr.b))
	}
	return stdout.b, err
}

// run runs c within the time limit, its files set by files. A runtime that overstays is killed with its whole process
// group and reaped. The error is an *exec.ExitError if the runtime itself failed, or an *Error for everything else.
func (r *Runtime) run(parent context.Context, c *Command, files func(*exec.Cmd)) error {
	if err := parent.Err(); err != nil {
		return c.error("", err)
	}
	ctx, cancel := context.WithTimeout(parent, r.timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	cmd.Env, cmd.Dir = c.Env, c.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// Called only before the leader is reaped, so its pid names no other group yet.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = drain
	files(cmd)
	err := cmd.Run()
	_, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		return nil
	case parent.Err() != nil:
		return c.error("killed before it was done", parent.Err())
	case ctx.Err() != nil:
		return c.error(fmt.Sprintf("killed after %v", r.timeout), ErrTimeout)
	case errors.Is(err, exec.ErrWaitDelay):
		return c.error("a process that it left behind holds its output open", ErrBadOutput)
	case exited:
		return err
	}
	return c.error("", err)
}

// newLog makes a fresh log. The directories may have been wiped since New: /run is anyone's broom.
func (r *Runtime) newLog(verb string) (string, error) {
	f, err := os.CreateTemp(r.logDir, verb+".*.log") // mode 0600
	if errors.Is(err, fs.ErrNotExist) {
		if err := r.makeDirs(); err != nil {
			return "", err
		}
		f, err = os.CreateTemp(r.logDir, verb+".*.log")
	}
	if err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}

// capture keeps at most most bytes: the first ones if strict, which refuses more, else the last ones.
type capture struct {
	b      []byte
	most   int
	strict bool
	full   bool
}

func (c *capture) Write(p []byte) (int, error) {
	if c.strict && len(c.b)+len(p) > c.most {
		c.full = true
		return 0, errors.New("too much output") // ends the copying, so that the writer meets a closed pipe
	}
	c.b = append(c.b, p...)
	if n := len(c.b) - c.most; n > 0 && !c.strict {
		c.b = append(c.b[:0], c.b[n:]...)
	}
	return len(p), nil
}
