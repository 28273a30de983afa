package runc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// shell is a process that runs a script.
func shell(script string) *specs.Process {
	return &specs.Process{Args: []string{"sh", "-c", script}, Env: []string{"PATH=/bin"}, Cwd: "/", NoNewPrivileges: true}
}

func (w *world) exec(c *Container, p *specs.Process, conns *Connections) *ExecProcess {
	w.t.Helper()
	x, err := c.Exec(w.t.Context(), p, ExecOptions{Connections: conns})
	if err != nil {
		w.t.Fatal(err)
	}
	return x
}

func (w *world) waitExec(x *ExecProcess, want ExitStatus) {
	w.t.Helper()
	if got, err := x.Wait(w.t.Context()); err != nil || got != want {
		w.t.Errorf("it ended with %v, %v, want %v", got, err, want)
	}
}

// Every exit code there is, by as many processes with crun, and every fourth with the others; they leave nothing behind.
func TestExecsLeaveNothingBehind(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		c := w.run("a", "exec sleep 600")
		one := func(code int) {
			stdout := &memory{}
			x, err := c.Exec(t.Context(), shell("echo hello; exit $(("+strings.Repeat("1+", code)+"0))"), ExecOptions{Connections: &Connections{Stdout: stdout}})
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := x.Wait(t.Context()); err != nil || got != (ExitStatus{Code: code}) || stdout.String() != "hello\n" {
				t.Errorf("exit %d: %v, %v, %q", code, got, err, stdout)
			}
			if err := x.Delete(); err != nil {
				t.Error(err)
			}
		}
		one(0) // what is made once and stays is there now
		files, goroutines := descriptors(t), runtime.NumGoroutine()
		step := 4 // for the time that runc takes
		if strings.HasSuffix(t.Name(), "/crun") {
			step = 1
		}
		for first := 3; first < 256; first += 4 * step {
			var four sync.WaitGroup
			for i := range 4 {
				four.Go(func() { one((first + i*step) % 256) })
			}
			four.Wait()
		}
		eventually(t, "the goroutines are gone", func() bool { return runtime.NumGoroutine() <= goroutines })
		eventually(t, "the descriptors are closed", func() bool { return descriptors(t) <= files })
		if left, err := filepath.Glob(w.stateDir + "/*/*"); err != nil || len(left) > 0 {
			t.Errorf("files left: %v, %v", left, err)
		}
		if left, err := os.ReadDir(w.logDir); err != nil || len(left) > 0 {
			t.Errorf("logs left: %v, %v", left, err)
		}
		if left := children(t); len(left) != 1 { // init
			t.Errorf("children: %q", left)
		}
		if processes, err := c.Processes(t.Context()); err != nil || len(processes) != 1 {
			t.Errorf("processes: %v, %v", processes, err)
		}
	})
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestExecAndSignals(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		c := w.run("a", "exec sleep 600")
		for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGUSR1} {
			near, far := pair(t)
			x := w.exec(c, shell("echo up; exec sleep 600"), &Connections{Stdout: near})
			reading(t, far).until("up\n") // before that it is the runtime that gets the signal
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := x.Wait(ctx); !errors.Is(err, ErrStillRunning) || !errors.Is(err, context.Canceled) {
				t.Errorf("wait: %v", err)
			}
			if err := x.Delete(); !errors.Is(err, ErrNotStopped) {
				t.Errorf("delete: %v", err)
			}
			if err := x.Kill(65); !errors.Is(err, ErrInvalidSignal) {
				t.Errorf("kill 65: %v", err)
			}
			if err := x.Kill(sig); err != nil {
				t.Error(err)
			}
			w.waitExec(x, ExitStatus{Signal: sig})
			if err := x.Kill(sig); !errors.Is(err, ErrNotRunning) {
				t.Errorf("kill of one that has ended: %v", err)
			}
		}
		if got := w.status(c); got != Running {
			t.Errorf("the container is %s", got)
		}
	})
}

func TestExecAsItIsToldTo(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		w.run("a", "exec sleep 600")
		c := container(t, w.Runtime, "a") // its id will do
		p := shell(`busybox id -u; busybox id -g; busybox id -G; pwd; echo "$X"; echo "$1"; echo to err >&2`)
		p.Args = append(p.Args, "sh", "a\nb")
		p.User = specs.User{UID: 1000, GID: 1001, AdditionalGids: []uint32{7}}
		p.Cwd, p.Env = "/tmp", append(p.Env, "X=y z")
		stdout, stderr := &memory{}, &memory{}
		x := w.exec(c, p, &Connections{Stdout: stdout, Stderr: stderr})
		if x.PipeRelay() == nil || x.Tty() != nil || x.PID() <= 1 || x.Process().PID != x.PID() {
			t.Errorf("%+v", x)
		}
		w.waitExec(x, ExitStatus{})
		if got, want := stdout.String(), "1000\n1001\n1001 7\n/tmp\ny z\na\nb\n"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if stderr.String() != "to err\n" {
			t.Errorf("%q", stderr)
		}
	})
}

func TestExecsStreams(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		c := w.run("a", "exec sleep 600")
		near, far := pair(t)
		sent := blob(1 << 20)
		x := w.exec(c, shell("exec cat"), &Connections{Stdin: near, Stdout: near})
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
		w.waitExec(x, ExitStatus{})
		// Without connections, files do, or nothing.
		out, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		x, err = c.Exec(t.Context(), shell("read x || echo file"), ExecOptions{Stdout: out})
		if err != nil {
			t.Fatal(err)
		}
		w.waitExec(x, ExitStatus{})
		if b, err := os.ReadFile(out.Name()); err != nil || string(b) != "file\n" {
			t.Errorf("%q, %v", b, err)
		}
	})
}

// Who leaves a child that holds the streams is not waited for beyond its own end, and loses nothing.
func TestExecThatLeavesAChild(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		c := w.run("a", "exec sleep 600", edit(withPts))
		for _, terminal := range []bool{false, true} {
			p := shell("trap '' HUP; sleep 600 & busybox head -c 3000 /dev/zero; exit 6")
			p.Terminal = terminal
			stdout := &memory{}
			x := w.exec(c, p, &Connections{Stdout: stdout})
			w.waitExec(x, ExitStatus{Code: 6})
			if stdout.Len() != 3000 || !stdout.closed {
				t.Errorf("terminal %v: %d bytes, closed: %v", terminal, stdout.Len(), stdout.closed)
			}
		}
		processes, err := c.Processes(t.Context())
		if err != nil || len(processes) != 3 {
			t.Errorf("the children are not there any more: %v, %v", processes, err)
		}
	})
}

func TestExecsTerminal(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		c := w.run("a", "exec sleep 600", edit(withPts))
		near, far := pair(t)
		p := shell(`read x; busybox stty size; [ -t 2 ] && echo "got $x"; exit 3`)
		p.Terminal, p.ConsoleSize = true, &specs.Box{Width: 100, Height: 50}
		x := w.exec(c, p, &Connections{Stdin: near, Stdout: near})
		if x.PipeRelay() != nil || x.Tty() == nil {
			t.Fatalf("%v, %v", x.PipeRelay(), x.Tty())
		}
		if err := x.Tty().Resize(80, 25); err != nil {
			t.Error(err)
		}
		far.Write([]byte("a line\r"))
		r := reading(t, far)
		r.until("25 80\r\ngot a line\r\n")
		r.end()
		w.waitExec(x, ExitStatus{Code: 3})
		if err := x.Tty().Resize(1, 1); err != nil {
			t.Errorf("resize after the end: %v", err)
		}
	})
}

// In a pid namespace of its own the container takes them along; else Wait kills them.
func TestWaitEndsExecsToo(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		for i, shared := range []func(o *bundleOptions){func(*bundleOptions) {}, hostPID} {
			c := w.run([]string{"own", "shared"}[i], "exec sleep 600", shared)
			stdout := &memory{}
			x := w.exec(c, shell("echo up; exec sleep 600"), &Connections{Stdout: stdout})
			if err := c.Kill(t.Context(), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			w.waitFor(c, ExitStatus{Signal: syscall.SIGKILL})
			if !over(x.done) {
				t.Error("it has not ended")
			}
			w.waitExec(x, ExitStatus{Signal: syscall.SIGKILL})
		}
	})
}

func TestProcessesTellWhoMadeThem(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		c := w.run("a", "sleep 600 & exec sleep 600")
		x := w.exec(c, shell("exec sleep 600"), nil)
		init, err := c.PID(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "there are three", func() bool {
			p, err := c.Processes(t.Context())
			return err == nil && len(p) == 3
		})
		processes, err := c.Processes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range processes {
			if want := slices.Contains([]int{init, x.PID()}, p.PID); p.ByRuntime != want {
				t.Errorf("%+v, by the runtime: want %v", p, want)
			}
		}
		if err := x.Kill(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		w.waitExec(x, ExitStatus{Signal: syscall.SIGKILL})
		before, err := w.readInit("a")
		if err := errors.Join(err, x.Delete(), x.Delete()); err != nil {
			t.Fatal(err)
		}
		if now, err := w.readInit("a"); err != nil || now != before || w.byRuntime("a", x.Process()) {
			t.Errorf("after delete: %v, %v", now, err)
		}
	})
}

func TestExecThatFails(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		out := t.TempDir()
		if err := os.WriteFile(filepath.Join(out, "file"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		c := w.run("a", "exec sleep 600", outDir(out))
		cwd := shell("exit 0")
		cwd.Cwd = "relative"
		program := func(name string) *specs.Process { p := shell(""); p.Args = []string{name}; return p }
		terminal := shell("exit 0")
		terminal.Terminal = true
		null := devNull(t)
		for _, f := range []struct {
			name string
			p    *specs.Process
			o    ExecOptions
			want error
		}{
			{"none", nil, ExecOptions{}, ErrProcess},
			{"no args", &specs.Process{Cwd: "/"}, ExecOptions{}, ErrProcess},
			{"cwd", cwd, ExecOptions{}, ErrProcess},
			{"missing in PATH", program("no\"such"), ExecOptions{}, ErrNoProgram},
			{"missing", program("/no/such"), ExecOptions{}, ErrNoProgram},
			{"below a file", program("/bin/sh/x"), ExecOptions{}, ErrNoProgram},
			{"a directory", program("/tmp"), ExecOptions{}, ErrNotExecutable},
			{"no program", program("/out/file"), ExecOptions{}, ErrNotExecutable},
			{"a file as terminal", terminal, ExecOptions{Stdout: null}, nil},
			{"two ways", shell(""), ExecOptions{Stdout: null, Connections: &Connections{}}, nil},
		} {
			stdout := &memory{}
			if f.o.Stdout == nil {
				f.o.Connections = &Connections{Stdout: stdout}
			}
			before := descriptors(t)
			if x, err := c.Exec(t.Context(), f.p, f.o); err == nil || f.want != nil && !errors.Is(err, f.want) || stdout.closed {
				t.Errorf("%s: %v, %v, closed: %v", f.name, x, err, stdout.closed)
			}
			eventually(t, f.name+": no descriptor is left", func() bool { return descriptors(t) <= before })
		}
		if left, err := os.ReadDir(w.stateDir); err != nil || len(left) != 1 { // the record of init
			t.Errorf("left: %v, %v", left, err)
		}
		// crun's orphan would hold it back.
		if err := c.Kill(t.Context(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		w.waitFor(c, ExitStatus{Signal: syscall.SIGKILL})
	})
}

func TestExecByARuntimeThatLies(t *testing.T) {
	for _, c := range []struct {
		name, script string
		timeout      bool
		want         error
	}{
		{name: "no pid file", script: "", want: ErrNoEffect},
		{name: "no terminal", script: `sleep 600 & echo $! >"$pidfile"`, want: ErrConsole},
		{name: "no answer", script: `sleep 600 & echo $! >"$pidfile"; sleep 600`, timeout: true, want: ErrTimeout},
		{name: "failed after all", script: `sleep 600 & echo $! >"$pidfile"; exit 1`, want: ErrNotRunning},
		{name: "stopped", script: `echo '{"level":"error","msg":"setns: what?"}' >"$log"; exit 1`, want: ErrNotRunning},
	} {
		timeout := long
		if c.timeout {
			timeout = short
		}
		r := scripted(t, timeout, `
			case $verb in
			state) echo '{"id":"a","status":"stopped","pid":0}' ;;
			exec) `+c.script+` ;;
			esac`)
		disturb(t, r)
		p := shell("")
		p.Terminal = true
		stdout := &memory{}
		_, err := container(t, r, "a").Exec(t.Context(), p, ExecOptions{Connections: &Connections{Stdout: stdout}})
		if !errors.Is(err, c.want) || stdout.closed {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	reapOrphans(t)
}
