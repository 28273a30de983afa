package pair_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/subreaper"
)

func TestLaunchAgain(t *testing.T) {
	w := startWorld(t)
	count := filepath.Join(w.dir, "count")
	runs := func() int { b, _ := os.ReadFile(count); return bytes.Count(b, []byte("x")) }
	blocked := `printf x >>"$DIR/count"; read line <"$FIFO"; ` + strings.ReplaceAll(createScript, "$FIFO", "$FIFO.2")
	w.must(unix.Mkfifo(w.fifo("join.1")+".2", 0o600))
	q := w.request("join.1")
	q.Args[2] = blocked

	var wg sync.WaitGroup
	got := make([]subreaper.Instance, 3)
	for i := range got {
		wg.Go(func() {
			in, err := w.client.Launch(t.Context(), q)
			if err != nil {
				t.Error(err)
			}
			got[i] = in
		})
	}
	w.eventually("the command runs", func() bool { return runs() > 0 })
	if h := w.hello(); h.Held != 1 { // it answers while a launch is in flight
		t.Errorf("%d held, want the one launch", h.Held)
	}
	w.tell("join.1", "go")
	wg.Wait()
	w.remember(got[0])
	if got[0].ID != "join.1" || got[1] != got[0] || got[2] != got[0] || runs() != 1 {
		t.Fatalf("joined launches: %+v, %d runs", got, runs())
	}
	if again := w.launch(q); again != got[0].Process || runs() != 1 {
		t.Fatalf("answered from the file: %+v, %d runs", again, runs())
	}
	if in, err := subreaper.ReadInstance(w.run, "join.1"); err != nil || in != got[0] {
		t.Fatalf("the file says %+v, %v", in, err)
	}
	kill(w.hello().Reaper)
	if again := w.launch(q); again != got[0].Process || runs() != 1 {
		t.Fatalf("answered from the file by an heir: %+v, %d runs", again, runs())
	}
}

// TestLaunchLost: what a killed reaper began is never begun again, and the heir keeps its time limit, however the
// command shows itself in ps.
func TestLaunchLost(t *testing.T) {
	const work = "printf x >>\"$DIR/count\"; sleep 1000"
	for name, script := range map[string]string{
		"binary":  "",
		"script":  "#!/bin/sh -e\n" + work + "\n",
		"wrapper": "#!/bin/sh\nexec /bin/sh -c '" + work + "; :' \"$@\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := startWorld(t)
			q := w.script("lost.1", work)
			if script != "" {
				q.Args = []string{filepath.Join(w.dir, "runtime"), "create", "lost.1"}
				w.must(os.WriteFile(q.Args[0], []byte(script), 0o700))
			}
			q.Timeout = 2 * time.Second // long enough for the kill to come first on a busy machine
			w.loseLaunch(q)
		})
	}
}

// TestAskedAgainAfterAWipe: without a file nobody knows any more what was launched, so what may have been is not begun.
func TestAskedAgainAfterAWipe(t *testing.T) {
	w := startWorld(t)
	q := w.request("wiped.1")
	p := w.launch(q)
	q.Again = true
	if again := w.launch(q); again != p {
		t.Fatalf("answered from the file: %+v", again)
	}
	w.must(os.RemoveAll(w.run.InstancesDir()))
	if _, err := w.client.Launch(w.ctx(), q); !errors.Is(err, subreaper.ErrLost) {
		t.Fatalf("asked again after the wipe: %v, want ErrLost", err)
	}
	w.tell("wiped.1", "exit 3")
	w.expect("wiped.1", code(3))
}

func (w *world) loseLaunch(q subreaper.Launch) {
	w.Helper()
	before := w.hello()
	failed := make(chan error)
	go func() {
		_, err := w.client.Launch(w.ctx(), q)
		failed <- err
	}()
	w.eventually("the command runs", func() bool { return exists(w.dir + "/count") })
	kill(before.Reaper)
	if err := <-failed; !errors.Is(err, subreaper.ErrLost) {
		w.Fatalf("the launch in flight: %v, want ErrLost", err)
	}
	if _, err := w.client.Launch(w.ctx(), q); !errors.Is(err, subreaper.ErrLost) {
		w.Fatalf("asked again: %v, want ErrLost", err)
	}
	w.eventually("the command is ended", func() bool { return len(childrenOf(before.Guard)) == 1 })
	if b, _ := os.ReadFile(filepath.Join(w.dir, "count")); string(b) != "x" {
		w.Fatalf("the command ran %d times", len(b))
	}
	if exists(w.run.Instance(q.ID)) || exists(w.run.Exit(q.ID)) {
		w.Error("a lost launch left a commit or an exit")
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestLaunchFailures(t *testing.T) {
	w := startWorld(t)
	link, fifo := filepath.Join(w.dir, "link"), filepath.Join(w.dir, "pipe")
	w.must(os.Symlink("/etc/passwd", link))
	w.must(unix.Mkfifo(fifo, 0o600))
	owner := w.launch(w.request("owner.1"))
	for id, row := range map[string]struct {
		change func(*subreaper.Launch)
		status syscall.WaitStatus
		text   string
	}{
		"status.1":     {script("exit 3"), code(3), "exit status 3"},
		"signal.1":     {script("kill -9 $$"), 9, "signal 9"},
		"no-pid.1":     {script("true"), 0, "no pid file"},
		"bad-pid.1":    {script(`echo none >"$PIDFILE"`), 0, "holds no pid"},
		"init-pid.1":   {script(`echo 1 >"$PIDFILE"`), 0, "holds no pid"},
		"parent-pid.1": {script(`echo $PPID >"$PIDFILE"`), 0, "not a child"},
		"dead-pid.1":   {script(`echo 4194304 >"$PIDFILE"`), 0, "pid 4194304"},
		"linked-pid.1": {script(`ln -s /etc/passwd "$PIDFILE"`), 0, "too many levels"},
		"stolen-pid.1": {script(`cat "$DIR/owner.1.pid" >"$PIDFILE"`), 0, "another instance's"},
		"no-binary.1":  {func(q *subreaper.Launch) { q.Args[0] = "/nonexistent" }, 0, "no such file"},
		"no-dir.1":     {func(q *subreaper.Launch) { q.Dir = "/nonexistent" }, 0, "no such file"},
		"link-out.1":   {func(q *subreaper.Launch) { q.Stdout = link }, 0, "too many levels"},
		"fifo-err.1":   {func(q *subreaper.Launch) { q.Stderr = fifo }, 0, "no such device"},
		"dir-out.1":    {func(q *subreaper.Launch) { q.Stdout = w.dir }, 0, "is a directory"},
		"relative.1":   {func(q *subreaper.Launch) { q.Stdout = "log" }, 0, "not an absolute path"},
		"no-limit.1":   {func(q *subreaper.Launch) { q.Timeout = 0 }, 0, "time limit"},
		"too-long.1":   {func(q *subreaper.Launch) { q.Timeout = 1 << 62 }, 0, "time limit"},
		"no-command.1": {func(q *subreaper.Launch) { q.Args = nil }, 0, "command"},
		"escape.1":     {func(q *subreaper.Launch) { q.ID = "../escape" }, 0, "not valid"},
	} {
		q := w.request(id)
		q.Timeout = 200 * time.Millisecond // parent-pid.1 uses it up: a container may become ours late
		row.change(&q)
		in, err := w.client.Launch(t.Context(), q)
		e, ok := errors.AsType[*subreaper.LaunchError](err)
		if !ok || e.Status != row.status || e.TimedOut || !strings.Contains(e.Message, row.text) {
			t.Errorf("%s: %+v, %v; want status %#x and %q", id, in, err, uint32(row.status), row.text)
		}
		if exists(w.run.Instance(id)) {
			t.Errorf("%s was committed", id)
		}
	}
	w.tell("owner.1", "exit 9")
	w.expect("owner.1", code(9))
	w.reaped(owner)
	if h := w.hello(); h.Held != 0 || len(childrenOf(h.Reaper)) != 0 {
		t.Errorf("left: %+v, children %v", h, childrenOf(h.Reaper))
	}
}

func script(s string) func(*subreaper.Launch) {
	return func(q *subreaper.Launch) { q.Args = []string{"/bin/sh", "-c", s} }
}

func TestLaunchTimeout(t *testing.T) {
	w := startWorld(t)
	q := w.script("slow.1", "sleep 1000 & sleep 1000")
	q.Timeout = 100 * time.Millisecond
	_, err := w.client.Launch(t.Context(), q)
	if e, ok := errors.AsType[*subreaper.LaunchError](err); !ok || !e.TimedOut || e.Status != 9 {
		t.Fatalf("got %v, want a time-out", err)
	}
	if _, err := w.client.Launch(t.Context(), q); !errors.Is(err, subreaper.ErrLost) {
		t.Fatalf("asked again: %v, want ErrLost: the id is spent", err)
	}
	reaper := w.hello().Reaper
	w.eventually("its helper is ended and reaped", func() bool { return len(childrenOf(reaper)) == 0 })
}

// TestChildThatFallsLate: crun returns before its init has become the subreaper's child.
func TestChildThatFallsLate(t *testing.T) {
	w := startWorld(t)
	late := `((read line <"$FIFO"; eval "$line") & echo $! >"$PIDFILE"; sleep 0.05) & until [ -s "$PIDFILE" ]; do :; done`
	q := w.request("late.1")
	q.Args[2] = late
	p := w.launch(q)
	if got := parent(p.PID); got != w.hello().Reaper {
		t.Fatalf("committed while it was a child of %d", got)
	}
	w.tell("late.1", "exit 5")
	w.expect("late.1", code(5))
}

func TestOutputIsAppendedToPrivateLogs(t *testing.T) {
	stray, err := unix.Open("/dev/zero", unix.O_RDONLY, 0) // not close-on-exec: the guard is given it by mistake
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(stray) }()
	w := startWorld(t)
	reaper := w.hello().Reaper
	for _, id := range []string{"log.1", "log.2"} {
		// Descriptor 3 is the shell's own, on the directory that it lists.
		q := w.script(id, `umask; echo out; echo err >&2; readlink /proc/self/fd/0; echo /proc/$$/fd/*; `+
			`grep -E "SigBlk|SigIgn" /proc/self/status; sleep 1000 & echo $! >"$PIDFILE"`)
		q.Stdout, q.Stderr = w.logFile("both"), w.logFile("both")
		w.launch(q)
		w.must(syscall.Kill(reaper, syscall.SIGHUP)) // the image after it passes nothing on either
	}
	b, err := os.ReadFile(w.logFile("both"))
	w.must(err)
	fds := regexp.MustCompile(`/proc/\d+/fd/`).ReplaceAllString(string(b), "")
	// Signals 32 and 33 are the C library's own; Go leaves them as whoever started it did.
	once := fmt.Sprintf("0022\nout\nerr\n/dev/null\n0 1 2 3\nSigBlk:\t%016x\nSigIgn:\t%016x\n", 0, ignoredSignals(t)&(3<<31))
	if fds != once+once {
		t.Errorf("log:\n%q, want twice\n%q", fds, once)
	}
	for path, want := range map[string]os.FileMode{w.logFile("both"): 0o600, filepath.Dir(w.logFile("both")): 0o700 | os.ModeDir} {
		if s, err := os.Stat(path); err != nil || s.Mode() != want {
			t.Errorf("%s: %v, %v; want mode %v", path, s.Mode(), err, want)
		}
	}
}

// ignoredSignals is this process's own mask of ignored signals, as it was started with it.
func ignoredSignals(t *testing.T) uint64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if hex, ok := strings.CutPrefix(line, "SigIgn:\t"); ok {
			mask, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			return mask
		}
	}
	t.Fatal("no SigIgn")
	return 0
}

func TestSocketIsForRoot(t *testing.T) {
	w := startWorld(t)
	if s, err := os.Stat(w.run.Socket()); err != nil || s.Mode().Perm() != 0o600 {
		t.Fatalf("socket: %v, %v", s, err)
	}
	w.must(os.Chmod(w.run.Socket(), 0o666)) // the mode is not what keeps strangers out
	for dir := w.run; len(dir) > len(os.TempDir()); dir = subreaper.RunDir(filepath.Dir(string(dir))) {
		w.must(os.Chmod(string(dir), 0o755))
	}
	refused := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine, and its uid with it
		_, _, e := unix.RawSyscall(unix.SYS_SETRESUID, 65534, 65534, 65534)
		if e != 0 {
			refused <- e
			return
		}
		refused <- refusal(w.run)
	}()
	if err := <-refused; err != nil {
		t.Error(err)
	}
	w.eventually("it is logged", func() bool { return strings.Contains(w.log(), "uid 65534 is not root") })
}

// refusal connects by raw calls on the calling thread and returns nil if the connection is closed without a reply.
func refusal(run subreaper.RunDir) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	dir, err := unix.Open(string(run), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(dir) }()
	var cwd [4096]byte
	_, _ = unix.Getcwd(cwd[:])
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: run.Socket()}); err != nil {
		return err
	}
	_, _ = unix.Write(fd, []byte(`{"protocol":1}`))
	var b [256]byte
	if n, err := unix.Read(fd, b[:]); n > 0 {
		return errors.New("it was answered")
	} else if err != nil && !errors.Is(err, unix.ECONNRESET) {
		return err
	}
	return nil
}

func TestBadPackets(t *testing.T) {
	w := startWorld(t)
	before := w.hello()
	for _, packet := range []string{"{", "null and void", strings.Repeat("x", subreaper.MaxPacket+1), `{"protocol":"one"}`, "\x00"} {
		if got := raw(t, w, packet); got != "" {
			t.Errorf("%.20q was answered: %s", packet, got)
		}
	}
	if got := raw(t, w, `{"protocol":99,"launch":{"id":"future.1"}}`); !strings.Contains(got, `"protocol":1`) || strings.Contains(got, "failed") {
		t.Errorf("another protocol: %q, want the Hello alone", got)
	}
	if after := w.hello(); after != before || exists(w.run.Launching("future.1")) {
		t.Errorf("something happened: %+v", after)
	}
}

// TestClientThatHasGone: a controller that died while its request waited in the backlog must not have a container made.
func TestClientThatHasGone(t *testing.T) {
	w := startWorld(t)
	reaper := w.hello().Reaper
	w.must(syscall.Kill(reaper, syscall.SIGSTOP))
	packet, err := json.Marshal(subreaper.Request{Protocol: subreaper.ProtocolVersion, Launch: new(w.request("gone.1"))})
	w.must(err)
	conn, err := net.Dial("unixpacket", w.run.Socket())
	w.must(err)
	_, err = conn.Write(packet)
	w.must(err)
	w.must(conn.Close())
	w.must(syscall.Kill(reaper, syscall.SIGCONT))
	w.launch(w.request("here.1")) // accepted after it
	if exists(w.run.Launching("gone.1")) {
		t.Error("the request of a dead client was served")
	}
}

func raw(t *testing.T, w *world, packet string) string {
	t.Helper()
	conn, err := net.Dial("unixpacket", w.run.Socket())
	w.must(err)
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte(packet)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	n, err := conn.Read(b)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, unix.ECONNRESET) {
		t.Fatal(err)
	}
	return string(b[:n])
}
