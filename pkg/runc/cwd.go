package runc

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// EnsureCwd makes the directory cwd, as a process in the container will see it, and those above it, in the root
// filesystem at root: mode 0755 less the umask. A symlink is resolved as the container would, within root: an absolute
// one starts there, and ".." ends there. Nothing outside is ever followed or made, whoever renames what meanwhile. What
// a symlink leads to must be there already, or the error is ErrEscapes: it was made for another root.
//
// Directories made stay, also if the container is never created: others may share the root filesystem.
func EnsureCwd(root, cwd string) error {
	if err := ensureCwd(root, cwd); err != nil {
		return fmt.Errorf("cwd %q in root filesystem %s: %w", cwd, root, err)
	}
	return nil
}

func ensureCwd(root, cwd string) error {
	if !path.IsAbs(cwd) {
		return errors.New("must be an absolute path")
	}
	// Runtimes refuse a root filesystem that is itself a symlink.
	top, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open the root filesystem: %w", err)
	}
	defer unix.Close(top)
	parent := top // holds what is above at
	at := "."
	for name := range strings.SplitSeq(strings.Trim(path.Clean(cwd), "/"), "/") {
		at = path.Join(at, name)
		next, err := enter(top, parent, at, name)
		if parent != top {
			unix.Close(parent)
		}
		if err != nil {
			return err
		}
		parent = next
	}
	if parent != top {
		unix.Close(parent)
	}
	return nil
}

// enter opens the directory at below top, and makes it if need be, under its name in parent, which is open.
func enter(top, parent int, at, name string) (int, error) {
	fd, err := openIn(top, at)
	if !errors.Is(err, unix.ENOENT) {
		return fd, describe(at, err)
	}
	made := unix.Mkdirat(parent, name, 0o755)
	if made != nil && !errors.Is(made, unix.EEXIST) {
		return -1, fmt.Errorf("make /%s: %w", at, made)
	}
	fd, err = openIn(top, at)
	if errors.Is(err, unix.ENOENT) && made != nil {
		return -1, fmt.Errorf("/%s: %w", at, ErrEscapes) // a name that is taken, and leads to nothing
	}
	return fd, describe(at, err)
}

func describe(at string, err error) error {
	switch {
	case errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("openat2: %w: Linux 5.6 is needed", err)
	case err != nil:
		return fmt.Errorf("open /%s: %w", at, err)
	}
	return nil
}

func openIn(top int, at string) (int, error) {
	how := &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	}
	// The kernel gives up when something is renamed while it resolves "..", openat2(2); more than bad luck is an attack.
	const tries = 32
	for range tries {
		fd, err := unix.Openat2(top, at, how)
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
	return -1, unix.EAGAIN
}
