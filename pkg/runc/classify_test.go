package runc

import (
	"errors"
	"testing"
)

func TestClassify(t *testing.T) {
	const root, id = "/run/r/runc", "web.1"
	for _, c := range []struct {
		runtime, message string
		want             error
	}{
		{"runc 1.1.5, 1.5.2", "container does not exist", ErrNotExist},
		{"runc 1.1.5, 1.5.2", "runc create failed: container with given ID already exists", ErrExist},
		{"runc 1.1.5, 1.5.2", "cannot start an already running container", ErrAlreadyRunning},
		{"runc 1.1.5, 1.5.2", "cannot start a container in the paused state", ErrAlreadyRunning},
		{"runc 1.1.5, 1.5.2", "cannot start a container that has stopped", ErrNotRunning},
		{"runc 1.1.5, 1.5.2", "container not running", ErrNotRunning},
		{"runc 1.1.5, 1.5.2", "cannot delete container web.1 that is not stopped: running", ErrNotStopped},
		{"runc 1.1.5, 1.5.2", "cannot delete container web.1 that is not stopped: paused", ErrNotStopped},
		{"runc 1.1.5, 1.5.2", "container not paused", ErrNotPaused},
		{"crun 1.8.1 state, start, kill", "error opening file `/run/r/runc/web.1/status`: No such file or directory", ErrNotExist},
		{"crun 1.8.1 delete", "cannot open directory '/run/r/runc/web.1': No such file or directory", ErrNotExist},
		{"crun 1.8.1 create", "container `web.1` already exists", ErrExist},
		{"crun 1.8.1 start", "cannot open `/run/r/runc/web.1/exec.fifo`: No such file or directory", ErrAlreadyRunning},
		{"crun 1.8.1 start", "container `web.1` is not running", ErrNotRunning},
		{"crun 1.8.1 pause, resume", "the container `web.1` is not running: No such process", ErrNotRunning},
		{"crun 1.8.1 kill", "kill container: No such process", ErrNotRunning},
		{"crun 1.8.1 kill", "open pidfd: No such process", ErrNotRunning},
		{"crun 1.8.1 delete", "the container `web.1` is not in `created` or `stopped` state", ErrNotStopped},

		// The bundle's own words are quoted, and mean nothing.
		{"runc 1.1.5", `runc create failed: unable to start container process: exec: "container does not exist": executable file not found in $PATH`, nil},
		{"runc 1.5.2", `runc create failed: unable to start container process: error during container init: exec: "container with given ID already exists": stat container with given ID already exists: no such file or directory`, nil},
		{"crun 1.8.1", "executable file `container `web.1` already exists` not found in $PATH: No such file or directory", nil},
		{"crun 1.8.1, another container", "container `db.1` already exists", nil},
		{"runc 1.5.2", "runc create failed: container's cgroup is not empty: 1 process(es) found", nil},
		{"any", "", nil},
	} {
		if got := classify(root, id, c.message); !errors.Is(got, c.want) {
			t.Errorf("%s: %q is %v, want %v", c.runtime, c.message, got, c.want)
		}
	}
}
