package runc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// What each call says of a container in each state, whatever the runtime: ok, the sentinel without its Err, or - where
// there is nothing to ask.
const matrix = `
                missing   created    running         paused          stopped
state           NotExist  ok         ok              ok              ok
init            NotExist  ok         ok              ok              ok
processes       NotExist  ok         ok              ok              ok
create          ok        Exist      Exist           Exist           Exist
create command  -         Exist      Exist           Exist           Exist
start           NotExist  ok         AlreadyRunning  AlreadyRunning  NotRunning
update          NotExist  ok         ok              ok              NotRunning
pause           NotExist  NotRunning ok              Paused          NotRunning
resume          NotExist  NotPaused  NotPaused       ok              NotPaused
exec            NotExist  ok         ok              Paused          NotRunning
kill            NotExist  ok         ok              ok              NotRunning
kill all        NotExist  ok         ok              ok              ok
delete          NotExist  ok         NotStopped      NotStopped      ok
delete, forced  ok        ok         ok              ok              ok
`

var matrixErrors = map[string]error{
	"ok": nil, "NotExist": ErrNotExist, "Exist": ErrExist, "AlreadyRunning": ErrAlreadyRunning, "NotRunning": ErrNotRunning,
	"Paused": ErrPaused, "NotPaused": ErrNotPaused, "NotStopped": ErrNotStopped,
}

var matrixCalls = map[string]func(*world, *Container) error{
	"state":          func(w *world, c *Container) error { _, err := c.State(w.t.Context()); return err },
	"init":           func(w *world, c *Container) error { _, err := c.Init(w.t.Context()); return err },
	"processes":      func(w *world, c *Container) error { _, err := c.Processes(w.t.Context()); return err },
	"create":         createAgain,
	"create command": createByCommand,
	"start":          func(w *world, c *Container) error { return c.Start(w.t.Context()) },
	"update": func(w *world, c *Container) error {
		return c.Update(w.t.Context(), &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(99))}})
	},
	"pause":          func(w *world, c *Container) error { return c.Pause(w.t.Context()) },
	"resume":         func(w *world, c *Container) error { return c.Resume(w.t.Context()) },
	"exec":           execTrue,
	"kill":           func(w *world, c *Container) error { return c.Kill(w.t.Context(), syscall.SIGTERM) },
	"kill all":       func(w *world, c *Container) error { return c.KillAll(w.t.Context(), syscall.SIGTERM) },
	"delete":         func(w *world, c *Container) error { return c.Delete(w.t.Context(), DeleteOptions{}) },
	"delete, forced": func(w *world, c *Container) error { return c.Delete(w.t.Context(), DeleteOptions{Force: true}) },
}

func TestErrorMatrix(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(matrix), "\n")
	states := strings.Fields(lines[0])
	onEachRuntime(t, func(t *testing.T, w *world) {
		in := map[string]*Container{} // a container for each state, until a call changes it
		for _, line := range lines[1:] {
			words := strings.Fields(line)
			call, words := strings.Join(words[:len(words)-len(states)], " "), words[len(words)-len(states):]
			for i, state := range states {
				if words[i] == "-" {
					continue
				}
				if in[state] == nil {
					in[state] = w.in(state)
				}
				if c := in[state]; w.ask(call, state, c, matrixErrors[words[i]]) {
					w.end(c)
					delete(in, state)
				}
			}
		}
	})
}

// ask makes one call. It reports whether the container may be in another state now; an error must not have changed it.
func (w *world) ask(call, state string, c *Container, want error) (spent bool) {
	w.t.Helper()
	err := matrixCalls[call](w, c)
	w.check(call+" of one that is "+state, c, err, want)
	if err == nil && !slices.Contains([]string{"state", "init", "processes", "update", "exec"}, call) {
		return true
	}
	if got := w.word(c); got != state {
		w.t.Errorf("after %s one that was %s is %s", call, state, got)
	}
	return false
}

// check compares an error with the sentinel that it should be, and looks whether it can be understood.
func (w *world) check(what string, c *Container, err, want error) {
	w.t.Helper()
	switch e, ok := errors.AsType[*Error](err); {
	case want == nil && err != nil, !errors.Is(err, want):
		w.t.Errorf("%s: %v, want %v", what, err, want)
	case err == nil:
	case !ok || e.ID != c.ID() || !strings.Contains(err.Error(), want.Error()):
		w.t.Errorf("%s: %#v", what, err)
	}
}

// in makes a container that is in this state, or just its name.
func (w *world) in(state string) *Container {
	w.t.Helper()
	w.made++
	id := fmt.Sprintf("%s.%d", state, w.made)
	switch state {
	case "missing":
		return container(w.t, w.Runtime, id)
	case "created":
		return w.create(id, "exec sleep 600")
	case "running":
		return w.run(id, "exec sleep 600")
	case "paused":
		c := w.run(id, "exec sleep 600")
		if err := c.Pause(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		return c
	case "stopped":
		return w.stopped(id)
	}
	w.t.Fatalf("no state %q", state)
	return nil
}

// word is a container's state as the matrix has it.
func (w *world) word(c *Container) string {
	w.t.Helper()
	if ok, err := c.Exists(w.t.Context()); err != nil {
		w.t.Fatal(err)
	} else if !ok {
		return "missing"
	}
	if _, err := w.readInit(c.ID()); err != nil {
		w.t.Errorf("%s: %v", c.ID(), err)
	}
	return string(w.status(c))
}

func createAgain(w *world, c *Container) error {
	made, err := w.Create(w.t.Context(), c.ID(), w.bundle(c.ID(), "exit 0"), CreateOptions{})
	if err == nil {
		c.init = made.init
	}
	return err
}

// createByCommand is how a launch by somebody else meets the runtime's own word for it.
func createByCommand(w *world, c *Container) error {
	cmd, err := w.CreateCommand(c.ID(), w.bundle(c.ID(), "exit 0"), CreateOptions{PIDFile: w.t.TempDir() + "/pid"})
	if err != nil {
		return err
	}
	defer os.Remove(cmd.Log)
	foreign := exec.Command(cmd.Args[0], cmd.Args[1:]...)
	foreign.Env, foreign.Dir = cmd.Env, cmd.Dir
	foreign.Run()
	return cmd.Err(foreign.ProcessState.Sys().(syscall.WaitStatus))
}

func execTrue(w *world, c *Container) error {
	x, err := c.Exec(w.t.Context(), shell("exit 0"), ExecOptions{})
	if err == nil {
		w.waitExec(x, ExitStatus{})
	}
	return err
}
