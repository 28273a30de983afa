package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/internal/runctest"
	"reconciler.dev/reconciler/pkg/logs"
	"reconciler.dev/reconciler/pkg/logs/cri"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// child is a relay in a process of its own.
type child struct {
	*exec.Cmd
	stderr bytes.Buffer
}

func (w *world) startChild() *child {
	w.Helper()
	c := &child{Cmd: exec.Command("/proc/self/exe")}
	c.Env = append(os.Environ(), envRelay+"="+w.dirs.State[:len(w.dirs.State)-len("/state")])
	c.Stderr = &c.stderr
	w.must(c.Start())
	return c
}

// kill kills the relay and fails the test if it had ended by itself.
func (w *world) kill(c *child) {
	w.Helper()
	_ = c.Process.Kill()
	_ = c.Wait()
	if s := c.ProcessState.Sys().(syscall.WaitStatus); !s.Signaled() {
		w.Fatalf("the relay ended by itself: %v\n%s", c.ProcessState, c.stderr.String())
	}
	for complaint := range strings.Lines(c.stderr.String()) {
		if len(w.filling) == 0 || !strings.Contains(complaint, unix.ENOSPC.Error()) {
			w.Errorf("the relay complained: %s", complaint)
		}
		w.heldUp++
	}
}

// feed writes numbered lines, blocking, until told to stop, and tells how many. Some are long, some are written in
// pieces, some many at a time.
func (w *world) feed(id string, stream int, seed uint64, stop <-chan struct{}) (lines int) {
	fd := w.ends[id][stream]
	r := rand.New(rand.NewPCG(seed, uint64(stream)))
	for i := 0; ; {
		select {
		case <-stop:
			return i
		default:
		}
		if int64(i) > 1000*(1+w.kills.Load()) { // so much a kill is enough, however long each takes
			time.Sleep(100 * time.Microsecond)
			continue
		}
		var b []byte
		for range []int{1, 1, 1, 30, 300}[r.IntN(5)] {
			b = append(b, feedLine(i)...)
			i++
		}
		for len(b) > 0 {
			n, err := unix.Write(fd, b[:min(len(b), 1+r.IntN(8000))])
			if errors.Is(err, unix.EAGAIN) {
				_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 1)
				continue
			}
			if err != nil {
				w.Error(err)
				return i
			}
			b = b[n:]
		}
		if r.IntN(10) == 0 {
			time.Sleep(time.Duration(r.IntN(3000)) * time.Microsecond) // some are quiet at times; nothing depends on it
		}
	}
}

func feedLine(i int) []byte {
	length := i % 113
	if i%1009 == 0 {
		length = 40_000
	}
	b := strconv.AppendInt(nil, int64(i), 10)
	b = append(b, ' ')
	for k := range length {
		b = append(b, 'a'+byte(k%26))
	}
	return append(b, '\n')
}

// TestKilledAtRandom: whenever the relay is killed, each line is in the log once, whole, and in its order.
func TestKilledAtRandom(t *testing.T) {
	for name, bound := range map[string]subreaper.Output{
		"one file":   {MaxSize: 1 << 40, MaxFiles: 1},
		"many files": {MaxSize: 64 << 10, MaxFiles: 1000}, // a rotation every few passes
	} {
		t.Run(name, func(t *testing.T) { killMany(newWorld(t), bound, 60) })
	}
}

// TestKilledWhileDisksFillUp: the same, with no room in the directories of logs and journals again and again.
func TestKilledWhileDisksFillUp(t *testing.T) {
	w := newWorld(t)
	w.filling = []string{w.dirs.Logs, string(w.dirs.Run)}
	for _, dir := range w.filling {
		w.small(dir, "1g")
	}
	killMany(w, subreaper.Output{MaxSize: 256 << 10, MaxFiles: 1000}, 60)
}

// fillUp has a file system full most of the time, at the most unlucky bytes, until that is stopped.
func (w *world) fillUp(dir string) (stop func()) {
	over := make(chan struct{})
	var filling sync.WaitGroup
	filling.Go(func() {
		resize := func(bytes uint64) { // to less than is used fails, and then it is full a moment later
			_ = unix.Mount("none", dir, "", unix.MS_REMOUNT, fmt.Sprintf("size=%d", bytes))
		}
		defer resize(1 << 30)
		for r := rand.New(rand.NewPCG(7, 8)); ; {
			var s unix.Statfs_t
			if err := unix.Statfs(dir, &s); err == nil {
				resize((s.Blocks-s.Bfree)*uint64(s.Bsize) + r.Uint64N(32)*4096)
			}
			for _, size := range []uint64{0, 1 << 30} {
				if size != 0 {
					resize(size)
				}
				select {
				case <-over:
					return
				case <-time.After(time.Duration(1+r.IntN(4)) * time.Millisecond):
				}
			}
		}
	})
	stop = sync.OnceFunc(func() { close(over); filling.Wait() })
	w.Cleanup(stop)
	return stop
}

func killMany(w *world, bound subreaper.Output, kills int) {
	t := w.TB
	runctest.Require(t, runctest.Pidfd)
	ids := []string{"a.1", "b.1"}
	for _, id := range ids {
		w.launch(id, bound)
	}
	var empty []func()
	for _, dir := range w.filling {
		empty = append(empty, w.fillUp(dir))
	}
	stop := make(chan struct{})
	counts := map[string]*[2]int{}
	var wg sync.WaitGroup
	for k, id := range ids {
		count := &[2]int{}
		counts[id] = count
		for stream := range 2 {
			wg.Go(func() { count[stream] = w.feed(id, stream, uint64(k), stop) })
		}
	}
	r := rand.New(rand.NewPCG(5, 6))
	c := w.startChild()
	over, followed := make(chan struct{}), make(chan []byte, 1)
	go func() { followed <- w.follow(ids[0], over) }()
	reader := w.startReader(ids[1])
	// On a busy machine, where each start takes long, fewer kills must do.
	const fewest, longest = 10, 10 * time.Second
	began, killed := time.Now(), 0
	for ; killed < kills && (killed < fewest || time.Since(began) < longest); killed++ {
		w.kills.Store(int64(killed))
		w.eventually("the relay has the lock", w.holds(c))
		time.Sleep(time.Duration(r.IntN(10_000)) * time.Microsecond) // at any instant
		if r.IntN(3) > 0 {
			w.kill(c)
			c = w.startChild()
			continue
		}
		next := w.startChild() // which kills it, though it is stopped perhaps
		if r.IntN(2) == 0 {
			_ = c.Process.Signal(syscall.SIGSTOP)
		}
		w.eventually("the successor has the lock", w.holds(next))
		w.kill(c)
		c = next
	}
	close(stop)
	wg.Wait()
	for _, empty := range empty {
		empty()
	}
	for _, id := range ids {
		w.exit(id)
	}
	w.eventually("all output is in the logs", func() bool {
		for _, id := range ids {
			if _, err := os.Lstat(w.dirs.Run.Output(id)); err == nil {
				return false
			}
		}
		return true
	})
	w.kill(c)
	t.Logf("%d kills, %d complaints that there is no room", killed, w.heldUp)
	if len(w.filling) > 0 && w.heldUp == 0 {
		t.Error("the disks were never full: the test proves nothing")
	}
	close(over)
	for _, id := range ids {
		var want [2][]byte
		for stream := range want {
			for i := range counts[id][stream] {
				want[stream] = append(want[stream], feedLine(i)...)
			}
			t.Logf("%s: %d lines, %d bytes in stream %d, %d files", id, counts[id][stream], len(want[stream]), stream, len(w.logFiles(id[:1])))
		}
		w.expect(id, want[0], want[1])
		if id == ids[1] {
			reader.expect(want)
		}
		if entries, err := os.ReadDir(w.dirs.Run.FIFOsDir()); err != nil || len(entries) != 0 {
			t.Errorf("left: %v, %v", entries, err)
		}
	}
	if got := <-followed; bound.MaxFiles == 1 && !bytes.Equal(got, w.read(ids[0])) {
		t.Errorf("who followed the log saw something else: %s", difference(got, w.read(ids[0])))
	}
}

// follow reads a log as it grows, as log shippers do. It sees what it has read only once.
func (w *world) follow(id string, over <-chan struct{}) (seen []byte) {
	for last := false; ; {
		if f, err := os.Open(w.path(id)); err == nil {
			b, err := io.ReadAll(io.NewSectionReader(f, int64(len(seen)), 1<<40))
			if err != nil {
				w.Error(err)
			}
			seen = append(seen, b...)
			_ = f.Close()
		}
		if last {
			return seen
		}
		select {
		case <-over:
			last = true
		case <-time.After(time.Millisecond):
		}
	}
}

// reader follows the logs of a container as `logs -f` does.
type reader struct {
	w    *world
	mu   sync.Mutex
	seen [2][]byte
	stop func()
}

func (w *world) startReader(id string) *reader {
	r := &reader{w: w}
	name, _, _ := parseID(id)
	var l *logs.Reader
	w.eventually("there is a log", func() (there bool) {
		var err error
		l, err = logs.Open(w.dirs.Logs, name, logs.Options{Follow: true})
		return err == nil
	})
	ctx, cancel := context.WithCancel(w.Context())
	var reading sync.WaitGroup
	reading.Go(func() {
		defer l.Close()
		for {
			line, err := l.Next(ctx)
			if err != nil {
				return
			}
			r.mu.Lock()
			b := &r.seen[slices.Index(cri.Streams[:], line.Stream)]
			*b = append(*b, line.Text...)
			if line.Ended {
				*b = append(*b, '\n')
			}
			r.mu.Unlock()
		}
	})
	r.stop = func() { cancel(); reading.Wait() }
	w.Cleanup(r.stop)
	return r
}

func (r *reader) expect(want [2][]byte) {
	r.w.Helper()
	defer r.stop()
	for i := range want {
		r.w.eventually("the reader has read it all", func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return len(r.seen[i]) >= len(want[i])
		})
		if !bytes.Equal(r.seen[i], want[i]) {
			r.w.Errorf("who read %s saw %s", cri.Streams[i], difference(r.seen[i], want[i]))
		}
	}
}

func (w *world) read(id string) []byte {
	w.Helper()
	b, err := os.ReadFile(w.path(id))
	w.must(err)
	return b
}

// eventually waits for a condition, much longer than it can take.
func (w *world) eventually(what string, met func() bool) {
	w.Helper()
	for deadline := time.Now().Add(time.Minute); !met(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("not within a minute: %s", what)
		}
	}
}

// holds tells whether a relay has signed the lock.
func (w *world) holds(c *child) func() bool {
	return func() bool {
		b, _ := os.ReadFile(LockPath(w.dirs.State))
		return bytes.Contains(b, fmt.Appendf(nil, `"pid":%d,`, c.Process.Pid))
	}
}

// TestSuccessorKillsTheHolder, be it stopped: two of them would take from the same FIFOs.
func TestSuccessorKillsTheHolder(t *testing.T) {
	runctest.Require(t, runctest.Pidfd)
	w := newWorld(t)
	first := w.startChild()
	w.eventually("the first has signed", w.holds(first))
	w.must(first.Process.Signal(syscall.SIGSTOP))
	second := w.startChild()
	_ = first.Wait()
	if s := first.ProcessState.Sys().(syscall.WaitStatus); s.Signal() != syscall.SIGKILL {
		t.Errorf("the first ended with %v", first.ProcessState)
	}
	w.eventually("the second has signed", w.holds(second))
	// A signature of another process, of another boot or of nobody kills nobody.
	w.kill(second)
	for _, signature := range []string{
		"", "{", `{"pid":1,"startTime":1,"bootID":""}`, fmt.Sprintf(`{"pid":%d,"startTime":1,"bootID":"x"}`, os.Getpid()),
	} {
		w.must(os.WriteFile(LockPath(w.dirs.State), []byte(signature), 0o600))
		c := w.startChild()
		w.eventually("it has signed", w.holds(c))
		w.kill(c)
	}
}
