package relay

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/internal/runctest"
	"reconciler.dev/reconciler/pkg/logs/cri"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// envRelay makes the test binary a relay in the directory that it names.
const envRelay = "RECONCILER_TEST_RELAY"

func TestMain(m *testing.M) {
	if dir := os.Getenv(envRelay); dir != "" {
		println(Run(dirsIn(dir)).Error())
		os.Exit(1)
	}
	runctest.Main(m)
}

func dirsIn(dir string) Dirs {
	return Dirs{Run: subreaper.RunDir(dir + "/run"), State: dir + "/state", Logs: dir + "/logs"}
}

var wide = subreaper.Output{MaxSize: 1 << 30, MaxFiles: 3}

// world is a relay in this process, whose steps the test makes, with the files of the pair and FIFOs of containers.
type world struct {
	testing.TB
	dirs Dirs
	*relay
	ends map[string][2]int // the containers' ends, by instance id

	filling []string // file systems that are full at times
	heldUp  int      // complaints about that
	kills   atomic.Int64
}

func newWorld(t testing.TB) *world {
	w := &world{TB: t, dirs: dirsIn(t.TempDir()), ends: map[string][2]int{}}
	t.Cleanup(func() {
		w.crash()
		for id := range w.ends {
			w.hangUp(id)
		}
	})
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// start starts a relay in this process; crash ends it as a kill does, between two of its effects.
func (w *world) start() {
	w.Helper()
	r, err := newRelay(w.dirs)
	w.must(err)
	w.relay = r
	w.run()
}

func (w *world) crash() {
	if w.relay != nil {
		w.relay.close()
		w.relay = nil
	}
}

// run makes steps until nothing is left to do but what failed. Nothing waits for its time.
func (w *world) run() {
	w.Helper()
	for idle := 0; idle < 3; idle++ {
		for _, o := range w.waiting {
			o.wakeAt = 0
		}
		if w.scanAt != 0 {
			w.scanAt = 1
		}
		w.must(w.step(false))
		if len(w.ready) > 0 {
			idle = 0
		}
	}
}

// launch does as the reaper and its container do.
func (w *world) launch(id string, bound subreaper.Output) {
	w.Helper()
	w.must(os.MkdirAll(w.dirs.Run.InstancesDir(), 0o700))
	w.must(os.MkdirAll(w.dirs.Run.ExitsDir(), 0o700))
	w.must(os.WriteFile(w.dirs.Run.Launching(id), nil, 0o600))
	w.must(subreaper.MakeOutput(w.dirs.Run, id, bound))
	var ends [2]int
	for i, path := range []string{w.dirs.Run.Stdout(id), w.dirs.Run.Stderr(id)} {
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		w.must(err)
		ends[i] = fd
	}
	w.ends[id] = ends
	w.must(os.WriteFile(w.dirs.Run.Instance(id), nil, 0o600))
}

func (w *world) hangUp(id string) {
	for _, fd := range w.ends[id] {
		_ = unix.Close(fd)
	}
	delete(w.ends, id)
}

// exit does as the reaper does when the init dies.
func (w *world) exit(id string) {
	w.Helper()
	w.must(os.WriteFile(w.dirs.Run.Exit(id), nil, 0o600))
}

// write writes all of b to a stream (0 or 1), and has the relay take it where it does not fit.
func (w *world) write(id string, stream int, b []byte) {
	w.Helper()
	for full := 0; len(b) > 0; {
		n, err := unix.Write(w.ends[id][stream], b)
		switch {
		case err == nil:
			b, full = b[n:], 0
		case errors.Is(err, unix.EAGAIN) && full < 10:
			full++
			w.run()
		default:
			w.Fatalf("write to %s: %v", id, err)
		}
	}
}

// fill writes without a relay's help until the FIFO is full, and returns what went in.
func (w *world) fill(id string, stream int, line func(i int) string) (written []byte) {
	w.Helper()
	for i := 0; ; i++ {
		n, err := unix.Write(w.ends[id][stream], []byte(line(i)))
		if errors.Is(err, unix.EAGAIN) {
			return written
		}
		w.must(err)
		written = append(written, line(i)[:n]...)
	}
}

func (w *world) path(id string) string {
	name, attempt, _ := parseID(id)
	return filepath.Join(w.dirs.Logs, name, strconv.Itoa(attempt)+".log")
}

// logFiles returns the names of a container's logs as they were written.
func (w *world) logFiles(name string) []string {
	w.Helper()
	entries, err := os.ReadDir(filepath.Join(w.dirs.Logs, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	w.must(err)
	var files []cri.File
	for _, e := range entries {
		if f, ok := cri.ParseName(e.Name()); ok {
			files = append(files, f)
		}
	}
	slices.SortFunc(files, cri.Compare)
	var names []string
	for _, f := range files {
		names = append(names, f.String())
	}
	return names
}

// logged is what the logs of one instance say that it wrote, by stream.
func (w *world) logged(id string) map[string][]byte {
	w.Helper()
	name, attempt, _ := parseID(id)
	var all []byte
	for _, file := range w.logFiles(name) {
		if strings.HasPrefix(file, strconv.Itoa(attempt)+".log") {
			b, err := os.ReadFile(filepath.Join(w.dirs.Logs, name, file))
			w.must(err)
			all = append(all, b...)
		}
	}
	return unformat(w.TB, all)
}

func (w *world) expect(id string, stdout, stderr []byte) {
	w.Helper()
	got := w.logged(id)
	for stream, want := range map[string][]byte{"stdout": stdout, "stderr": stderr} {
		if !bytes.Equal(got[stream], want) {
			w.Errorf("%s of %s: %s", stream, id, difference(got[stream], want))
		}
	}
}

func difference(got, want []byte) string {
	i := 0
	for i < min(len(got), len(want)) && got[i] == want[i] {
		i++
	}
	around := func(b []byte) string { return strconv.Quote(string(b[max(0, i-40):min(len(b), i+40)])) }
	return strconv.Itoa(len(got)) + " bytes, not " + strconv.Itoa(len(want)) + "; from byte " + strconv.Itoa(i) + ": " + around(got) + ", want " + around(want)
}

// expectOver holds that nothing is left of an output in the run directory.
func (w *world) expectOver(id string) {
	w.Helper()
	entries, err := os.ReadDir(w.dirs.Run.FIFOsDir())
	w.must(err)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), id+".") {
			w.Errorf("left: %s", e.Name())
		}
	}
	if w.outputs[id] != nil {
		w.Errorf("%s is still open", id)
	}
}
