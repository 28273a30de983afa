package runc

import (
	"strconv"
	"strings"
)

// classify is the one place that knows the runtimes' wording: runc 1.1.5 and 1.5.2, crun 1.8.1. It returns a sentinel,
// or nil for any other text. Texts are compared whole, never searched: an error about the bundle quotes the bundle, whose
// args may read "container does not exist".
func classify(root, id, message string) error {
	switch strings.TrimPrefix(strings.TrimPrefix(message, "runc create failed: "), "exec failed: ") {
	case "container does not exist",
		// crun, delete first. A directory without a status file is no container for it, just as for runc.
		"cannot open directory '" + root + "/" + id + "': No such file or directory",
		"error opening file `" + root + "/" + id + "/status`: No such file or directory":
		return ErrNotExist
	case "container with given ID already exists",
		"container `" + id + "` already exists":
		return ErrExist
	case "cannot start an already running container",
		"cannot start a container in the paused state",
		// crun takes the fifo away at start and looks for nothing else.
		"cannot open `" + root + "/" + id + "/exec.fifo`: No such file or directory":
		return ErrAlreadyRunning
	case "cannot start a container that has stopped",
		"container not running",
		"cannot exec in a stopped container",
		"container `" + id + "` is not running",
		"the container `" + id + "` is not running: No such process", // pause and resume
		// crun's kill, by how it could open the process.
		"kill container: No such process",
		"open pidfd: No such process":
		return ErrNotRunning
	case "cannot exec in a paused container (use --ignore-paused to override)",
		"the container `" + id + "` is paused":
		return ErrPaused
	case "container not paused":
		return ErrNotPaused
	case "cannot delete container " + id + " that is not stopped: running",
		"cannot delete container " + id + " that is not stopped: paused",
		"the container `" + id + "` is not in `created` or `stopped` state":
		return ErrNotStopped
	}
	return nil
}

// classifyProgram does so for what an exec says of the program that it was to run.
func classifyProgram(program, message string) error {
	runcs := strings.TrimPrefix(message, "exec failed: unable to start container process: ")
	switch strings.TrimPrefix(runcs, "exec: "+strconv.Quote(program)+": ") {
	case "executable file not found in $PATH",
		"stat " + program + ": no such file or directory",
		"stat " + program + ": not a directory",
		"executable file `" + program + "` not found in $PATH: No such file or directory", // crun
		"open executable: Not a directory":
		return ErrNoProgram
	case "permission denied",
		"is a directory",
		"open executable: Permission denied", // crun
		"open executable: Operation not permitted":
		return ErrNotExecutable
	}
	return nil
}
