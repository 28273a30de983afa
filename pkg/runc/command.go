package runc

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// CreateOptions says how a container is created. The zero value will do.
type CreateOptions struct {
	PIDFile string // where the runtime leaves the pid of init: absolute; <StateDir>/<id>.pid if empty
	Log     string // where the runtime logs, as JSON: absolute; <LogDir>/<id>.create.log if empty

	NoPivot      bool // for a root filesystem on a ramdisk: runc-create(8)
	NoNewKeyring bool // keep the caller's session keyring, and so its keys, instead of an empty one

	// ExtraFiles become the container's descriptors 3 and up. Nil for Stdin, Stdout or Stderr means /dev/null; the
	// runtime gives them to the container's user. All stay the caller's. CreateCommand only counts ExtraFiles.
	ExtraFiles            []*os.File
	Stdin, Stdout, Stderr *os.File

	// Connections are relayed from Start on, instead of Stdin, Stdout and Stderr: by Container.PipeRelay, or by
	// Container.Tty if the bundle's process.terminal is set; that has no other way, so it gets one without Connections,
	// too. They may be replaced until then. If Create fails they stay the caller's. CreateCommand does not look at them.
	Connections *Connections

	// ConsoleSocket is the path of one that somebody else serves, for CreateCommand: see ListenConsole.
	ConsoleSocket string
}

// Command is a call of the runtime for somebody else to run. A success leaves the pid of the container's init in
// PIDFile, renamed into place; init is then a child of the nearest subreaper above whoever ran the command.
type Command struct {
	ID           string
	Args         []string // Args[0] is the absolute path of the runtime
	Env          []string
	Dir          string
	PIDFile, Log string

	root string
}

// CreateCommand makes the command that creates a container and leaves it waiting for Start. It touches no file, so it may
// be asked again about a create under way. The runtime appends to Log, and a PIDFile of an earlier create would be
// mistaken for this one's: both must not exist when the command is run. Their directories must.
func (r *Runtime) CreateCommand(id, bundle string, o CreateOptions) (*Command, error) {
	if err := ValidateID(id); err != nil {
		return nil, err
	}
	if o.PIDFile == "" {
		o.PIDFile = filepath.Join(r.stateDir, id+".pid")
	}
	if o.Log == "" {
		o.Log = filepath.Join(r.logDir, id+".create.log")
	}
	for what, path := range map[string]string{"bundle": bundle, "pid file": o.PIDFile, "log": o.Log} {
		if err := absolute(what, path); err != nil {
			return nil, err
		}
	}
	flags := []string{"--bundle", bundle, "--pid-file", o.PIDFile}
	if o.NoPivot {
		flags = append(flags, "--no-pivot")
	}
	if o.NoNewKeyring {
		flags = append(flags, "--no-new-keyring")
	}
	if o.ConsoleSocket != "" {
		flags = append(flags, "--console-socket", o.ConsoleSocket)
	}
	if n := len(o.ExtraFiles); n > 0 {
		flags = append(flags, "--preserve-fds", strconv.Itoa(n))
	}
	c := r.command("create", id, o.Log, append(flags, id)...)
	c.PIDFile = o.PIDFile
	return c, nil
}

// Err explains how the command ended, by its wait status and its log: nil after exit status 0, else an *Error. It says
// nothing of whether PIDFile holds a pid, which is the other half of success.
func (c *Command) Err(status syscall.WaitStatus) error {
	if status.Exited() && status.ExitStatus() == 0 {
		return nil
	}
	return c.failed(exitStatus(status), "")
}

// command puts the global flags before the verb, the only place where runtimes take them. Without a log the runtime's
// own warnings would be written into the container's standard error.
func (r *Runtime) command(verb, id, log string, args ...string) *Command {
	global := []string{r.path, "--root", r.root, "--log", log, "--log-format", "json", verb}
	return &Command{
		ID:   id,
		Args: slices.Concat(global, args),
		Env:  slices.Clone(r.env),
		Dir:  "/", // pins no file system
		Log:  log,
		root: r.root,
	}
}

const verbIndex = 7 // of the verb in Args

// failed makes the error of a command that ended with this status, from its log or else from its standard error.
func (c *Command) failed(s ExitStatus, stderr string) *Error {
	log, err := readEnd(c.Log)
	e := c.error(lastError(log), nil)
	e.ExitStatus = s
	e.Log = log + stderr
	e.Err = classify(c.root, c.ID, e.Message)
	if e.Message != "" {
		return e
	}
	e.Message = "failed without an error in its log"
	if err != nil {
		e.Message = "failed, and its log cannot be read: " + err.Error()
	}
	if last := lastLine(stderr); last != "" {
		// crun logs nothing about a missing bundle, nor for ps at all.
		e.Message += "; standard error ends: " + last
		e.Err = classify(c.root, c.ID, last)
	}
	return e
}

func (c *Command) error(message string, err error) *Error {
	return &Error{Runtime: filepath.Base(c.Args[0]), Op: c.Args[verbIndex], ID: c.ID, Message: message, Err: err}
}
