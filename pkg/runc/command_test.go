package runc

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// The path of whoever lets another process run the create.
func TestCreateCommandIsWhole(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
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
	})
}

func TestCreateCommand(t *testing.T) {
	t.Setenv("LISTEN_FDS", "1")
	t.Setenv("NOTIFY_SOCKET", "/run/notify")
	r := scripted(t, long, "")
	c, err := r.CreateCommand("web.1", "/b", CreateOptions{PIDFile: "/p", Log: "/l", NoPivot: true, NoNewKeyring: true, ExtraFiles: make([]*os.File, 2)})
	if err != nil {
		t.Fatal(err)
	}
	want := r.path + " --root " + r.root + " --log /l --log-format json create --bundle /b --pid-file /p --no-pivot --no-new-keyring --preserve-fds 2 web.1"
	if got := strings.Join(c.Args, " "); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if c.Dir != "/" || c.PIDFile != "/p" || c.Log != "/l" || len(c.Env) == 0 {
		t.Errorf("%+v", c)
	}
	for _, kv := range c.Env {
		if strings.HasPrefix(kv, "LISTEN_FDS=") || strings.HasPrefix(kv, "NOTIFY_SOCKET=") {
			t.Errorf("in the environment: %s", kv)
		}
	}
	c, err = r.CreateCommand("web.1", "/b", CreateOptions{})
	if err != nil || c.PIDFile != r.stateDir+"/web.1.pid" || c.Log != r.logDir+"/web.1.create.log" {
		t.Errorf("%+v, %v", c, err)
	}
	for _, bad := range []struct {
		id, bundle string
		o          CreateOptions
	}{{id: "a/b", bundle: "/b"}, {id: "a", bundle: "b"}, {id: "a", bundle: "/b", o: CreateOptions{PIDFile: "p"}}, {id: "a", bundle: "/b", o: CreateOptions{Log: "l"}}} {
		if c, err := r.CreateCommand(bad.id, bad.bundle, bad.o); err == nil {
			t.Errorf("%+v: %q", bad, c.Args)
		}
	}
}

func TestCommandErr(t *testing.T) {
	r := scripted(t, long, "")
	log := filepath.Join(t.TempDir(), "log")
	c, err := r.CreateCommand("web.1", "/b", CreateOptions{PIDFile: "/p", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Err(0); err != nil {
		t.Errorf("success: %v", err)
	}
	if err := c.Err(1 << 8); err == nil || !strings.Contains(err.Error(), "its log cannot be read") {
		t.Errorf("without a log: %v", err)
	}
	if err := os.WriteFile(log, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Err(9); err == nil || !strings.Contains(err.Error(), "failed without an error in its log (signal 9)") {
		t.Errorf("empty log: %v", err)
	}
	text := `{"level":"warning","msg":"w"}` + "\n" + `{"level":"error","msg":"runc create failed: container with given ID already exists"}` + "\n"
	if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	err = c.Err(1 << 8)
	e, ok := errors.AsType[*Error](err)
	if !ok || !errors.Is(err, ErrExist) || e.Op != "create" || e.ID != "web.1" || e.ExitStatus.Code != 1 || e.Log != text {
		t.Errorf("%+v", err)
	}
}
