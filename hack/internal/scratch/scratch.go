// Package scratch gives a program under hack/ a world of its own: a scratch root with bundles and manifests, a controller
// that may be killed and started, the pair below it, and a clean-up that names what was left. It looks at the product
// from outside only, through its command line, its files and /proc, and imports nothing of it.
package scratch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// World is one scratch root. Its methods are for one goroutine.
type World struct {
	Dir     string // root's, 0700
	Parent  string // the cgroup parent, without a slash
	Runtime string // given to --runtime: runc; another one, by FindRuntime, may be set before Start

	Run, State, Logs string   // below Dir; each may be put elsewhere before Start
	Launcher         []string // runs the controller as its arguments; empty: it is run itself

	reconciler string
	log        *os.File
	controller *controller // nil when none was started, or its end was seen to
}

// controller is a running `reconciler run`.
type controller struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has been waited for
	err   error         // of the wait
}

// What is not the machine's or the caller's fault, but a promise broken.
var (
	ErrEnded   = errors.New("the controller has ended by itself")
	ErrNotSeen = errors.New("not seen in time")
)

// New makes a scratch root for the programs in the directory bin.
func New(bin string) (*World, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("needs root: containers do")
	}
	reconciler, err := filepath.Abs(filepath.Join(bin, "reconciler"))
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(reconciler); err != nil {
		return nil, fmt.Errorf("no program to try (run make build): %w", err)
	}
	runtime, err := FindRuntime("runc")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("/var/tmp", "reconciler.")
	if err != nil {
		return nil, err
	}
	w := &World{Dir: dir, Parent: filepath.Base(dir), Runtime: runtime, reconciler: reconciler}
	w.Run, w.State, w.Logs = w.Path("run"), w.Path("state"), w.Path("logs")
	for _, d := range []string{"bundles", "manifests", "out"} {
		if err := os.Mkdir(w.Path(d), 0o700); err != nil {
			return nil, err
		}
	}
	w.log, err = os.OpenFile(w.Path("controller.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	return w, err
}

// Path is a path below the scratch root.
func (w *World) Path(elem ...string) string { return filepath.Join(w.Dir, filepath.Join(elem...)) }

// places are the flags that say where everything is.
func (w *World) places() []string {
	return []string{"--root", w.Dir, "--run", w.Run, "--state", w.State, "--logs", w.Logs}
}

// InMemory makes a directory of the world a tmpfs of its own, as /run is on real machines, until Clear: what is written
// there then costs no disk. /var/tmp may be one that is slow.
func (w *World) InMemory(dir string) error {
	if err := os.Mkdir(w.Path(dir), 0o711); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", w.Path(dir), "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=711"); err != nil {
		return fmt.Errorf("mount a tmpfs on %s: %w", w.Path(dir), err)
	}
	return nil
}

// Launch starts a controller and does not wait until it answers.
func (w *World) Launch() error {
	args := append(slices.Clone(w.Launcher), w.reconciler, "run", "--cgroup-parent", "/"+w.Parent, "--runtime", w.Runtime)
	args = append(args, w.places()...)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = w.log, w.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C is for us: we end it in order
	if err := cmd.Start(); err != nil {
		return err
	}
	c := &controller{cmd: cmd, ended: make(chan struct{})}
	go func() {
		c.err = cmd.Wait()
		close(c.ended)
	}()
	w.controller = c
	return nil
}

// Start starts a controller and returns when it answers.
func (w *World) Start(ctx context.Context) error {
	if err := w.Launch(); err != nil {
		return err
	}
	return w.Answers(ctx)
}

// Answers waits until the controller does.
func (w *World) Answers(ctx context.Context) error {
	return Until(ctx, time.Minute, "the controller answers", func() error {
		var version struct{ Version string }
		err := w.Ask(ctx, http.MethodGet, "/v1/version", &version)
		select {
		case <-w.controller.ended:
			return fmt.Errorf("%w: %s: see %s", ErrEnded, w.controller.cmd.ProcessState, w.log.Name())
		default:
			return err
		}
	})
}

// Controller is the running controller; the zero Process, which is not alive, when there is none.
func (w *World) Controller() Process {
	if w.controller == nil {
		return Process{}
	}
	select {
	case <-w.controller.ended: // its pid may be another's by now
		return Process{}
	default:
		p, _ := Find(w.controller.cmd.Process.Pid)
		return p
	}
}

// KillController kills it by SIGKILL and waits for its end.
func (w *World) KillController() {
	if w.controller == nil {
		return
	}
	_ = w.controller.cmd.Process.Kill() // fails only if it is dead already
	<-w.controller.ended
	w.controller = nil
}

// EndController ends it by SIGTERM, as a service manager does, and waits for its end.
func (w *World) EndController(ctx context.Context) error {
	if err := w.Controller().Signal(unix.SIGTERM); err != nil {
		return fmt.Errorf("end the controller: %w", err)
	}
	select {
	case <-w.controller.ended:
		w.controller = nil
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Minute):
		return fmt.Errorf("%w: the controller ends after SIGTERM", ErrNotSeen)
	}
}

// Down stops all containers, the pair and the controller by `down --exit`.
func (w *World) Down(ctx context.Context) error {
	if _, err := w.CLI(ctx, "down", "--exit"); err != nil {
		return err
	}
	select {
	case <-w.controller.ended:
		err := w.controller.err
		w.controller = nil
		return err
	case <-time.After(60 * time.Second):
		return errors.New("the controller did not end within a minute after down --exit")
	}
}

// CLI runs a verb and returns what it printed.
func (w *World) CLI(ctx context.Context, args ...string) ([]byte, error) {
	return run(ctx, w.reconciler, append(w.places(), args...)...)
}

func run(ctx context.Context, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return out, err
}

// Until tries again after ever longer pauses, from 5 to 40 ms, until try succeeds or says ErrEnded; after limit it is
// ErrNotSeen. What names the hope in the error.
func Until(ctx context.Context, limit time.Duration, what string, try func() error) error {
	end := time.After(limit)
	for pause := 5 * time.Millisecond; ; pause = min(40*time.Millisecond, pause*5/4) {
		err := try()
		if err == nil || errors.Is(err, ErrEnded) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end:
			return fmt.Errorf("%w: %s: %w", ErrNotSeen, what, err)
		case <-time.After(pause):
		}
	}
}
