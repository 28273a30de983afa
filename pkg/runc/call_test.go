package runc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestRuntimeThatHangsIsKilledWithItsChildren(t *testing.T) {
	r := scripted(t, short, `sleep 600 & echo $! >"$root/child"; wait`)
	_, err := container(t, r, "a").State(t.Context())
	if !errors.Is(err, ErrTimeout) || !strings.Contains(err.Error(), "fakerunc state a: no answer within the time limit: killed after 200ms") {
		t.Errorf("%v", err)
	}
	text, err := os.ReadFile(filepath.Join(r.root, "child"))
	if err != nil {
		t.Fatal(err)
	}
	reapOrphan(t, strings.TrimSpace(string(text)), syscall.SIGKILL)
}

func TestCallEndsWithItsContext(t *testing.T) {
	r := scripted(t, long, `: >"$root/called"; exec sleep 600`)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		for deadline := time.Now().Add(long); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			if _, err := os.Stat(filepath.Join(r.root, "called")); err == nil {
				return
			}
		}
	}()
	if _, err := container(t, r, "a").State(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, ErrTimeout) {
		t.Errorf("%v", err)
	}
	if err := container(t, r, "a").Start(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestRuntimeThatAnswersNonsense(t *testing.T) {
	state := func(s string) string { return fmt.Sprintf(`printf '%%s' '%s'`, s) }
	for _, c := range []struct{ name, script, fails string }{
		{"nothing", "", "unintelligible output: unexpected end of JSON input"},
		{"garbage", "echo hello", `output begins "hello\n"`},
		{"null", state("null"), "a state without an id"},
		{"another id", state(`{"id":"b","status":"running","pid":7}`), `the state of "b" instead`},
		{"no status", state(`{"id":"a","pid":7}`), "without a status"},
		{"running without a pid", state(`{"id":"a","status":"running"}`), "running with pid 0"},
		{"two documents", state(`{"id":"a","status":"stopped"}{}`), "invalid character"},
		{"no end of output", "exec yes", "more than 33554432 bytes of output"},
	} {
		r := scripted(t, long, c.script)
		_, err := container(t, r, "a").State(t.Context())
		if !errors.Is(err, ErrBadOutput) || !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%s: %v, want %q", c.name, err, c.fails)
		}
		if ok, err := container(t, r, "a").Exists(t.Context()); ok || !errors.Is(err, ErrBadOutput) {
			t.Errorf("%s: exists: %v, %v", c.name, ok, err)
		}
	}
}

func TestRuntimeThatFailsWithoutALog(t *testing.T) {
	for script, want := range map[string]string{
		"exit 3":                         "fakerunc state a: failed without an error in its log (exit status 3)",
		"echo 'panic: oops' >&2; exit 2": "standard error ends: panic: oops (exit status 2)",
		"kill -SEGV $$":                  "failed without an error in its log (signal 11)",
		`echo '{"level":"warning"}' >"$log"; exit 1`:    "failed without an error in its log",
		`rm "$log"; exit 1`:                             "its log cannot be read",
		`rm "$log"; mkfifo "$log"; exit 1`:              "its log cannot be read",
		`rm "$log"; ln -s /etc/passwd "$log"; exit 1`:   "its log cannot be read",
		`head -c 9999999 /dev/zero >"$log"; exit 1`:     "failed without an error in its log",
		`head -c 9999999 /dev/zero >&2; exit 1`:         "failed without an error in its log",
		`echo 'container does not exist' >&2; exit 253`: "container does not exist",
	} {
		r := scripted(t, long, script)
		_, err := container(t, r, "a").State(t.Context())
		e, ok := errors.AsType[*Error](err)
		if !ok || !strings.Contains(err.Error(), want) || len(e.Log) > 2*maxLog || len(err.Error()) > 2000 {
			t.Errorf("%s: %v, want %q", script, err, want)
		}
	}
}

func TestRuntimeThatCannotBeRun(t *testing.T) {
	r := scripted(t, long, "")
	for _, spoil := range []func() error{
		func() error { return os.WriteFile(r.path, []byte("\x7fELF, or so it says"), 0o700) },
		func() error { return os.Remove(r.path) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		_, err := container(t, r, "a").State(t.Context())
		if e, ok := errors.AsType[*Error](err); !ok || e.Err == nil || e.ExitStatus != (ExitStatus{}) {
			t.Errorf("%v", err)
		}
	}
}

func TestRuntimeThatLeavesItsOutputOpen(t *testing.T) {
	r := scripted(t, long, `setsid sleep 600 & echo $! >"$root/child"; echo '{"id":"a","status":"stopped"}'`)
	if _, err := container(t, r, "a").State(t.Context()); !errors.Is(err, ErrBadOutput) || !strings.Contains(err.Error(), "holds its output open") {
		t.Errorf("%v", err)
	}
	text, err := os.ReadFile(filepath.Join(r.root, "child"))
	if err != nil {
		t.Fatal(err)
	}
	child := strings.TrimSpace(string(text))
	pid, _ := strconv.Atoi(child)
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	reapOrphan(t, child, syscall.SIGTERM)
}

func TestRuntimeThatDoesNothing(t *testing.T) {
	r := scripted(t, long, "exit 0")
	if _, err := r.Create(t.Context(), "a", plainBundle(t), CreateOptions{}); !errors.Is(err, ErrNoEffect) {
		t.Errorf("create: %v", err)
	}
	if err := os.MkdirAll(filepath.Join(r.root, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(r.root, "a", "exec.fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := container(t, r, "a")
	if err := c.Start(t.Context()); !errors.Is(err, ErrNoEffect) {
		t.Errorf("start: %v", err)
	}
	for _, force := range []bool{false, true} {
		if err := c.Delete(t.Context(), DeleteOptions{Force: force}); !errors.Is(err, ErrNoEffect) {
			t.Errorf("delete, force %v: %v", force, err)
		}
	}
}
