package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"reconciler.dev/reconciler/internal/crashpoint"
	"reconciler.dev/reconciler/internal/crashpoint/weave"
)

// crashing is a world whose controller ends, as by kill -9, at each crash point that it comes to for the first time, and
// is started again at once.
type crashing struct {
	*world
	points  []string // of the program
	past    string   // the file of those at which it was ended
	program string

	mu      sync.Mutex
	process *exec.Cmd
	over    bool        // a controller that has ended stays so
	asked   atomic.Bool // to end by SIGTERM
	idle    chan struct{}
}

// newCrashing builds the program with its crash points, and starts it.
func newCrashing(t *testing.T) *crashing {
	c := &crashing{world: newWorld(t), past: filepath.Join(t.TempDir(), "past"), program: filepath.Join(bin, "crashing/reconciler")}
	c.write(c.past, "")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("killed at\n%s", strings.Join(c.killedAt(), "\n"))
		}
	})
	root, err := filepath.Abs("../..")
	c.must(err)
	const program = "reconciler.dev/reconciler/cmd/reconciler"
	dirs, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if .Main}}{{$.Dir}}{{end}}{{end}}", program).Output()
	c.must(err)
	overlay, woven, err := weave.Overlay(root, strings.Fields(string(dirs)), t.TempDir())
	c.must(err)
	build := exec.Command("go", "build", "-trimpath", "-overlay", overlay, "-o", filepath.Dir(c.program)+"/", "reconciler.dev/reconciler/cmd/...")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	if shipped, err := os.ReadFile(filepath.Join(bin, "reconciler")); err != nil || bytes.Contains(shipped, []byte("crashpoint")) {
		t.Errorf("the program as it ships has crash points, or cannot be read: %v", err)
	}
	text, err := os.ReadFile(c.program)
	c.must(err)
	for _, point := range woven {
		if bytes.Contains(text, []byte(point)) { // else the linker has found that the program never comes there
			c.points = append(c.points, point)
		}
	}
	return c
}

// keep keeps a controller running until end.
func (c *crashing) keep(args ...string) {
	c.idle = make(chan struct{})
	log, err := os.OpenFile(filepath.Join(c.root, "daemon.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	c.must(err)
	go func() {
		defer close(c.idle)
		defer log.Close()
		for {
			cmd := exec.Command(c.program, append([]string{"run", "--root", c.root, "--cgroup-parent", c.cgroup,
				"--runtime", c.runtime, "--resync", "1s"}, args...)...)
			cmd.Stdout, cmd.Stderr = log, log
			cmd.Env = append(os.Environ(), crashpoint.EnvFile+"="+c.past)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			c.mu.Lock()
			if c.over {
				c.mu.Unlock()
				return
			}
			err := cmd.Start()
			c.process = cmd
			c.mu.Unlock()
			if err == nil {
				err = cmd.Wait()
			}
			asked := c.asked.Swap(false)
			switch status := exitOf(cmd); {
			case status.Signaled() && status.Signal() == syscall.SIGKILL:
			case asked: // however it says so
			case err == nil: // it has gone down
				return
			default:
				c.t.Errorf("the controller ended with %v\n%s", err, c.state())
				return
			}
		}
	}()
}

func exitOf(cmd *exec.Cmd) syscall.WaitStatus {
	if cmd.ProcessState == nil {
		return 0
	}
	return cmd.ProcessState.Sys().(syscall.WaitStatus)
}

// signal signals the controller that runs.
func (c *crashing) signal(sig syscall.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked.Store(sig == syscall.SIGTERM)
	if c.process != nil && c.process.Process != nil {
		_ = c.process.Process.Signal(sig)
	}
}

// rest ends the controller and starts none again.
func (c *crashing) rest(sig syscall.Signal) {
	c.mu.Lock()
	c.over = true
	c.mu.Unlock()
	c.signal(sig)
	<-c.idle
	c.over = false
}

// insist has a verb done by a controller that may die of it, until it says so or is seen to have done it.
func (c *crashing) insist(done func() bool, args ...string) {
	c.t.Helper()
	c.until("`reconciler "+strings.Join(args, " ")+"` is done", func() bool {
		_, err := c.try(args...)
		return err == nil || done()
	})
	c.until("`reconciler "+strings.Join(args, " ")+"` has led to what it should", done)
}

// killedAt are the points at which a controller was ended.
func (c *crashing) killedAt() []string {
	b, err := os.ReadFile(c.past)
	c.must(err)
	return strings.FieldsFunc(string(b), func(r rune) bool { return r == '\n' })
}
