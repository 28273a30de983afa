package runc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// DefaultTimeout bounds a call of the runtime: some 500 times what one takes on a quiet machine.
const DefaultTimeout = 10 * time.Second

// Config says which runtime is called and where it and this package keep their files. All directories are absolute.
type Config struct {
	Path     string        // the runtime's name, looked up in PATH, or its absolute path; "runc" if empty
	Root     string        // its own state: --root
	LogDir   string        // the log of each call, while the call lasts
	StateDir string        // which process is a container's init: written by Create. Meant to be lost with a reboot.
	Timeout  time.Duration // of one call; 0 means DefaultTimeout
}

// Runtime calls an OCI runtime. It is safe for concurrent use; calls about one container are the caller's to order.
type Runtime struct {
	path, root, logDir, stateDir string
	timeout                      time.Duration
	env                          []string
}

// New resolves the runtime once, so that a later change of PATH changes nothing, and makes the directories that are
// missing, mode 0700. A directory that is there must be this user's own and not writable by others. The error is
// ErrNoRuntime if the runtime is absent or not executable.
func New(c Config) (*Runtime, error) {
	path, err := resolve(c.Path)
	if err != nil {
		return nil, err
	}
	r := &Runtime{path: path, timeout: c.Timeout, env: environment(os.Environ())}
	if r.timeout == 0 {
		r.timeout = DefaultTimeout
	}
	if r.timeout < 0 {
		return nil, fmt.Errorf("runtime time limit %v: must be positive", c.Timeout)
	}
	for _, d := range []struct {
		what, path string
		to         *string
	}{
		{"runtime root", c.Root, &r.root},
		{"runtime log directory", c.LogDir, &r.logDir},
		{"runtime state directory", c.StateDir, &r.stateDir},
	} {
		if err := absolute(d.what, d.path); err != nil {
			return nil, err
		}
		*d.to = filepath.Clean(d.path)
	}
	return r, r.makeDirs()
}

// Path returns the absolute path of the runtime.
func (r *Runtime) Path() string { return r.path }

func resolve(name string) (string, error) {
	if name == "" {
		name = "runc"
	}
	switch {
	case filepath.IsAbs(name):
	case strings.Contains(name, "/"):
		return "", fmt.Errorf("%w: %q: give a name to be found in PATH or an absolute path", ErrNoRuntime, name)
	}
	// LookPath takes an absolute path as it is, but checks that it is a file and executable.
	path, err := exec.LookPath(name)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("%w: %q is not in PATH: install it or give its absolute path", ErrNoRuntime, name)
	case errors.Is(err, exec.ErrDot):
		return "", fmt.Errorf("%w: %q would be taken from a relative entry of PATH, which is not safe", ErrNoRuntime, name)
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%w: %s is not there", ErrNoRuntime, name)
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("%w: %s is not executable", ErrNoRuntime, name)
	case err != nil:
		return "", fmt.Errorf("%w: %s: %w", ErrNoRuntime, name, err)
	}
	return path, nil
}

// environment leaves out what the runtime would pass into the container: LISTEN_FDS hands descriptor 3 on, NOTIFY_SOCKET
// adds a mount and a variable.
func environment(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		key, _, _ := strings.Cut(kv, "=")
		return slices.Contains([]string{"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET"}, key)
	})
}

func (r *Runtime) makeDirs() error {
	for _, dir := range []string{r.root, r.logDir, r.stateDir} {
		if err := makeDir(dir); err != nil {
			return fmt.Errorf("directory of the runtime: %w", err)
		}
	}
	return nil
}

func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s: is a symlink", dir)
	case int(owner) != os.Geteuid():
		return fmt.Errorf("%s: belongs to uid %d, not to this process's uid %d", dir, owner, os.Geteuid())
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%s: mode %v: others may write there; chmod go-w it", dir, info.Mode().Perm())
	}
	return nil
}
