package runc

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestLifecycle(t *testing.T) {
	w := newWorld(t)
	ctx, out := t.Context(), t.TempDir()
	c := w.create("web.1", `trap 'exit 3' TERM; echo up >/out/up; while :; do sleep 0.01; done`, outDir(out),
		edit(func(s *specs.Spec) { s.Annotations = map[string]string{"owner": "me"}; s.Process.Cwd = "/made/for/it" }))
	s, err := c.State(ctx)
	if err != nil || s.ID != "web.1" || s.Status != Created || s.PID <= 1 || s.Created.IsZero() || s.Annotations["owner"] != "me" {
		t.Fatalf("%+v, %v", s, err)
	}
	if !exists(filepath.Join(s.Bundle, "rootfs/made/for/it")) {
		t.Error("its cwd was not made")
	}
	if pid, err := c.PID(ctx); err != nil || pid != s.PID {
		t.Errorf("pid %d, %v, want %d", pid, err, s.PID)
	}
	if exists(filepath.Join(out, "up")) {
		t.Error("it ran before it was started")
	}
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if got := w.status(c); got != Running {
		t.Errorf("it is %s", got)
	}
	eventually(t, "it is up", func() bool { return exists(filepath.Join(out, "up")) })
	processes, err := c.Processes(ctx)
	i := slices.IndexFunc(processes, func(p ProcessInfo) bool { return p.PID == s.PID })
	if err != nil || i < 0 || len(processes[i].Command) != 3 || processes[i].Command[1] != "-c" || processes[i].StartTime == 0 {
		t.Errorf("processes: %+v, %v", processes, err)
	}
	if err := c.Kill(ctx, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Wait(ctx); err != nil || got != (ExitStatus{Code: 3}) {
		t.Errorf("it ended with %v, %v", got, err)
	}
	if got := w.status(c); got != Stopped {
		t.Errorf("it is %s", got)
	}
	if processes, err := c.Processes(ctx); err != nil || len(processes) > 0 {
		t.Errorf("processes when stopped: %v, %v", processes, err)
	}
	if err := c.Delete(ctx, DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if ok, err := c.Exists(ctx); ok || err != nil {
		t.Errorf("exists: %v, %v", ok, err)
	}
	nothingLeft(t, w.Runtime, w.parent)
	// The id is free again.
	again := w.create("web.1", "exit 0")
	if again.init == c.init {
		t.Errorf("the new container has the old one's init %v", c.init)
	}
}

func TestWaitTellsHowItEnded(t *testing.T) {
	w := newWorld(t)
	for i, c := range []struct {
		script string
		kill   syscall.Signal
		want   ExitStatus
	}{
		{script: "exit 0", want: ExitStatus{}},
		{script: "exit 7", want: ExitStatus{Code: 7}},
		{script: "exit 137", want: ExitStatus{Code: 137}}, // not to be taken for SIGKILL
		{script: "exec sleep 600", kill: syscall.SIGKILL, want: ExitStatus{Signal: syscall.SIGKILL}},
	} {
		container := w.run("a."+strconv.Itoa(i), c.script)
		if c.kill != 0 {
			if err := container.Kill(t.Context(), c.kill); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if got, err := container.Wait(t.Context()); err != nil || got != c.want {
				t.Errorf("%s: %+v, %v, want %+v", c.script, got, err, c.want)
			}
		}
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	c := w.run("a", "exec sleep 600")
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var errs [3]error
	for i := range errs {
		wg.Go(func() { _, errs[i] = c.Wait(ctx) })
	}
	cancel()
	wg.Wait()
	for _, err := range errs {
		if !errors.Is(err, ErrStillRunning) || !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	}
	if got := w.status(c); got != Running {
		t.Errorf("it is %s", got)
	}
}

func TestWaitersAllLearnTheStatus(t *testing.T) {
	w := newWorld(t)
	c := w.create("a", "exit 9")
	var wg sync.WaitGroup
	var got [5]ExitStatus
	var errs [5]error
	for i := range got {
		wg.Go(func() { got[i], errs[i] = c.Wait(t.Context()) })
	}
	if err := c.Start(t.Context()); err != nil {
		t.Error(err)
	}
	wg.Wait()
	for i := range got {
		if errs[i] != nil || got[i] != (ExitStatus{Code: 9}) {
			t.Errorf("%v, %v", got[i], errs[i])
		}
	}
}

// A container opened by its id is waited for by the init that Create recorded, also once it has ended.
func TestWaitByID(t *testing.T) {
	w := newWorld(t)
	made := w.run("a", "exit 5")
	eventually(t, "it is stopped", func() bool { return w.status(made) == Stopped })
	c, err := w.Container("a")
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Wait(t.Context())
	if err != nil || got != (ExitStatus{Code: 5}) {
		t.Errorf("%v, %v", got, err)
	}
	// Only one can have it: the other one's init is gone, and not taken for its pid's next owner.
	if _, err := made.Wait(t.Context()); !errors.Is(err, ErrNotChild) {
		t.Errorf("%v", err)
	}
	made.exit = &got // for the cleanup
}

func TestWaitForSomebodyElsesChild(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ name, script string }{
		{"reaped by its parent", "sleep 600 & echo $!; wait; exec sleep 600"},
		{"held as a zombie by its parent", "sleep 600 & echo $!; exec sleep 600"},
	} {
		parent := exec.Command("sh", "-c", c.script)
		stdout, err := parent.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := parent.Start(); err != nil {
			t.Fatal(err)
		}
		line := make([]byte, 32)
		n, err := stdout.Read(line)
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(line[:n])))
		if err != nil {
			t.Fatal(err)
		}
		container, err := w.Container("a")
		if err != nil {
			t.Fatal(err)
		}
		if container.init, err = identify(pid); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() { _, err = container.Wait(t.Context()) })
		kill(t, pid)
		wg.Wait()
		if !errors.Is(err, ErrNotChild) {
			t.Errorf("%s: %v", c.name, err)
		}
		parent.Process.Kill()
		parent.Wait()
	}
}

func TestErrorsOfTheRuntime(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	missing, err := w.Container("missing")
	if err != nil {
		t.Fatal(err)
	}
	created, running, paused, stopped := w.create("created", "exit 0"), w.run("running", "exec sleep 600"), w.run("paused", "exec sleep 600"), w.stopped("stopped")
	w.verb("paused", "pause", "paused")
	t.Cleanup(func() { w.call(context.Background(), "resume", "paused", "paused") })

	start := func(c *Container) error { return c.Start(ctx) }
	term := func(c *Container) error { return c.Kill(ctx, syscall.SIGTERM) }
	termAll := func(c *Container) error { return c.KillAll(ctx, syscall.SIGTERM) }
	remove := func(c *Container) error { return c.Delete(ctx, DeleteOptions{}) }
	force := func(c *Container) error { return c.Delete(ctx, DeleteOptions{Force: true}) }
	state := func(c *Container) error { _, err := c.State(ctx); return err }
	processes := func(c *Container) error { _, err := c.Processes(ctx); return err }
	initOf := func(c *Container) error { _, err := c.Init(ctx); return err }
	for _, c := range []struct {
		name string
		do   func(*Container) error
		on   *Container
		want error
	}{
		{"state", state, missing, ErrNotExist},
		{"start", start, missing, ErrNotExist},
		{"kill", term, missing, ErrNotExist},
		{"kill all", termAll, missing, ErrNotExist},
		{"delete", remove, missing, ErrNotExist},
		{"delete, forced,", force, missing, nil},
		{"ps", processes, missing, ErrNotExist},
		{"init", initOf, missing, ErrNotExist},
		{"start", start, running, ErrAlreadyRunning},
		{"start", start, paused, ErrAlreadyRunning},
		{"start", start, stopped, ErrNotRunning},
		{"kill", term, stopped, ErrNotRunning},
		{"kill all", termAll, stopped, nil},
		{"delete", remove, running, ErrNotStopped},
		{"delete", remove, paused, ErrNotStopped},
		{"ps", processes, stopped, nil},
		{"init", initOf, stopped, nil},
	} {
		err := c.do(c.on)
		if c.want == nil && err != nil || !errors.Is(err, c.want) {
			t.Errorf("%s of %s: %v, want %v", c.name, c.on.ID(), err, c.want)
		}
		if e, ok := errors.AsType[*Error](err); err != nil && (!ok || e.ExitStatus == (ExitStatus{}) || e.Message == "" || e.ID != c.on.ID()) {
			t.Errorf("%s of %s: %#v", c.name, c.on.ID(), err)
		}
	}
	if _, err := w.Create(ctx, "running", w.bundle("running", "exit 0"), CreateOptions{}); !errors.Is(err, ErrExist) {
		t.Errorf("create, id taken: %v", err)
	}
	// The runtime's own word for it, as a launch by somebody else meets it.
	cmd, err := w.CreateCommand("running", w.bundle("running", "exit 0"), CreateOptions{PIDFile: t.TempDir() + "/pid"})
	if err != nil {
		t.Fatal(err)
	}
	foreign := exec.Command(cmd.Args[0], cmd.Args[1:]...)
	foreign.Env, foreign.Dir = cmd.Env, cmd.Dir
	foreign.Run()
	if err := cmd.Err(foreign.ProcessState.Sys().(syscall.WaitStatus)); !errors.Is(err, ErrExist) {
		t.Errorf("create command, id taken: %v", err)
	}
	os.Remove(cmd.Log)

	// None of that changed anything.
	for c, want := range map[*Container]Status{created: Created, running: Running, paused: Paused, stopped: Stopped} {
		if got := w.status(c); got != want {
			t.Errorf("%s is %s", c.ID(), got)
		}
		if _, err := w.readInit(c.ID()); err != nil {
			t.Errorf("%s: %v", c.ID(), err)
		}
	}
	w.verb("paused", "resume", "paused")
}

func TestCreateThatFailsLeavesNothing(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name, fails string
		is          error
		spoil       func(bundle string) error
		edit        func(*specs.Spec)
	}{
		{name: "no executable", fails: "no-such-program", edit: func(s *specs.Spec) { s.Process.Args = []string{"no-such-program"} }},
		{name: "args that read like an error of the runtime", fails: "container with given ID already exists",
			edit: func(s *specs.Spec) { s.Process.Args = []string{"container with given ID already exists"} }},
		{name: "not executable", fails: "ermission denied", edit: func(s *specs.Spec) { s.Process.Args = []string{"/plain"} },
			spoil: func(b string) error { return os.WriteFile(filepath.Join(b, "rootfs/plain"), nil, 0o600) }},
		{name: "no rootfs", fails: "open the root filesystem", edit: func(s *specs.Spec) { s.Root.Path = "missing" }},
		{name: "cwd leads out", is: ErrEscapes, fails: "/elsewhere", edit: func(s *specs.Spec) { s.Process.Cwd = "/elsewhere" },
			spoil: func(b string) error { return os.Symlink(t.TempDir(), filepath.Join(b, "rootfs/elsewhere")) }},
		{name: "relative cwd", fails: "must be an absolute path", edit: func(s *specs.Spec) { s.Process.Cwd = "tmp" }},
		{name: "config.json truncated", is: ErrBundle, fails: "config.json:1:", spoil: func(b string) error { return os.Truncate(filepath.Join(b, "config.json"), 1) }},
		{name: "config.json missing", is: os.ErrNotExist, fails: "config.json", spoil: func(b string) error { return os.Remove(filepath.Join(b, "config.json")) }},
		{name: "bundle missing", is: ErrBundle, fails: "config.json", spoil: os.RemoveAll},
	} {
		t.Run(c.name, func(t *testing.T) {
			bundle := w.bundle("a", "exit 0", edit(func(s *specs.Spec) {
				if c.edit != nil {
					c.edit(s)
				}
			}))
			if c.spoil != nil {
				if err := c.spoil(bundle); err != nil {
					t.Fatal(err)
				}
			}
			_, err := w.Create(t.Context(), "a", bundle, CreateOptions{})
			if err == nil || !strings.Contains(err.Error(), c.fails) || c.is != nil && !errors.Is(err, c.is) || errors.Is(err, ErrExist) {
				t.Errorf("%v, want %q", err, c.fails)
			}
			nothingLeft(t, w.Runtime, w.parent)
		})
	}
}

// The time limit, here the context's, strikes at any point of a create.
func TestCreateCutShortLeavesNothing(t *testing.T) {
	w := newWorld(t)
	bundle := w.bundle("a", "exit 0")
	var cut, whole int
	for i := range 40 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*time.Millisecond)
		c, err := w.Create(ctx, "a", bundle, CreateOptions{})
		cancel()
		switch {
		case err == nil:
			whole++
			w.end(c)
		case errors.Is(err, context.DeadlineExceeded):
			cut++
		default:
			t.Errorf("after %d ms: %v", i, err)
		}
		nothingLeft(t, w.Runtime, w.parent)
	}
	if cut == 0 {
		t.Error("no create was cut short")
	}
	t.Logf("%d cut short, %d whole", cut, whole)
}

// wrapped returns the world's runtime behind a script that runs before or after the real one's create.
func (w *world) wrapped(before, after string) *Runtime {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "wrapper")
	script := "#!/bin/sh\n[ $7 = create ] || exec " + w.path + ` "$@"` + "\n" + before + "\n" + w.path + ` "$@" || exit` + "\n" + after + "\n"
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		w.t.Fatal(err)
	}
	r := *w.Runtime
	r.path = path
	return &r
}

func TestCreateThatHangsLeavesNothing(t *testing.T) {
	w := newWorld(t)
	marker := filepath.Join(t.TempDir(), "hangs")
	hang := "touch " + marker + "; exec sleep 600"
	for _, c := range []struct{ name, before, after string }{
		{name: "before", before: hang},
		{name: "after", after: hang},
		{name: "after, without a pid file", after: `while [ "$1" != --pid-file ]; do shift; done; rm "$2"; ` + hang},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer os.Remove(marker)
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() {
				for !exists(marker) && ctx.Err() == nil {
					time.Sleep(time.Millisecond)
				}
				cancel()
			})
			_, err := w.wrapped(c.before, c.after).Create(ctx, "a", w.bundle("a", "exit 0"), CreateOptions{})
			cancel()
			wg.Wait()
			if !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "clean up") {
				t.Errorf("%v", err)
			}
			nothingLeft(t, w.Runtime, w.parent)
		})
	}
}

func TestFailedStartLeavesALiveContainerAlone(t *testing.T) {
	w := newWorld(t)
	c := w.create("a", "exec sleep 600")
	r := *w.Runtime
	r.path = filepath.Join(t.TempDir(), "wrapper")
	if err := os.WriteFile(r.path, []byte("#!/bin/sh\n"+w.path+" \"$@\" && exit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	broken := *c
	broken.r = &r
	if err := broken.Start(t.Context()); err == nil {
		t.Error("no error")
	}
	if got := w.status(c); got != Running || !alive(c.init.PID) {
		t.Errorf("it is %s", got)
	}
	if p, err := w.readInit("a"); err != nil || p != c.init {
		t.Errorf("its init is recorded as %v, %v", p, err)
	}
}

func TestListWithDamagedEntries(t *testing.T) {
	w := newWorld(t)
	if s, d, err := w.List(t.Context()); err != nil || len(s) > 0 || len(d) > 0 {
		t.Fatalf("empty: %v, %v, %v", s, d, err)
	}
	w.create("created", "exit 0")
	w.stopped("stopped")
	for _, file := range []string{"state.json", "status"} { // runc's and crun's
		for name, text := range map[string]string{"empty": "", "torn": `{"id":"to`, "object": "{}"} {
			dir := filepath.Join(w.root, name)
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	nothing := filepath.Join(w.root, "nothing")
	if err := os.Mkdir(nothing, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(nothing) })
	states, damaged, err := w.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Status{}
	for _, s := range states {
		got[s.ID] = s.Status
	}
	if len(got) != 2 || got["created"] != Created || got["stopped"] != Stopped {
		t.Errorf("states: %v", got)
	}
	var ids []string
	for _, d := range damaged {
		if d.Err == nil {
			t.Errorf("%s: damaged, without an error", d.ID)
		}
		ids = append(ids, d.ID)
	}
	slices.Sort(ids)
	if want := []string{"empty", "nothing", "object", "torn"}; !slices.Equal(ids, want) {
		t.Errorf("damaged: %q, want %q", ids, want)
	}
}

func TestSharedPIDNamespaceOutlivesItsInit(t *testing.T) {
	w := newWorld(t)
	out := t.TempDir()
	c := w.run("a", "sleep 600 & echo $! >/out/pid; exit 4", hostPID, outDir(out))
	if got, err := c.Wait(t.Context()); err != nil || got.Code != 4 {
		t.Fatalf("%v, %v", got, err)
	}
	text, err := os.ReadFile(filepath.Join(out, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || !alive(child) {
		t.Fatalf("its child %q is not alive: %v", text, err)
	}
	if err := c.KillAll(t.Context(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	reapOrphan(t, strconv.Itoa(child), syscall.SIGKILL)
}

func TestFilesReachTheContainer(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	open := func(name, text string) *os.File {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	o := CreateOptions{Stdin: open("in", "typed\n"), Stdout: open("out", ""), Stderr: open("err", ""), ExtraFiles: []*os.File{open("extra", "passed on\n")}}
	c, err := w.Create(t.Context(), "a", w.bundle("a", "cat; cat <&3; echo oops >&2"), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.end(c) })
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Wait(t.Context()); err != nil || got.Code != 0 {
		t.Errorf("%v, %v", got, err)
	}
	for name, want := range map[string]string{"out": "typed\npassed on\n", "err": "oops\n"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// The path of whoever lets another process run the create.
func TestCreateCommandIsWhole(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	cmd, err := w.CreateCommand("a", w.bundle("a", "exit 6"), CreateOptions{PIDFile: dir + "/init.pid", Log: dir + "/create.log"})
	if err != nil {
		t.Fatal(err)
	}
	foreign := exec.Command(cmd.Args[0], cmd.Args[1:]...)
	foreign.Env, foreign.Dir = cmd.Env, cmd.Dir
	if err := foreign.Run(); err != nil {
		t.Fatal(errors.Join(err, cmd.Err(foreign.ProcessState.Sys().(syscall.WaitStatus))))
	}
	c, err := w.Container("a")
	if err != nil {
		t.Fatal(err)
	}
	// Nothing is recorded, so the runtime is asked.
	init, err := c.Init(t.Context())
	text, _ := os.ReadFile(cmd.PIDFile)
	if err != nil || strconv.Itoa(init.PID) != string(text) || init.StartTime == 0 {
		t.Errorf("%v, %v, want %s", init, err, text)
	}
	c.init = init
	t.Cleanup(func() { w.end(c) })
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Wait(t.Context()); err != nil || got.Code != 6 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := (&Container{r: c.r, id: "a", wait: make(chan struct{}, 1)}).Init(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("init of a stopped one, unrecorded: %v", err)
	}
}
