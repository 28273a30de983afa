package relay

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reconciler.dev/reconciler/pkg/subreaper"
)

func TestOutput(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.launch("web.1", wide)
	w.write("web.1", 0, []byte("hello\nwor"))
	w.write("web.1", 1, []byte("oh\n"))
	w.run()
	w.expect("web.1", []byte("hello\n"), []byte("oh\n"))
	w.write("web.1", 0, []byte("ld\nunfinished"))
	w.run()
	w.expect("web.1", []byte("hello\nworld\n"), []byte("oh\n"))
	w.exit("web.1")
	w.run()
	w.expect("web.1", []byte("hello\nworld\nunfinished"), []byte("oh\n"))
	w.expectOver("web.1")
	if info, err := os.Stat(w.path("web.1")); err != nil || info.Mode() != 0o600 {
		t.Errorf("the log: %v, %v", info, err)
	}
}

// TestBytes: a container may write anything, in any pieces.
func TestBytes(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.launch("web.1", wide)
	r := rand.New(rand.NewPCG(1, 2))
	all := [2][]byte{someOutput(r, 3<<20), someOutput(r, 1<<20)}
	for left := all; len(left[0])+len(left[1]) > 0; {
		i := r.IntN(2)
		n := min(1+r.IntN(90_000), len(left[i]))
		w.write("web.1", i, left[i][:n])
		left[i] = left[i][n:]
	}
	w.exit("web.1")
	w.run()
	w.expect("web.1", all[0], all[1])
	w.expectOver("web.1")
}

func TestOneLongLine(t *testing.T) {
	const size = 128 << 20
	w := newWorld(t)
	w.start()
	bound := subreaper.Output{MaxSize: 1 << 20, MaxFiles: 2}
	w.launch("web.1", bound)
	block := bytes.Repeat([]byte{0}, 64<<10)
	for range size / len(block) {
		w.write("web.1", 0, block)
	}
	w.exit("web.1")
	w.run()
	w.expectOver("web.1")
	if got := w.total("web"); got > bound.MaxSize*int64(bound.MaxFiles) || got < bound.MaxSize {
		t.Errorf("%d bytes of logs", got)
	}
	if got := w.logged("web.1")["stdout"]; len(bytes.Trim(got, "\x00")) != 0 {
		t.Errorf("%d bytes of another kind", len(bytes.Trim(got, "\x00")))
	}
}

// total is how many bytes the logs of a container have.
func (w *world) total(name string) (bytes int64) {
	w.Helper()
	for _, file := range w.logFiles(name) {
		info, err := os.Stat(filepath.Join(w.dirs.Logs, name, file))
		w.must(err)
		bytes += info.Size()
	}
	return bytes
}

func numbered(prefix string) func(i int) string {
	return func(i int) string { return fmt.Sprintf("%s line %d %s\n", prefix, i, strings.Repeat("x", i%90)) }
}

// TestBound: the files of all attempts together stay within it at any time, and the end of the attempt before stays.
func TestBound(t *testing.T) {
	w := newWorld(t)
	w.start()
	bound := subreaper.Output{MaxSize: 64 << 10, MaxFiles: 3}
	for attempt := 1; attempt <= 5; attempt++ {
		id := fmt.Sprintf("web.%d", attempt)
		w.launch(id, bound)
		line := numbered(id)
		for i := range 1000 * attempt {
			w.write(id, i%2, []byte(line(i)))
			if i%100 == 0 {
				w.run()
				if got := w.total("web"); got > bound.MaxSize*int64(bound.MaxFiles) {
					t.Fatalf("%s after %d lines: %d bytes: %v", id, i, got, w.logFiles("web"))
				}
			}
		}
		w.exit(id)
		w.run()
		w.hangUp(id)
		last := line(1000*attempt - 1)
		if got := w.logged(id)["stderr"]; !bytes.HasSuffix(got, []byte(last)) {
			t.Errorf("%s ends with %.200q, not with %q", id, got[max(0, len(got)-100):], last)
		}
		if before := fmt.Sprintf("web.%d", attempt-1); attempt > 1 {
			if got := w.logged(before)["stderr"]; !bytes.HasSuffix(got, []byte(numbered(before)(1000*(attempt-1)-1))) {
				t.Errorf("the end of %s is gone: %v", before, w.logFiles("web"))
			}
		}
	}
}

// TestBoundOfShortAttempts: those that never fill a file are bounded, too.
func TestBoundOfShortAttempts(t *testing.T) {
	w := newWorld(t)
	w.start()
	for attempt := range 30 {
		id := fmt.Sprintf("web.%d", attempt+1)
		w.launch(id, defaultBound)
		w.run()
		w.must(os.Truncate(w.path(id), defaultBound.MaxSize-100)) // as if it had written so much
		w.exit(id)
		w.run()
		w.hangUp(id)
		if got, most := w.total("web"), defaultBound.MaxSize*int64(defaultBound.MaxFiles); got > most {
			t.Fatalf("%s: %d bytes, more than %d: %v", id, got, most, w.logFiles("web"))
		}
	}
}

// TestBoundOfOneFile keeps the last file of the attempt before besides.
func TestBoundOfOneFile(t *testing.T) {
	w := newWorld(t)
	w.start()
	bound := subreaper.Output{MaxSize: 64 << 10, MaxFiles: 1}
	for _, id := range []string{"web.1", "web.2", "web.3"} {
		w.launch(id, bound)
		for i := range 2000 {
			w.write(id, 0, []byte(numbered(id)(i)))
		}
		w.exit(id)
		w.run()
		w.hangUp(id)
	}
	if got := w.logFiles("web"); len(got) != 2 || got[0] != "2.log" || got[1] != "3.log" {
		t.Errorf("left: %v", got)
	}
}

func TestBoundChangesWhileItRuns(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.launch("web.1", subreaper.Output{MaxSize: 64 << 10, MaxFiles: 100})
	for i := range 10_000 {
		w.write("web.1", 0, []byte(numbered("a")(i)))
	}
	w.run()
	if n := len(w.logFiles("web")); n < 10 {
		t.Fatalf("%d files", n)
	}
	w.must(subreaper.SetBound(w.dirs.Run, "web.1", subreaper.Output{MaxSize: 64 << 10, MaxFiles: 2}))
	w.run()
	if got := w.logFiles("web"); len(got) > 2 {
		t.Errorf("after a smaller bound: %v", got)
	}
	// One that cannot be read leaves the last one in force.
	w.must(os.WriteFile(w.dirs.Run.FIFOsDir()+"/x", []byte("{"), 0o600))
	w.must(os.Rename(w.dirs.Run.FIFOsDir()+"/x", w.dirs.Run.Output("web.1")))
	w.run()
	if got := w.outputs["web.1"].bound.MaxFiles; got != 2 {
		t.Errorf("a damaged bound was taken for %d files", got)
	}
	w.exit("web.1")
	w.run()
	if err := subreaper.SetBound(w.dirs.Run, "web.1", wide); err == nil {
		t.Error("an output that has ended was given a bound")
	}
	w.expectOver("web.1")
}

// TestFloodsEnd: what outlives the init, and writes on, does not keep the output open.
func TestFloodsEnd(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.launch("web.1", wide)
	w.launch("quiet.1", wide)
	sent := w.fill("web.1", 0, numbered("flood"))
	w.exit("web.1")
	for i := 0; ; i++ {
		w.must(w.step(false))
		if w.outputs["web.1"] == nil {
			break
		}
		if i == 1000 {
			t.Fatal("it does not end")
		}
		w.fill("web.1", 0, numbered("flood"))
	}
	if got := w.logged("web.1")["stdout"]; !bytes.HasPrefix(got, sent) {
		t.Errorf("%d bytes of the %d that were there at the end", len(got), len(sent))
	}
	w.expectOver("web.1")
}

// TestFloodsDelayNobody: in each step everybody is served.
func TestFloodsDelayNobody(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.launch("flood.1", wide)
	w.launch("quiet.1", wide)
	w.run()
	for i := range 200 {
		w.fill("flood.1", 0, numbered("flood"))
		if i%10 == 0 {
			before := len(w.logged("quiet.1")["stdout"])
			w.write("quiet.1", 0, []byte("here\n"))
			for range 3 {
				for _, o := range w.waiting {
					o.wakeAt = 0
				}
				w.must(w.step(false))
			}
			if got := len(w.logged("quiet.1")["stdout"]) - before; got != 5 {
				t.Fatalf("after three steps beside a flood: %d bytes", got)
			}
		}
	}
}

// TestPassAllocatesNothing, whatever it brings to the log.
func TestPassAllocatesNothing(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.launch("web.1", wide)
	w.write("web.1", 0, []byte("the log is open\n"))
	w.run()
	o := w.outputs["web.1"]
	lines := bytes.Repeat([]byte("one line of some\n"), 2000)
	if n := testing.AllocsPerRun(50, func() {
		w.write("web.1", 0, lines)
		o.streams[0].armed = false
		if taken, _, err := w.pass(o); taken != int64(len(lines)) || err != nil {
			t.Fatalf("%d bytes taken, %v", taken, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for 2000 lines", n)
	}
}
