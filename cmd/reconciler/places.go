package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/zapr"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"
)

// prepare makes the daemon's directories. What others could write to is refused: they would be root through it.
func prepare(p Paths) error {
	if os.Geteuid() != 0 {
		return errors.New("the controller must be root: it makes containers")
	}
	for _, place := range []struct {
		dir  string
		mode fs.FileMode
	}{{p.State, 0o700}, {p.Run, runMode}, {p.Logs, 0o700}} {
		if err := makePlace(place.dir, place.mode); err != nil {
			return err
		}
	}
	return makeDir(p.Manifests, 0o755) // judged at each scan: it may be mended while we run
}

// makePlace makes a directory that is ours alone to write to, or judges the one that is there.
func makePlace(dir string, mode fs.FileMode) error {
	if err := makeDir(dir, mode); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; !info.IsDir() || owner != 0 || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s must be a directory of root that nobody else can write to: chown root %[1]s; chmod go-w %[1]s", dir)
	}
	return nil
}

// makeDir makes a directory that is missing.
func makeDir(dir string, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	err := os.Mkdir(dir, mode)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil:
		return err
	}
	return os.Chmod(dir, mode) // whatever the umask is
}

// lockController takes the lock that one controller holds on a state or run directory, for as long as it is open. A
// holder that was killed and is not gone yet, since an fsync holds it up, is waited for; any other one is an error at
// once.
func lockController(ctx context.Context, dir string) (*os.File, error) {
	path := lockPath(dir)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		holder := make([]byte, 32)
		n, _ := f.ReadAt(holder, 0)
		pid, _ := strconv.Atoi(strings.TrimSpace(string(holder[:n])))
		switch {
		case !errors.Is(err, unix.EWOULDBLOCK):
			err = fmt.Errorf("lock %s: %w", path, err)
		case !dying(pid):
			err = heldError{path, pid}
		default:
			select {
			case <-ctx.Done():
				err = ctx.Err()
			case <-time.After(5 * time.Millisecond):
				continue
			}
		}
		return nil, errors.Join(err, f.Close())
	}
	if err := f.Truncate(0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if _, err := f.WriteAt(fmt.Appendln(nil, os.Getpid()), 0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// dying says whether a process is gone, a zombie, or has SIGKILL pending: proc_pid_status(5).
func dying(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch key {
		case "State":
			if value[0] == 'Z' || value[0] == 'X' {
				return true
			}
		case "SigPnd", "ShdPnd":
			if set, err := strconv.ParseUint(value, 16, 64); err == nil && set&(1<<(unix.SIGKILL-1)) != 0 {
				return true
			}
		}
	}
	return false
}

// newLogger logs to w, a line for each thing that happened.
func newLogger(w io.Writer) (log logr.Logger, flush func()) {
	config := zap.NewProductionEncoderConfig()
	config.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	config.EncodeLevel = zapcore.LowercaseLevelEncoder
	core := zapcore.NewCore(zapcore.NewConsoleEncoder(config), zapcore.Lock(zapcore.AddSync(w)), zapcore.InfoLevel)
	z := zap.New(core)
	return zapr.NewLogger(z), func() { _ = z.Sync() }
}
