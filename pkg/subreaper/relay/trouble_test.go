package relay

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/internal/runctest"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// small mounts a file system of a few pages at a directory.
func (w *world) small(dir, size string) {
	w.Helper()
	runctest.Require(w.TB, runctest.Root)
	w.must(os.MkdirAll(dir, 0o700))
	w.must(unix.Mount("none", dir, "tmpfs", 0, "size="+size))
	w.Cleanup(func() {
		w.crash()
		w.must(unix.Unmount(dir, unix.MNT_DETACH))
	})
}

// TestFullLogs: the container is held up and loses nothing, and what was half written is completed as it was begun.
func TestFullLogs(t *testing.T) {
	w := newWorld(t)
	w.small(w.dirs.Logs, "96k")
	w.start()
	w.launch("web.1", wide)
	var sent [2][]byte
	for stream := range sent {
		for range 3 {
			sent[stream] = append(sent[stream], w.fill("web.1", stream, numbered("full"))...)
			w.run()
		}
	}
	if w.place("web.1") != waiting {
		t.Fatal("it is not held up")
	}
	half := w.read("web.1")
	if bytes.HasSuffix(half, []byte("\n")) {
		t.Fatal("nothing is half written: the test proves nothing")
	}
	if w.outputs["web.1"].state.time == 0 {
		t.Error("no batch is in progress")
	}
	again := w.fill("web.1", 0, numbered("held")) // what still fits into the FIFO
	w.crash()
	w.start()
	if got := w.read("web.1"); !bytes.Equal(got, half) {
		t.Errorf("a successor without room changed the log: %s", difference(got, half))
	}
	w.must(unix.Mount("none", w.dirs.Logs, "", unix.MS_REMOUNT, "size=16m"))
	w.run()
	if got := w.read("web.1"); !bytes.HasPrefix(got, half) {
		t.Errorf("what was half written was changed: %s", difference(got, half))
	}
	w.exit("web.1")
	w.run()
	w.expect("web.1", append(sent[0], again...), sent[1])
	w.expectOver("web.1")
}

// place is where an output waits.
func (w *world) place(id string) place { return w.outputs[id].place }

// TestFullRun: without room for the journal nothing is taken.
func TestFullRun(t *testing.T) {
	w := newWorld(t)
	w.small(string(w.dirs.Run), "256k")
	w.start()
	w.launch("web.1", wide)
	w.launch("other.1", wide)
	w.run()
	filler := filepath.Join(string(w.dirs.Run), "filler")
	f, err := os.Create(filler)
	w.must(err)
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	w.must(f.Close())
	sent := w.fill("web.1", 0, numbered("full"))
	w.run()
	if w.place("web.1") != waiting {
		t.Error("it is not held up")
	}
	sent = append(sent, w.fill("web.1", 0, numbered("more"))...)
	w.crash()
	w.start()
	w.must(os.Remove(filler))
	w.run()
	w.exit("web.1")
	w.run()
	w.expect("web.1", sent, nil)
	w.expectOver("web.1")
}

// TestRunFullOfJournals: what makes room is to take less at a time, and to give back all that is in the log.
func TestRunFullOfJournals(t *testing.T) {
	w := newWorld(t)
	w.small(string(w.dirs.Run), "44k")
	w.start()
	w.launch("web.1", wide)
	var sent []byte
	for range 3 {
		sent = append(sent, w.fill("web.1", 0, numbered("much"))...)
		for range 20 {
			w.run()
		}
	}
	w.exit("web.1")
	for range 20 {
		w.run()
	}
	w.expect("web.1", sent, nil)
	w.expectOver("web.1")
}

// TestLogsInTheWay: what is no directory, or no file, of ours is neither followed nor changed, and holds up one
// container only.
func TestLogsInTheWay(t *testing.T) {
	for name, row := range map[string]struct {
		block   func(w *world, dir, log string) error
		unblock func(dir, log string) error
	}{
		"directory is a symlink": {func(w *world, dir, _ string) error { return os.Symlink(w.TempDir(), dir) }, removePath(0)},
		"directory is a file":    {func(_ *world, dir, _ string) error { return os.WriteFile(dir, nil, 0o600) }, removePath(0)},
		"log is a symlink": {func(w *world, dir, log string) error {
			_ = os.MkdirAll(dir, 0o700)
			return os.Symlink(filepath.Join(w.TempDir(), "target"), log)
		}, removePath(1)},
		"log is a FIFO": {func(_ *world, dir, log string) error {
			_ = os.MkdirAll(dir, 0o700)
			return unix.Mkfifo(log, 0o600)
		}, removePath(1)},
		"log is a directory": {func(_ *world, _, log string) error { return os.MkdirAll(log, 0o700) }, removePath(1)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.must(os.MkdirAll(w.dirs.Logs, 0o700))
			dir, log := filepath.Join(w.dirs.Logs, "web"), filepath.Join(w.dirs.Logs, "web", "1.log")
			w.must(row.block(w, dir, log))
			w.start()
			w.launch("web.1", wide)
			w.launch("other.1", wide)
			w.write("web.1", 0, []byte("kept\n"))
			w.write("other.1", 0, []byte("written\n"))
			w.run()
			w.expect("other.1", []byte("written\n"), nil)
			if w.place("web.1") != waiting {
				t.Error("it is not held up")
			}
			w.must(row.unblock(dir, log))
			w.run()
			w.exit("web.1")
			w.run()
			w.expect("web.1", []byte("kept\n"), nil)
			w.expectOver("web.1")
		})
	}
}

func removePath(which int) func(dir, log string) error {
	return func(dir, log string) error { return os.Remove([]string{dir, log}[which]) }
}

func TestReadOnlyLogs(t *testing.T) {
	w := newWorld(t)
	w.small(w.dirs.Logs, "1m")
	w.start()
	w.must(unix.Mount("none", w.dirs.Logs, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	w.launch("web.1", wide)
	w.write("web.1", 0, []byte("kept\n"))
	w.run()
	w.must(unix.Mount("none", w.dirs.Logs, "", unix.MS_REMOUNT, ""))
	w.exit("web.1")
	w.run()
	w.expect("web.1", []byte("kept\n"), nil)
	w.expectOver("web.1")
}

// TestLogsThatVanish are made again; what was in them is gone, and nothing else.
func TestLogsThatVanish(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.launch("web.1", wide)
	for _, gone := range []string{w.path("web.1"), filepath.Dir(w.path("web.1")), w.dirs.Logs} {
		w.write("web.1", 0, []byte("before\n"))
		w.run()
		w.must(os.RemoveAll(gone))
		w.write("web.1", 0, []byte("after\n"))
		w.run()
		w.expect("web.1", []byte("after\n"), nil)
	}
}

// TestLogsThatSomebodyCuts go on where they end, on a line of their own.
func TestLogsThatSomebodyCuts(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.launch("web.1", wide)
	w.write("web.1", 0, []byte("one\ntwo\n"))
	w.run()
	w.must(os.Truncate(w.path("web.1"), int64(len(w.read("web.1"))-2)))
	w.write("web.1", 0, []byte("three\n"))
	w.run()
	w.expect("web.1", []byte("one\ntw\nthree\n"), nil)
	w.must(os.Truncate(w.path("web.1"), 0))
	w.write("web.1", 0, []byte("four\n"))
	w.run()
	w.expect("web.1", []byte("four\n"), nil)
	f, err := os.OpenFile(w.path("web.1"), os.O_APPEND|os.O_WRONLY, 0)
	w.must(err)
	_, err = f.WriteString("somebody's own\n")
	w.must(err)
	w.must(f.Close())
	w.write("web.1", 0, []byte("five\n"))
	w.run()
	if got := string(w.read("web.1")); !strings.Contains(got, "four\nsomebody's own\n2") || !strings.HasSuffix(got, " stdout F five\n") {
		t.Errorf("the log holds %q", got)
	}
}

// TestRotationCutShort: killed between the rename and its commit.
func TestRotationCutShort(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.launch("web.1", wide)
	w.write("web.1", 0, []byte("one\n"))
	w.run()
	w.crash()
	w.must(os.Rename(w.path("web.1"), w.path("web.1")+".1"))
	w.start()
	w.write("web.1", 0, []byte("two\n"))
	w.run()
	w.expect("web.1", []byte("one\ntwo\n"), nil)
	if s := w.outputs["web.1"].state; s.generation != 2 {
		t.Errorf("generation %d", s.generation)
	}
}

// TestDamagedState: what cannot be told any more is told in the log, once.
func TestDamagedState(t *testing.T) {
	garbage := make([]byte, 500)
	for i := range garbage {
		garbage[i] = byte(rand.Uint32())
	}
	for name, damage := range map[string]func(path string) error{
		"garbage": func(path string) error { return os.WriteFile(path, garbage, 0o600) },
		"zeros":   func(path string) error { return os.WriteFile(path, make([]byte, stateSize), 0o600) },
		"short":   func(path string) error { return os.Truncate(path, 10) },
		"empty":   func(path string) error { return os.Truncate(path, 0) },
		"gone":    os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.start()
			w.launch("web.1", subreaper.Output{MaxSize: 64 << 10, MaxFiles: 1000})
			for i := range 3000 {
				w.write("web.1", 0, []byte(numbered("x")(i)))
			}
			w.run()
			files := len(w.logFiles("web"))
			w.write("web.1", 0, []byte("lost"))
			w.run()
			w.crash()
			w.must(damage(statePath(w.dirs.Run, "web.1")))
			w.start()
			w.write("web.1", 0, []byte("after\n"))
			w.run()
			w.crash()
			w.start()
			got := w.logged("web.1")
			if !bytes.HasSuffix(got["stdout"], []byte(numbered("x")(2999)+"after\n")) {
				t.Errorf("the log ends with %q", got["stdout"][len(got["stdout"])-100:])
			}
			if n := bytes.Count(got["stderr"], []byte("lines may be missing")); n != 1 {
				t.Errorf("the gap is marked %d times", n)
			}
			for i := range 3000 {
				w.write("web.1", 0, []byte(numbered("y")(i)))
			}
			w.run()
			if !bytes.HasSuffix(w.logged("web.1")["stdout"], []byte(numbered("y")(2999))) || len(w.logFiles("web")) < files+3 {
				t.Error("rotation goes on out of order")
			}
		})
	}
}

// TestKilledBeforeTheMark: the gap is marked by the next one.
func TestKilledBeforeTheMark(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.launch("web.1", wide)
	w.write("web.1", 0, []byte("one\nlost"))
	w.run()
	w.crash()
	w.must(os.Truncate(statePath(w.dirs.Run, "web.1"), 0))
	r, err := newRelay(w.dirs)
	w.must(err)
	w.relay = r
	r.scan()
	_, err = r.readyLog(r.outputs["web.1"])
	w.must(err)
	w.crash()
	w.start()
	if got := w.logged("web.1")["stderr"]; bytes.Count(got, []byte("lines may be missing")) != 1 {
		t.Errorf("in stderr: %q", got)
	}
}

// TestJournalsThatSomebodyCuts lose what was in them, and nothing else.
func TestJournalsThatSomebodyCuts(t *testing.T) {
	for _, crash := range []bool{false, true} {
		w := newWorld(t)
		w.start()
		w.launch("web.1", wide)
		w.write("web.1", 0, []byte("one\nunfinished"))
		w.run()
		w.write("web.1", 0, []byte("lost\n"))
		o := w.outputs["web.1"]
		o.streams[0].armed = false
		w.enqueue(o)
		if n, err := o.take(); n != 5 || err != nil {
			t.Fatalf("taken: %d, %v", n, err)
		}
		if crash {
			w.crash()
		}
		w.must(os.Truncate(w.dirs.Run.Stdout("web.1")+journalSuffix, 6))
		if crash {
			w.start()
		}
		w.run()
		w.write("web.1", 0, []byte("\ntwo\n"))
		w.run()
		w.expect("web.1", []byte("one\nun\ntwo\n"), nil)
	}
}

// TestWipedRunDirectory: what is open is brought to an end, and the next instance is seen.
func TestWipedRunDirectory(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.launch("web.1", wide)
	w.write("web.1", 0, []byte("one\nunfinished"))
	w.run()
	w.must(os.RemoveAll(string(w.dirs.Run)))
	w.run()
	w.expect("web.1", []byte("one\nunfinished"), nil)
	w.launch("web.2", wide)
	w.write("web.2", 0, []byte("two\n"))
	w.run()
	w.expect("web.2", []byte("two\n"), nil)
	w.exit("web.2")
	w.run()
	w.expectOver("web.2")
}

// TestForgotten: a launch that failed leaves no exit, and what is forgotten has ended.
func TestForgotten(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.launch("web.1", wide)
	w.run()
	w.must(os.Remove(w.dirs.Run.Instance("web.1")))
	w.run()
	if w.outputs["web.1"] == nil {
		t.Fatal("a launch in flight was taken for ended")
	}
	w.must(os.Remove(w.dirs.Run.Launching("web.1")))
	w.run()
	w.expectOver("web.1")
	// Killed while it removed what is left.
	w.launch("web.2", wide)
	w.exit("web.2")
	w.run()
	w.must(os.WriteFile(w.dirs.Run.Output("web.2"), nil, 0o600))
	w.crash()
	w.start()
	w.expectOver("web.2")
}
