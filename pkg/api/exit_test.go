package api

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"reconciler.dev/reconciler/internal/runctest"
)

// daemonEnv makes the test binary a daemon on the socket that it names.
const daemonEnv = "API_TEST_DAEMON"

func TestMain(m *testing.M) {
	if socket := os.Getenv(daemonEnv); socket != "" {
		if err := beDaemon(socket); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	runctest.Main(m)
}

// ending is a backend whose Exit ends it, but only when its stdin does: after the socket is closed.
type ending struct {
	Backend
	down chan struct{}
}

func (e ending) Exit(context.Context) error { close(e.down); return nil }
func (e ending) Version() Version           { return Version{} }

func beDaemon(socket string) error {
	l, err := Listen(socket)
	if err != nil {
		return err
	}
	b := ending{down: make(chan struct{})}
	s := NewServer(b, logr.Discard())
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	fmt.Println("serving")
	<-b.down
	err = errors.Join(s.Shutdown(context.Background()), <-served)
	fmt.Println("answered")
	_, _ = os.Stdin.Read(make([]byte, 1))
	return err
}

// Exit is over when the daemon's process is, not when its socket is: the subreapers are ended in between.
func TestExitWaitsForTheProcess(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "reconciler.sock")
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), daemonEnv+"="+socket)
	cmd.Stderr = os.Stderr
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	c := client(t, socket)
	down := make(chan error, 1)
	go func() { down <- c.Exit(t.Context()) }()
	if _, err := stdout.Read(make([]byte, 9)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Version(t.Context()); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("the socket is not closed: %v", err)
	}
	select {
	case err := <-down:
		t.Errorf("it did not wait: %v", err)
		down <- err
	case <-time.After(100 * time.Millisecond): // for a wrong one to show; the right one waits for ever
	}
	stdin.Close()
	// Not reaped yet: a zombie has ended.
	if err := <-down; err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestExitInterruptedOrRefused(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.End = func(context.Context) error { cancel(); return nil } // and this process does not end
	if err := client(t, serve(t, w)).Exit(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	w.End = func(context.Context) error { return errors.New("cannot end") }
	if err := client(t, serve(t, w)).Exit(t.Context()); err == nil || err.Error() != "cannot end" {
		t.Errorf("refused: %v", err)
	}
}
