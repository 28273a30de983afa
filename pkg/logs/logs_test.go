package logs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"reconciler.dev/reconciler/internal/runctest"
	"reconciler.dev/reconciler/pkg/logs"
	"reconciler.dev/reconciler/pkg/logs/cri"
)

func TestMain(m *testing.M) { runctest.Main(m) }

// tree is a directory of logs.
type tree struct {
	testing.TB
	dir string
}

func newTree(t testing.TB) *tree { return &tree{t, t.TempDir()} }

func (t *tree) must(err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (t *tree) path(file string) string { return filepath.Join(t.dir, "web", file) }

// add appends to a log of the container web.
func (t *tree) add(file, content string) {
	t.Helper()
	t.must(os.MkdirAll(t.path(""), 0o700))
	f, err := os.OpenFile(t.path(file), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	t.must(err)
	_, err = f.WriteString(content)
	t.must(err)
	t.must(f.Close())
}

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

// line is one line of a log, some seconds after the epoch.
func line(second int, stream string, tag byte, text string) string {
	at := epoch.Add(time.Duration(second) * time.Second).UnixNano()
	return string(cri.AppendPrefix(nil, at, stream, tag)) + text + "\n"
}

func full(second int, text string) string { return line(second, "stdout", cri.Full, text) }

// show is what a reader finds, one line for each of a container's; a line without its newline ends with a backslash.
func (t *tree) show(o logs.Options) (shown []string) {
	t.Helper()
	r, err := logs.Open(t.dir, "web", o)
	t.must(err)
	defer r.Close()
	for {
		l, err := r.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return shown
		}
		t.must(err)
		shown = append(shown, text(l))
	}
}

func text(l logs.Line) string {
	s := fmt.Sprintf("%d %s", l.Attempt, l.Text)
	if l.Stream == "stderr" {
		s = fmt.Sprintf("%d stderr %s", l.Attempt, l.Text)
	}
	if !l.Ended {
		s += `\`
	}
	return s
}

func (t *tree) expect(o logs.Options, want ...string) {
	t.Helper()
	if got := t.show(o); !slices.Equal(got, want) {
		t.Errorf("%+v: %q, want %q", o, got, want)
	}
}

func TestRead(t *testing.T) {
	w := newTree(t)
	w.add("1.log", full(0, "old"))
	w.add("2.log.1", full(1, "one")+line(2, "stderr", cri.Full, "two"))
	w.add("2.log.2", full(3, "three")+line(4, "stdout", cri.Partial, "fo"))
	w.add("2.log.10", line(5, "stderr", cri.Full, "aside")+line(6, "stdout", cri.Partial, "u"))
	w.add("2.log", full(7, "r")+full(8, ""))
	w.add("2.log.x", full(9, "no log"))
	w.must(os.Mkdir(w.path("9.log"), 0o700))
	all := []string{"2 one", "2 stderr two", "2 three", "2 stderr aside", "2 four", "2 "}
	w.expect(logs.Options{}, all...)
	w.expect(logs.Options{Attempt: 1}, "1 old")
	for n := 1; n < 8; n++ {
		w.expect(logs.Options{Tail: n}, all[max(0, len(all)-n):]...)
	}
	w.expect(logs.Options{Since: epoch.Add(3 * time.Second)}, all[2:]...)
	w.expect(logs.Options{Since: epoch.Add(8 * time.Second)}, all[5:]...)
	w.expect(logs.Options{Since: time.Now().Add(time.Hour)})
	for _, o := range []logs.Options{{Attempt: 3}, {Attempt: 9}} {
		if _, err := logs.Open(w.dir, "web", o); err == nil {
			t.Errorf("%+v was opened", o)
		}
	}
	for _, name := range []string{"other", "..", "../x", ""} {
		if r, err := logs.Open(w.dir, name, logs.Options{}); err == nil {
			r.Close()
			t.Errorf("%q was opened", name)
		}
	}
	if _, err := logs.Open(w.dir+"/none", "web", logs.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory of logs: %v", err)
	}
}

// TestSinceOfALogThatGrows: what is written after Open is not read, nor what is older.
func TestSinceOfALogThatGrows(t *testing.T) {
	w := newTree(t)
	w.add("1.log", full(0, "one"))
	r, err := logs.Open(w.dir, "web", logs.Options{Since: time.Now().Add(time.Hour)})
	w.must(err)
	defer r.Close()
	w.add("1.log", full(1, "two"))
	if l, err := r.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("read %q, %v", l.Text, err)
	}
}

// TestWithoutFormat: logs from before there was one are what the container wrote, whatever that looks like later on.
func TestWithoutFormat(t *testing.T) {
	w := newTree(t)
	long := strings.Repeat("x", 200_000)
	w.add("1.log", "hello\n\n"+full(0, "looks like one")+long+"\n$ ")
	shown := w.show(logs.Options{})
	got := strings.Join(shown, "|")
	if want := "1 hello|1 |1 " + strings.TrimSuffix(full(0, "looks like one"), "\n"); !strings.HasPrefix(got, want) {
		t.Errorf("%.300q, want %q", got, want)
	}
	if n := strings.Count(got, "x"); n != len(long) || shown[len(shown)-1] != `1 $ \` {
		t.Errorf("%d bytes of the long line, %q at the end", n, shown[len(shown)-1])
	}
	w.add("2.log", "a\nb\nc\nd")
	w.expect(logs.Options{Tail: 2}, "2 c", `2 d\`)
	w.expect(logs.Options{Since: time.Now().Add(time.Hour)})
	w.add("3.log", "no newline")
	w.expect(logs.Options{Tail: 5}, `3 no newline\`)
	w.add("4.log", "")
	w.expect(logs.Options{})
}

// TestLineInTheMiddleOfItsWrite is shown once it is whole; what has no newline at all is shown at the end.
func TestLineInTheMiddleOfItsWrite(t *testing.T) {
	w := newTree(t)
	half := full(1, "second")
	w.add("1.log", full(0, "first")+half[:len(half)-3])
	w.expect(logs.Options{}, "1 first")
	w.expect(logs.Options{Tail: 1}, "1 first")
	w.add("1.log", half[len(half)-3:]+line(2, "stdout", cri.Partial, "$ "))
	w.expect(logs.Options{}, "1 first", "1 second", `1 $ \`)
	w.expect(logs.Options{Tail: 2}, "1 second", `1 $ \`)
}

// TestLongLine: one longer than is held comes in pieces.
func TestLongLine(t *testing.T) {
	w := newTree(t)
	part := strings.Repeat("y", cri.MaxText)
	for range 200 {
		w.add("1.log", line(0, "stdout", cri.Partial, part))
	}
	w.add("1.log", full(1, "end")+full(2, "next"))
	r, err := logs.Open(w.dir, "web", logs.Options{})
	w.must(err)
	defer r.Close()
	length := 0
	for {
		l, err := r.Next(t.Context())
		w.must(err)
		length += len(l.Text)
		if len(l.Text) > 2<<20 {
			t.Fatalf("%d bytes in a piece", len(l.Text))
		}
		if l.Ended {
			break
		}
	}
	if want := 200*cri.MaxText + 3; length != want {
		t.Errorf("%d bytes, want %d", length, want)
	}
	if l, err := r.Next(t.Context()); err != nil || text(l) != "1 next" {
		t.Errorf("then %q, %v", text(l), err)
	}
}

// TestTailIsFoundFromTheEnd, and is what the last lines of the whole are.
func TestTailIsFoundFromTheEnd(t *testing.T) {
	w := newTree(t)
	n := 0
	for _, file := range []string{"1.log.1", "1.log.2", "1.log"} {
		var b strings.Builder
		for range 9000 {
			b.WriteString(full(n, fmt.Sprintf("line %d %s", n, strings.Repeat("z", n%70))))
			n++
		}
		w.add(file, b.String())
	}
	all := w.show(logs.Options{})
	for _, tail := range []int{1, 10, 700, 8999, 9000, 9001, 20_000, 27_000, 30_000} {
		if got := w.show(logs.Options{Tail: tail}); !slices.Equal(got, all[max(0, len(all)-tail):]) {
			t.Errorf("tail %d: %d lines", tail, len(got))
		}
	}
}

// TestFollow: lines as they come, through rotations seen and unseen, and on to the next attempts.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTree(t)
		w.add("1.log", full(0, "a")+full(1, "b"))
		ctx, cancel := context.WithCancel(t.Context())
		r, err := logs.Open(w.dir, "web", logs.Options{Follow: true, Tail: 1})
		w.must(err)
		lines := make(chan string, 1000)
		done := make(chan error, 1)
		go func() {
			for {
				l, err := r.Next(ctx)
				if err != nil {
					r.Close()
					done <- err
					return
				}
				lines <- text(l)
			}
		}()
		expect := func(want ...string) {
			t.Helper()
			time.Sleep(time.Second)
			synctest.Wait()
			var got []string
			for len(lines) > 0 {
				got = append(got, <-lines)
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		rotate := func(g int) { w.must(os.Rename(w.path("1.log"), w.path(fmt.Sprintf("1.log.%d", g)))) }
		expect("1 b")
		w.add("1.log", full(2, "c")[:20])
		expect()
		w.add("1.log", full(2, "c")[20:])
		expect("1 c")
		w.add("1.log", full(3, "d"))
		rotate(1)
		expect("1 d") // there is no other file yet
		w.add("1.log", full(4, "e"))
		expect("1 e")
		w.add("1.log", full(5, "f"))
		rotate(2)
		w.add("1.log", full(6, "g"))
		rotate(3)
		w.add("1.log", full(7, "h"))
		expect("1 f", "1 g", "1 h")
		// Slower than the container: what was removed is lost, what is there is read.
		rotate(4)
		w.add("1.log", full(8, "removed"))
		rotate(5)
		w.add("1.log", full(9, "i"))
		rotate(6)
		w.add("1.log", full(10, "j"))
		w.must(os.Remove(w.path("1.log.4")))
		w.must(os.Remove(w.path("1.log.5")))
		expect("1 i", "1 j")
		// The next attempt, while the relay still writes the end of this one.
		w.add("1.log", line(11, "stderr", cri.Partial, "no newline"))
		expect()
		w.add("2.log", full(12, "k"))
		time.Sleep(120 * time.Millisecond) // it has seen that there is another one
		w.add("1.log", full(11, "late"))
		expect("1 late", `1 stderr no newline\`, "2 k")
		w.must(os.RemoveAll(w.dir))
		expect()
		w.add("4.log.1", full(13, "l"))
		w.add("4.log", full(14, "m"))
		w.add("5.log", "raw\n")
		expect("4 l", "4 m", "5 raw")
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("canceled: %v", err)
		}
	})
}

// TestChattyContainers do not keep who does not follow them.
func TestChattyContainers(t *testing.T) {
	w := newTree(t)
	w.add("1.log.1", full(0, "a"))
	w.add("1.log", full(1, "b"))
	r, err := logs.Open(w.dir, "web", logs.Options{})
	w.must(err)
	defer r.Close()
	var got []string
	for i := range 10 {
		w.add("1.log", full(2, "later"))
		if i == 1 { // it has read 1.log.1 and still has to read what is moved now
			w.must(os.Rename(w.path("1.log"), w.path("1.log.2")))
		}
		l, err := r.Next(t.Context())
		if err != nil {
			break
		}
		got = append(got, text(l))
	}
	if !slices.Equal(got, []string{"1 a", "1 b"}) {
		t.Errorf("read: %q", got)
	}
}

// TestLinksAndPipesAreNoLogs: nothing outside is shown, nothing is waited for.
func TestLinksAndPipesAreNoLogs(t *testing.T) {
	w := newTree(t)
	secret := filepath.Join(t.TempDir(), "secret")
	w.must(os.WriteFile(secret, []byte("secret\n"), 0o600))
	w.must(os.MkdirAll(w.path(""), 0o700))
	w.must(os.Symlink(secret, w.path("1.log")))
	w.must(os.Symlink(filepath.Dir(secret), filepath.Join(w.dir, "linked")))
	for _, name := range []string{"web", "linked"} {
		if _, err := logs.Open(w.dir, name, logs.Options{Attempt: 1}); err == nil {
			t.Errorf("%s: a symlink was followed", name)
		}
	}
}
