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

// scripted returns a Runtime whose runtime is a shell script. The script finds the verb in $verb, the container's id in
// $id and the paths in $root, $log and $pidfile.
func scripted(t *testing.T, timeout time.Duration, script string) *Runtime {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "fakerunc")
	const preamble = `#!/bin/sh
root=$2 log=$4 verb=$7 pidfile=
for id; do [ "$last" != --pid-file ] || pidfile=$id; last=$id; done
`
	if err := os.WriteFile(path, []byte(preamble+script), 0o700); err != nil {
		t.Fatal(err)
	}
	r, err := New(Config{
		Path: path, Root: filepath.Join(dir, "root"), LogDir: filepath.Join(dir, "log"), StateDir: filepath.Join(dir, "state"), Timeout: timeout,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, d := range []string{r.logDir, r.stateDir} {
			if left, err := os.ReadDir(d); err != nil || len(left) > 0 {
				t.Errorf("left in %s: %v, %v", d, left, err)
			}
		}
	})
	return r
}

func container(t *testing.T, r *Runtime, id string) *Container {
	t.Helper()
	c, err := r.Container(id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// plainBundle is enough of a bundle for a runtime that does not look at it.
func plainBundle(t *testing.T) string {
	t.Helper()
	bundle := t.TempDir()
	config := `{"root":{"path":"rootfs"},"process":{"args":["x"],"cwd":"/work"}}`
	if err := errors.Join(os.Mkdir(filepath.Join(bundle, "rootfs"), 0o755),
		os.WriteFile(filepath.Join(bundle, "config.json"), []byte(config), 0o600)); err != nil {
		t.Fatal(err)
	}
	return bundle
}

// long is more time than anything needs; short is waited for in full.
const (
	long  = 30 * time.Second
	short = 200 * time.Millisecond
)

func TestNew(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(dir, "open")
	if err := errors.Join(os.Mkdir(open, 0o700), os.Chmod(open, 0o777), os.Symlink(dir, filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	good := Config{Path: "/bin/true", Root: dir + "/a/root", LogDir: dir + "/a/log", StateDir: dir + "/a/state"}
	for _, c := range []struct {
		name  string
		edit  func(*Config)
		is    error
		fails string
	}{
		{"name not in PATH", func(c *Config) { c.Path = "no-such-runtime" }, ErrNoRuntime, `"no-such-runtime" is not in PATH: install it`},
		{"absent", func(c *Config) { c.Path = dir + "/absent" }, ErrNoRuntime, "/absent is not there"},
		{"not executable", func(c *Config) { c.Path = plain }, ErrNoRuntime, "/plain is not executable"},
		{"a directory", func(c *Config) { c.Path = dir }, ErrNoRuntime, dir},
		{"relative", func(c *Config) { c.Path = "bin/runc" }, ErrNoRuntime, "or an absolute path"},
		{"relative root", func(c *Config) { c.Root = "root" }, nil, `runtime root "root": must be an absolute path`},
		{"no log directory", func(c *Config) { c.LogDir = "" }, nil, `runtime log directory "": must be an absolute path`},
		{"others may write", func(c *Config) { c.StateDir = open }, nil, "others may write there"},
		{"a link", func(c *Config) { c.StateDir = dir + "/link" }, nil, "is a symlink"},
		{"below a file", func(c *Config) { c.Root = plain + "/root" }, nil, "not a directory"},
		{"negative time limit", func(c *Config) { c.Timeout = -1 }, nil, "must be positive"},
	} {
		config := good
		c.edit(&config)
		_, err := New(config)
		if err == nil || !strings.Contains(err.Error(), c.fails) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v, want %q", c.name, err, c.fails)
		}
	}
	r, err := New(good)
	if err != nil || r.Path() != "/bin/true" {
		t.Fatal(err)
	}
	for _, d := range []string{good.Root, good.LogDir, good.StateDir} {
		if info, err := os.Stat(d); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", d, info, err)
		}
	}
}

func TestNewRefusesARelativeEntryOfPATH(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("PATH", ".")
	if err := os.WriteFile("runc", []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Root: dir + "/r", LogDir: dir + "/l", StateDir: dir + "/s"}); !errors.Is(err, ErrNoRuntime) {
		t.Errorf("%v", err)
	}
}

func TestCreateCommand(t *testing.T) {
	t.Setenv("LISTEN_FDS", "1")
	t.Setenv("NOTIFY_SOCKET", "/run/notify")
	r := scripted(t, long, "")
	c, err := r.CreateCommand("web.1", "/b", CreateOptions{PIDFile: "/p", Log: "/l", NoPivot: true, ExtraFiles: make([]*os.File, 2)})
	if err != nil {
		t.Fatal(err)
	}
	want := r.path + " --root " + r.root + " --log /l --log-format json create --bundle /b --pid-file /p --no-pivot --preserve-fds 2 web.1"
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

// reapOrphan does what a subreaper owes, and fails unless the process has been ended by that signal.
func reapOrphan(t *testing.T, text string, sig syscall.Signal) {
	t.Helper()
	pid, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	var status unix.WaitStatus
	for deadline := time.Now().Add(long); ; time.Sleep(time.Millisecond) {
		got, err := unix.Wait4(pid, &status, unix.WNOHANG, nil)
		if got == pid {
			break
		}
		if err != nil && !errors.Is(err, unix.ECHILD) || time.Now().After(deadline) {
			t.Fatalf("process %d lives on, or is not ours: %v", pid, err)
		}
	}
	if status.Signal() != sig {
		t.Errorf("process %d ended by %v", pid, status.Signal())
	}
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

func TestCreateChecksThePIDFile(t *testing.T) {
	for _, c := range []struct {
		name, script string
		want         error
	}{
		{"none", "", ErrNoEffect},
		{"empty", `: >"$pidfile"`, ErrBadOutput},
		{"text", `echo soon >"$pidfile"`, ErrBadOutput},
		{"pid 1", `echo 1 >"$pidfile"`, ErrBadOutput},
		{"nobody", `echo 4194305 >"$pidfile"`, ErrNotRunning}, // beyond PID_MAX_LIMIT
		{"fifo", `mkfifo "$pidfile"`, ErrNoEffect},
	} {
		r := scripted(t, long, `
			case $verb in
			create) mkdir "$root/$id"; `+c.script+` ;;
			delete) rmdir "$root/$id" ;;
			esac`)
		_, err := r.Create(t.Context(), "a", plainBundle(t), CreateOptions{})
		if !errors.Is(err, c.want) || r.has("a") {
			t.Errorf("%s: %v, want %v; container left: %v", c.name, err, c.want, r.has("a"))
		}
	}
}

func TestCreateSaysWhatItCouldNotCleanUp(t *testing.T) {
	r := scripted(t, short, `mkdir -p "$root/$id"; exec sleep 600`)
	_, err := r.Create(t.Context(), "a", plainBundle(t), CreateOptions{})
	if !errors.Is(err, ErrTimeout) || !strings.Contains(err.Error(), "fakerunc create a") || !strings.Contains(err.Error(), "clean up after it: fakerunc delete a") {
		t.Errorf("%v", err)
	}
}

func TestFailedCreateLeavesAnotherOnesContainerAlone(t *testing.T) {
	r := scripted(t, long, `
		[ $verb = create ] || { touch "$root/deleted"; exit 0; }
		mkdir "$root/$id" # the other one's, in the last moment
		echo '{"level":"error","msg":"container with given ID already exists"}' >"$log"; exit 1`)
	for range 2 { // the second time it is there from the start
		if _, err := r.Create(t.Context(), "a", plainBundle(t), CreateOptions{}); !errors.Is(err, ErrExist) {
			t.Errorf("%v", err)
		}
	}
	if _, err := os.Stat(filepath.Join(r.root, "deleted")); err == nil || !r.has("a") {
		t.Error("delete was called")
	}
}

func TestWipedDirectoriesAreMadeAgain(t *testing.T) {
	r := scripted(t, long, `echo '{"id":"a","status":"stopped"}'`)
	for _, d := range []string{r.root, r.logDir, r.stateDir} {
		if err := os.RemoveAll(d); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := container(t, r, "a").State(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSignalsAreValidated(t *testing.T) {
	r := scripted(t, long, `touch "$root/called"`)
	c := container(t, r, "a")
	for _, sig := range []syscall.Signal{-1, 0, 65} {
		if err := c.Kill(t.Context(), sig); !errors.Is(err, ErrInvalidSignal) {
			t.Errorf("kill %d: %v", sig, err)
		}
		if err := c.KillAll(t.Context(), sig); !errors.Is(err, ErrInvalidSignal) {
			t.Errorf("kill all %d: %v", sig, err)
		}
	}
	if _, err := os.Stat(filepath.Join(r.root, "called")); err == nil {
		t.Error("the runtime was called")
	}
}

func TestListAsksOneByOneWhereTheListFails(t *testing.T) {
	const states = `
		state)
			case $id in
			good) echo '{"id":"good","status":"stopped"}' ;;
			*) echo '{"level":"error","msg":"torn"}' >"$log"; exit 1 ;;
			esac ;;
		esac`
	for name, list := range map[string]string{
		"crun: one damaged status fails it": `echo '{"level":"error","msg":"torn"}' >"$log"; exit 1`,
		"runc 1.5.2 panics":                 `echo panic >&2; exit 2`,
		"garbage":                           `echo garbage`,
		"runc leaves it out":                `echo '[{"id":"good","status":"stopped"}]'; echo 'load container torn: EOF' >&2`,
		"null":                              `echo null`,
	} {
		r := scripted(t, long, `case $verb in list) `+list+` ;;`+states)
		for _, id := range []string{"good", "torn", ".hidden", "bad id"} {
			if err := os.Mkdir(filepath.Join(r.root, id), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		found, damaged, err := r.List(t.Context())
		if err != nil || len(found) != 1 || found[0].ID != "good" {
			t.Errorf("%s: %v, %v", name, found, err)
		}
		errs := map[string]error{}
		for _, d := range damaged {
			errs[d.ID] = d.Err
		}
		if len(errs) != 3 || !errors.Is(errs[".hidden"], ErrInvalidID) || !errors.Is(errs["bad id"], ErrInvalidID) || errs["torn"] == nil {
			t.Errorf("%s: damaged: %v", name, damaged)
		}
	}
}

func TestListFailsWithARuntimeThatDoesNotAnswer(t *testing.T) {
	r := scripted(t, short, `echo x >>"$root/calls"; exec sleep 600`)
	for i := range 5 {
		if err := os.Mkdir(filepath.Join(r.root, strconv.Itoa(i)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if s, d, err := r.List(t.Context()); !errors.Is(err, ErrTimeout) || s != nil || d != nil {
		t.Errorf("%v, %v, %v", s, d, err)
	}
	if calls, _ := os.ReadFile(filepath.Join(r.root, "calls")); string(calls) != "x\n" {
		t.Errorf("it was called again: %q", calls)
	}
}

func TestListLeavesOutWhatIsDeletedMeanwhile(t *testing.T) {
	r := scripted(t, long, `case $verb in list) rmdir "$root/a"; echo null ;; state) echo '{"level":"error","msg":"container does not exist"}' >"$log"; exit 1 ;; esac`)
	if err := os.Mkdir(filepath.Join(r.root, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	if s, d, err := r.List(t.Context()); err != nil || len(s) > 0 || len(d) > 0 {
		t.Errorf("%v, %v, %v", s, d, err)
	}
}

func TestListOfAMissingRootIsEmpty(t *testing.T) {
	r := scripted(t, long, `exit 1`)
	if err := os.RemoveAll(r.root); err != nil {
		t.Fatal(err)
	}
	if s, d, err := r.List(t.Context()); err != nil || len(s) > 0 || len(d) > 0 {
		t.Errorf("%v, %v, %v", s, d, err)
	}
}
