package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

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
	}{{p.Manifests, 0o755}, {p.State, 0o700}, {p.Run, 0o711}, {p.Logs, 0o700}} {
		if err := os.MkdirAll(filepath.Dir(place.dir), 0o755); err != nil {
			return err
		}
		if err := os.Mkdir(place.dir, place.mode); err == nil {
			err = os.Chmod(place.dir, place.mode) // whatever the umask is
			if err != nil {
				return err
			}
		} else if !errors.Is(err, fs.ErrExist) {
			return err
		}
		if place.dir == p.Manifests {
			continue // judged at each scan: it may be mended while we run
		}
		info, err := os.Stat(place.dir)
		if err != nil {
			return err
		}
		if owner := info.Sys().(*syscall.Stat_t).Uid; !info.IsDir() || owner != 0 || info.Mode().Perm()&0o022 != 0 {
			return fmt.Errorf("%s must be a directory of root that nobody else can write to: chown root %[1]s; chmod go-w %[1]s", place.dir)
		}
	}
	return nil
}

// lockController takes the lock that one controller holds on a state directory, for as long as it is open.
func lockController(state string) (*os.File, error) {
	path := filepath.Join(state, "controller.lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder, _ := io.ReadAll(io.LimitReader(f, 32))
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s is held by another controller, pid %s: stop that one, or use another --state",
				path, strings.TrimSpace(string(holder)))
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if err := f.Truncate(0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if _, err := f.WriteAt(fmt.Appendln(nil, os.Getpid()), 0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
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
