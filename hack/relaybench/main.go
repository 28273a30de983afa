// Command relaybench measures the relay of containers' output against conmon, which does the same for one container, and
// against `cat` of a FIFO into a file, which is as little as can be done. The arms are interleaved in one run.
//
// It needs conmon (Debian: apt-get install conmon) and plays the OCI runtime for it. Run it as root, from the module's
// root: go run ./hack/relaybench
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/subreaper"
	"reconciler.dev/reconciler/pkg/subreaper/relay"
)

// shape is how a container writes.
type shape struct {
	name  string
	line  int // bytes, with newline
	write int // bytes at once
	total int
}

var shapes = []shape{
	{"100-byte lines, 4 KiB a write", 100, 4000, 256 << 20},
	{"1000-byte lines, 32 KiB a write", 1000, 32_000, 256 << 20},
	{"100-byte lines, one a write", 100, 100, 64 << 20},
}

// result of one run of one arm.
type result struct {
	took time.Duration // from the first byte written until the log is complete
	cpu  time.Duration // of the process that writes the log
}

func main() {
	rounds := flag.Int("rounds", 5, "runs of each arm")
	dir := flag.String("dir", "", "scratch directory (a new one below /dev/shm: no disk is measured)")
	if err := role(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "relaybench:", err)
		os.Exit(2)
	}
	flag.Parse()
	if err := bench(*dir, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "relaybench:", err)
		os.Exit(2)
	}
}

// role is what this program is for itself and for conmon; it returns if it is none of that.
func role(argv []string) error {
	switch {
	case len(argv) == 3 && argv[1] == "relay":
		return relay.Run(dirs(argv[2]))
	case len(argv) == 5 && argv[1] == "write":
		var n [3]int
		for i := range n {
			n[i], _ = strconv.Atoi(argv[2+i])
		}
		write(shape{line: n[0], write: n[1], total: n[2]})
		os.Exit(0)
	case slices.Contains(argv, "create"):
		if err := create(argv); err != nil {
			return err
		}
		os.Exit(0)
	}
	return nil
}

func dirs(dir string) relay.Dirs {
	return relay.Dirs{Run: subreaper.RunDir(dir + "/run"), State: dir + "/state", Logs: dir + "/logs"}
}

// write is the container.
func write(s shape) {
	b := make([]byte, s.write)
	for i := range b {
		b[i] = 'a' + byte(i%s.line%26)
		if i%s.line == s.line-1 {
			b[i] = '\n'
		}
	}
	for left := s.total; left > 0; {
		n, err := unix.Write(1, b[:min(len(b), left)])
		if err != nil {
			os.Exit(1)
		}
		left -= n
	}
}

func bench(dir string, rounds int) error {
	if rounds < 1 {
		return errors.New("there must be at least one round")
	}
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("/dev/shm", "relaybench"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	arms := []struct {
		name string
		run  func(dir string, s shape) (result, error)
	}{{"relay", runRelay}, {"conmon", runConmon}, {"cat", runCat}}
	if err := chatty(dir+"/chatty", 200, 100, 10*time.Second); err != nil {
		return fmt.Errorf("200 containers: %w", err)
	}
	for _, s := range shapes {
		results := make([][]result, len(arms))
		for range rounds {
			for i, arm := range arms {
				r, err := arm.run(dir+"/"+arm.name, s)
				if err != nil {
					return fmt.Errorf("%s: %s: %w", s.name, arm.name, err)
				}
				results[i] = append(results[i], r)
				if err := os.RemoveAll(dir + "/" + arm.name); err != nil {
					return err
				}
			}
		}
		fmt.Println(s.name)
		mib := float64(s.total) / (1 << 20)
		base := median(results[1])
		for i, arm := range arms {
			m := median(results[i])
			fmt.Printf("  %-8s %7.0f MiB/s (%.2fx conmon)  %6.2f ms of CPU a MiB (%.2fx)\n", arm.name,
				mib/m.took.Seconds(), base.took.Seconds()/m.took.Seconds(),
				m.cpu.Seconds()*1000/mib, m.cpu.Seconds()/base.cpu.Seconds())
		}
	}
	return nil
}

func median(rs []result) (m result) {
	tooks, cpus := make([]time.Duration, len(rs)), make([]time.Duration, len(rs))
	for i, r := range rs {
		tooks[i], cpus[i] = r.took, r.cpu
	}
	slices.Sort(tooks)
	slices.Sort(cpus)
	return result{tooks[len(rs)/2], cpus[len(rs)/2]}
}
