package relay

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/internal/runctest"
)

// TestResident holds what the relay may use after a busy time with many containers.
func TestResident(t *testing.T) {
	runctest.Require(t, runctest.Pidfd)
	const (
		containers    = 60
		mostResident  = 4 << 10 // KiB
		mostAnonymous = 2 << 10
	)
	w := newWorld(t)
	program := filepath.Join(t.TempDir(), "relay")
	build := exec.Command("go", "build", "-trimpath", "-o", program, "./testdata/relay")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	c := &child{Cmd: exec.Command(program, filepath.Dir(w.dirs.State))}
	c.Env = []string{"GOMAXPROCS=1", "GODEBUG=disablethp=1,asyncpreemptoff=1"} // as the pair starts its own
	c.Stderr = &c.stderr
	w.must(c.Start())
	defer w.kill(c)
	id := func(i int) string { return fmt.Sprintf("c%d.1", i) }
	for i := range containers {
		w.launch(id(i), wide)
	}
	want := make([][]byte, containers)
	for range 4 {
		for i := range containers {
			var lines []byte
			for n := 0; len(lines) < 64<<10; n++ {
				lines = append(lines, numbered(id(i))(n)...)
			}
			want[i] = append(want[i], lines...)
			w.eventually("its output is taken", func() bool {
				if n, err := unix.Write(w.ends[id(i)][0], lines); err == nil {
					lines = lines[n:]
				}
				return len(lines) == 0
			})
		}
	}
	for i := range containers {
		if i%2 == 0 {
			w.exit(id(i))
		}
	}
	for i := range containers {
		w.eventually("its output is in its log", func() bool {
			info, err := os.Stat(w.path(id(i)))
			return err == nil && info.Size() > int64(len(want[i]))
		})
	}
	w.eventually(fmt.Sprintf("it uses at most %d KiB, %d KiB anonymous", mostResident, mostAnonymous), func() bool {
		r, a := memory(t, c.Process.Pid)
		return r <= mostResident && a <= mostAnonymous
	})
	r, a := memory(t, c.Process.Pid)
	t.Logf("%d containers: %d KiB resident, %d KiB anonymous", containers, r, a)
	for i := range containers {
		w.exit(id(i))
	}
	for i := range containers {
		w.eventually("all of it is in the log", func() bool { _, err := os.Lstat(w.dirs.Run.Output(id(i))); return err != nil })
		w.expect(id(i), want[i], nil)
	}
}

// memory returns VmRSS and RssAnon of a process in KiB.
func memory(t testing.TB, pid int) (resident, anonymous int) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		_, _ = fmt.Sscanf(string(line), "VmRSS: %d kB", &resident)
		_, _ = fmt.Sscanf(string(line), "RssAnon: %d kB", &anonymous)
	}
	return resident, anonymous
}
