package runc

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"reconciler.dev/reconciler/internal/runctest"
)

// joined makes a container with connections that the test's end deletes.
func (w *world) joined(id, script string, conns Connections, edit ...func(*runctest.BundleOptions)) *Container {
	w.t.Helper()
	c, err := w.Create(w.t.Context(), id, w.bundle(id, script, edit...), CreateOptions{Connections: &conns})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.end(c) })
	return c
}

func (w *world) start(c *Container) {
	w.t.Helper()
	if err := c.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) waitFor(c *Container, want ExitStatus) {
	w.t.Helper()
	if got, err := c.Wait(w.t.Context()); err != nil || got != want {
		w.t.Errorf("it ended with %v, %v, want %v", got, err, want)
	}
}

// withTerminal gives a container a terminal, and where to make more.
func withTerminal(s *specs.Spec) {
	s.Process.Terminal = true
	withPts(s)
}

func withPts(s *specs.Spec) {
	s.Mounts = append(s.Mounts, specs.Mount{
		Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"newinstance", "ptmxmode=0666", "mode=0620"},
	})
}

func TestContainersStreams(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		near, far := pair(t)
		stderr := &memory{}
		sent := blob(1 << 20)
		c := w.joined("a", `cat; printf '\000\377' >&2; exit 3`, Connections{Stdin: near, Stdout: near, Stderr: stderr})
		if c.PipeRelay() == nil || c.Tty() != nil {
			t.Fatalf("%v, %v", c.PipeRelay(), c.Tty())
		}
		w.start(c)
		var sender sync.WaitGroup
		sender.Go(func() {
			far.Write(sent)
			far.CloseWrite()
		})
		got, err := io.ReadAll(far)
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d bytes of %d came back, or others: %v", len(got), len(sent), err)
		}
		sender.Wait()
		w.waitFor(c, ExitStatus{Code: 3})
		if stderr.String() != "\x00\xff" || !stderr.closed {
			t.Errorf("standard error: %q, closed: %v", stderr.String(), stderr.closed)
		}
	})
}

// The process meets blocking pipes, and has them alone.
func TestContainersPipes(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		stdout := &memory{}
		c := w.joined("a", `for fd in 0 1 2; do while read k v; do [ "$k" != flags: ] || echo "$v"; done </proc/self/fdinfo/$fd; done
			busybox head -c 8000000 /dev/zero`, Connections{Stdout: stdout})
		w.start(c)
		w.waitFor(c, ExitStatus{})
		flags, zeros, _ := bytes.Cut(stdout.Bytes(), []byte("\x00"))
		for _, line := range strings.Fields(string(flags)) {
			if strings.HasSuffix(line, "4000") || strings.HasSuffix(line, "4001") || strings.HasSuffix(line, "4002") { // O_NONBLOCK, octal
				t.Errorf("flags: %q", flags)
			}
		}
		if len(strings.Fields(string(flags))) != 3 || len(zeros) != 8000000-1 {
			t.Errorf("flags %q, %d bytes", flags, len(zeros))
		}
	})
}

func TestContainersConnectionsBeforeTheStart(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		first, second := &memory{}, &memory{}
		c := w.joined("a", "echo hello", Connections{Stdout: first})
		if _, err := c.PipeRelay().Replace(Connections{Stdout: second}); err != nil {
			t.Fatal(err)
		}
		w.start(c)
		w.waitFor(c, ExitStatus{})
		if first.Len() > 0 || first.closed || second.String() != "hello\n" {
			t.Errorf("%q, %v, %q", first, first.closed, second)
		}
		near, _ := pair(t)
		c = w.joined("b", "read x || exit 5", Connections{Stdin: near})
		c.PipeRelay().Close()
		w.start(c)
		w.waitFor(c, ExitStatus{Code: 5})
		// One that never ran closes its connections all the same.
		third := &memory{}
		c = w.joined("c", "echo never", Connections{Stdout: third})
		if err := c.Delete(t.Context(), DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		w.waitFor(c, ExitStatus{Signal: syscall.SIGKILL})
		if third.Len() > 0 || !third.closed {
			t.Errorf("%q, closed: %v", third, third.closed)
		}
	})
}

// The streams are this Container's, whoever learns the exit status.
func TestWaitOfOneThatAnotherReaped(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		stdout := &memory{}
		c := w.joined("a", "echo hello; exit 5", Connections{Stdout: stdout})
		w.start(c)
		w.waitFor(container(t, w.Runtime, "a"), ExitStatus{Code: 5})
		if _, err := c.Wait(t.Context()); !errors.Is(err, ErrNotChild) {
			t.Errorf("%v", err)
		}
		if stdout.String() != "hello\n" || !stdout.closed {
			t.Errorf("%q, closed: %v", stdout, stdout.closed)
		}
		c.exit = &ExitStatus{} // for the cleanup
	})
}

// Without a pid namespace of its own others could hold the pipe open for ever.
func TestWaitKillsWhatHoldsTheStreams(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		stdout := &memory{}
		c := w.joined("a", "sleep 600 & echo $!; exit 4", Connections{Stdout: stdout}, hostPID)
		w.start(c)
		w.waitFor(c, ExitStatus{Code: 4})
		reapOrphan(t, strings.TrimSpace(stdout.String()), syscall.SIGKILL)
	})
}

func TestContainersTerminal(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		near, far := pair(t)
		c := w.joined("a", `busybox stty size; read x; busybox stty size; echo "got $x"; exit 3`, Connections{Stdin: near, Stdout: near}, edit(withTerminal))
		if c.PipeRelay() != nil || c.Tty() == nil {
			t.Fatalf("%v, %v", c.PipeRelay(), c.Tty())
		}
		resize := func(columns, rows uint16) {
			t.Helper()
			if err := c.Tty().Resize(columns, rows); err != nil {
				t.Error(err)
			}
		}
		resize(132, 43)
		w.start(c)
		r := reading(t, far)
		r.until("43 132\r\n")
		resize(80, 25)
		far.Write([]byte("a line\r")) // as the key has it
		r.until("25 80\r\ngot a line\r\n")
		r.end()
		w.waitFor(c, ExitStatus{Code: 3})
		resize(1, 1)
	})
}

// A terminal that nobody is joined to is there all the same, and flooding it holds nothing up.
func TestContainersTerminalAlone(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		c := w.run("a", "[ -t 0 ] && [ -t 1 ] && [ -t 2 ] || exit 1; busybox head -c 300000 /dev/zero; exit 7", edit(withTerminal))
		w.waitFor(c, ExitStatus{Code: 7})
		stdout := &memory{}
		c = w.joined("b", "busybox head -c 1000000 /dev/zero", Connections{Stdout: stdout}, edit(withTerminal))
		w.start(c)
		w.waitFor(c, ExitStatus{})
		if stdout.Len() != 1000000 {
			t.Errorf("%d bytes", stdout.Len())
		}
	})
}

// A terminal whose other side is gone has hung up.
func TestContainersTerminalHangsUp(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		near, far := pair(t)
		c := w.joined("a", `trap 'exit 9' HUP; while :; do echo x; sleep 0.01; done`, Connections{Stdin: near, Stdout: near}, edit(withTerminal))
		w.start(c)
		reading(t, far).until("x\r\n")
		far.Close()
		w.waitFor(c, ExitStatus{Code: 9})
	})
}

func TestCreateWithStreamsThatExcludeEachOther(t *testing.T) {
	r := scripted(t, long, `touch "$root/called"`)
	null := devNull(t)
	_, err := r.Create(t.Context(), "a", plainBundle(t), CreateOptions{Stdout: null, Connections: &Connections{}})
	if err == nil || exists(r.root+"/called") {
		t.Errorf("%v", err)
	}
}

// A failed create closes what it made, and not what it was given.
func TestFailedCreateLeavesTheConnectionsAlone(t *testing.T) {
	for _, c := range []struct {
		config, script string
		want           error
	}{
		{`{"root":{"path":"rootfs"},"process":{"args":["x"],"cwd":"/"}}`, "", ErrNoEffect},
		{`{"root":{"path":"rootfs"},"process":{"args":["x"],"cwd":"/","terminal":true}}`, "", ErrNoEffect},
		{`{"root":{"path":"rootfs"},"process":{"args":["x"],"cwd":"/","terminal":true}}`, `sleep 600 & echo $! >"$pidfile"; echo $! >"$root/pid"`, ErrConsole},
	} {
		r := scripted(t, long, `
			case $verb in
			create) mkdir "$root/$id"; `+c.script+` ;;
			delete) rmdir "$root/$id"; [ ! -e "$root/pid" ] || kill -9 $(cat "$root/pid") ;;
			esac`)
		disturb(t, r)
		bundle := plainBundle(t)
		writeConfig(t, bundle, c.config)
		stdout := &memory{}
		_, err := r.Create(t.Context(), "a", bundle, CreateOptions{Connections: &Connections{Stdout: stdout}})
		if !errors.Is(err, c.want) || stdout.closed || r.has("a") {
			t.Errorf("%v, want %v; closed: %v; left: %v", err, c.want, stdout.closed, r.has("a"))
		}
	}
}
