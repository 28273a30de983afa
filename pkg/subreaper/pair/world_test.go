package pair_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/internal/runctest"
	"reconciler.dev/reconciler/pkg/subreaper"
	_ "reconciler.dev/reconciler/pkg/subreaper/pair" // else go test takes a cached result for a changed program
)

// program is the real one, built once: what is killed, measured and replaced here is what users run.
var program []byte

func TestMain(m *testing.M) {
	// What both guard and reaper leave falls to this process, which plays the part of pid 1.
	err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	if err == nil {
		program, err = build()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	runctest.Main(m)
}

// build keeps the program in memory and leaves no directory behind: runctest.Main does not return.
func build() ([]byte, error) {
	dir, err := os.MkdirTemp("", "subreaper")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "reconciler-subreaper")
	cmd := exec.Command("go", "build", "-o", path, "reconciler.dev/reconciler/cmd/reconciler-subreaper")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build: %w\n%s", err, out)
	}
	return os.ReadFile(path)
}

const patience = 20 * time.Second // a bound for what must happen at all, not a measure of anything

// world is one run and state directory with a pair kept alive by a client.
type world struct {
	testing.TB
	dir    string
	binary string
	run    subreaper.RunDir
	state  string
	client *subreaper.Client
	stop   func() // ends Keep
	tells  bool   // its kernel tells the exits of reaped processes

	mu    sync.Mutex
	inits map[string]subreaper.Process // every instance ever committed
}

// newWorld prepares a world; start brings the pair up.
func newWorld(t testing.TB) *world {
	t.Helper()
	runctest.Require(t, runctest.Root, runctest.Pidfd)
	w := &world{TB: t, dir: t.TempDir(), inits: map[string]subreaper.Process{}, stop: func() {}}
	w.run, w.state = subreaper.RunDir(filepath.Join(w.dir, "var/run")), filepath.Join(w.dir, "state")
	w.binary = filepath.Join(w.dir, "reconciler-subreaper")
	w.must(os.WriteFile(w.binary, program, 0o755))
	w.useBinary(w.binary)
	t.Cleanup(w.tearDown)
	return w
}

func startWorld(t testing.TB) *world {
	t.Helper()
	w := newWorld(t)
	w.start()
	return w
}

func (w *world) useBinary(path string) {
	w.Helper()
	c, err := subreaper.NewClient(subreaper.Config{Run: w.run, State: w.state, Binary: path})
	w.must(err)
	w.client = c
}

func (w *world) start() {
	w.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = w.client.Keep(ctx) }()
	w.stop = sync.OnceFunc(func() { cancel(); <-done })
	w.must(w.client.Ready(w.ctx()))
}

func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	w.Cleanup(cancel)
	return ctx
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// eventually polls until ok is true: what it waits for is done by other processes.
func (w *world) eventually(what string, ok func() bool) {
	w.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			w.Fatalf("not within %v: %s\n%s", patience, what, w.log())
		}
	}
}

func (w *world) log() string {
	b, _ := os.ReadFile(w.run.Log())
	return string(b)
}

// tearDown kills what is left, by pid, and fails the test if anything of the world survives that.
func (w *world) tearDown() {
	w.stop()
	for _, p := range w.inits {
		_ = p.Signal(syscall.SIGKILL)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = w.client.Stop(ctx) // as a courtesy: what does not stop is killed
	// Freeze both before killing either, or one heals the other.
	for alive := w.roles(""); len(alive) > 0; alive = w.roles("") {
		for _, pid := range alive {
			_ = syscall.Kill(pid, syscall.SIGSTOP)
		}
		for _, pid := range alive {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		reapAll()
	}
	// What fell to us after two deaths in a row: inits that lost launches left, and those of a test that failed.
	for _, pid := range children() {
		kill(pid)
	}
	w.eventually("no child of the test is left", func() bool { reapAll(); return len(children()) == 0 })
	if w.Failed() {
		w.Logf("subreaper.log:\n%s", w.log())
	}
}

// reapAll reaps every dead child, as a slow pid 1 does.
func reapAll() {
	for _, pid := range children() {
		_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
	}
}

func children() []int {
	var pids []int
	threads, _ := filepath.Glob("/proc/self/task/*/children")
	for _, path := range threads {
		b, _ := os.ReadFile(path)
		for f := range strings.FieldsSeq(string(b)) {
			pid, _ := strconv.Atoi(f)
			pids = append(pids, pid)
		}
	}
	return pids
}

// roles lists the living processes of this world with the given role, or with any.
func (w *world) roles(role string) []int {
	var pids []int
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || !subreaper.IsRole(pid, w.run) {
			continue
		}
		if role == "" || roleOf(pid) == role {
			pids = append(pids, pid)
		}
	}
	return pids
}

func roleOf(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	args := strings.Split(string(b), "\x00")
	if len(args) < 2 {
		return ""
	}
	return args[1]
}

func (w *world) hello() subreaper.Hello {
	w.Helper()
	h, err := w.client.Hello(w.ctx())
	w.must(err)
	return h
}

// whole waits until a reaper answers that is not the one of before, or below another guard.
func (w *world) whole(before subreaper.Hello) subreaper.Hello {
	w.Helper()
	var h subreaper.Hello
	w.eventually("a new pair", func() bool {
		var err error
		h, err = w.client.Hello(w.ctx())
		return err == nil && (h.Guard != before.Guard || h.Reaper != before.Reaper)
	})
	return h
}

// kill never takes what means a group, or everybody: a test that went wrong must not end its own machine.
func kill(pid int) {
	if pid > 1 {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// The stand-in for a container runtime: it leaves an orphan and ends, which is all that the reaper may rely on. The
// orphan reads a line from a FIFO and evaluates it: the test says how each init ends.
const createScript = `(read line <"$FIFO"; eval "$line") & echo $! >"$PIDFILE"`

// request makes the launch of an init that obeys w.tell.
func (w *world) request(id string) subreaper.Launch {
	w.Helper()
	if err := unix.Mkfifo(w.fifo(id), 0o600); err != nil && !errors.Is(err, unix.EEXIST) {
		w.Fatal(err)
	}
	return w.script(id, createScript)
}

func (w *world) script(id, script string) subreaper.Launch {
	pidFile := filepath.Join(w.dir, id+".pid")
	return subreaper.Launch{
		ID: id, Args: []string{"/bin/sh", "-c", script}, Dir: w.dir, PIDFile: pidFile,
		Env:    []string{"PATH=" + os.Getenv("PATH"), "PIDFILE=" + pidFile, "FIFO=" + w.fifo(id), "DIR=" + w.dir},
		Stdout: w.logFile(id), Stderr: w.logFile(id), Timeout: patience,
	}
}

func (w *world) fifo(id string) string    { return filepath.Join(w.dir, id+".fifo") }
func (w *world) logFile(id string) string { return filepath.Join(w.dir, "logs", id, "1.log") }

func (w *world) launch(q subreaper.Launch) subreaper.Process {
	w.Helper()
	in, err := w.client.Launch(w.ctx(), q)
	w.must(err)
	w.remember(in)
	return in.Process
}

func (w *world) remember(in subreaper.Instance) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inits[in.ID] = in.Process
}

// tell has an init evaluate a line of shell. Nobody reading means that it is dead already.
func (w *world) tell(id, line string) {
	w.Helper()
	f, err := os.OpenFile(w.fifo(id), os.O_RDWR, 0) // O_RDWR: does not wait for the reader
	w.must(err)
	_, err = f.WriteString(line + "\n")
	w.must(err)
	w.Cleanup(func() { _ = f.Close() }) // what is unread is gone with the last descriptor
}

// exit waits for the exit record.
func (w *world) exit(id string) subreaper.Exit {
	w.Helper()
	var e subreaper.Exit
	w.eventually("an exit record of "+id, func() bool {
		var err error
		e, err = subreaper.ReadExit(w.run, id)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.Fatal(err)
		}
		return err == nil
	})
	return e
}

// expect waits for the exit record and compares it with the truth.
func (w *world) expect(id string, status syscall.WaitStatus, sources ...subreaper.Source) {
	w.Helper()
	e := w.exit(id)
	w.mu.Lock()
	process := w.inits[id]
	w.mu.Unlock()
	if e.Process != process || e.Status != status {
		w.Errorf("exit of %s: %+v; want status %#x of %+v", id, e, uint32(status), process)
	}
	if len(sources) == 0 {
		sources = []subreaper.Source{subreaper.SourceWaitid}
	}
	for _, s := range sources {
		if e.Source == s {
			return
		}
	}
	w.Errorf("exit of %s is known by %q (%s), want %q", id, e.Source, e.Reason, sources)
}

// reaped waits until nothing is left of the process.
func (w *world) reaped(p subreaper.Process) {
	w.Helper()
	w.eventually(fmt.Sprintf("pid %d is reaped", p.PID), func() bool {
		s, err := subreaper.ReadStat(p.PID)
		return err != nil || s.StartTime != p.StartTime
	})
}

func parent(pid int) int {
	s, err := subreaper.ReadStat(pid)
	if err != nil {
		return 0
	}
	return s.Parent
}

func code(n int) syscall.WaitStatus { return syscall.WaitStatus(n << 8) }
