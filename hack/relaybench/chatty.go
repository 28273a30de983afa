package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/subreaper"
)

// chatty measures what many containers cost that write a line now and then, and that none is lost.
func chatty(dir string, containers, perSecond int, lasting time.Duration) error {
	r, err := startRelay(dir)
	if err != nil {
		return err
	}
	defer func() {
		_ = r.Kill()
		_, _ = r.Wait()
	}()
	d := dirs(dir)
	fds := make([]int, containers)
	for i := range fds {
		if fds[i], err = newInstance(d.Run, fmt.Sprintf("c%d.1", i)); err != nil {
			return err
		}
		defer unix.Close(fds[i])
	}
	line := []byte(strings.Repeat("x", 99) + "\n")
	before, began, lines := cpu(r.Pid), time.Now(), 0
	for ; lines < int(lasting.Seconds())*perSecond*containers; lines++ {
		due := began.Add(time.Duration(lines) * time.Second / time.Duration(perSecond*containers))
		if early := time.Until(due); early > 0 {
			time.Sleep(early)
		}
		if _, err := unix.Write(fds[lines%containers], line); err != nil {
			return err
		}
	}
	took, used := time.Since(began), cpu(r.Pid)-before
	status, err := os.ReadFile("/proc/" + strconv.Itoa(r.Pid) + "/status")
	if err != nil {
		return err
	}
	size := int64(0)
	for i := range fds {
		id := fmt.Sprintf("c%d.1", i)
		if err := os.WriteFile(d.Run.Exit(id), nil, 0o600); err != nil {
			return err
		}
		if err := until(func() bool { _, err := os.Lstat(d.Run.Output(id)); return errors.Is(err, fs.ErrNotExist) }); err != nil {
			return err
		}
		info, err := os.Stat(fmt.Sprintf("%s/logs/c%d/1.log", dir, i))
		if err != nil {
			return err
		}
		size += info.Size()
	}
	fmt.Printf("%d containers, %d lines/s each, %v: %.1f %% of a core, %s KiB resident, %d of %d lines\n", containers, perSecond,
		took.Round(time.Millisecond), 100*used.Seconds()/took.Seconds(), field(status, "VmRSS:"), size/int64(len(line)+prefix), lines)
	return nil
}

func field(status []byte, name string) string {
	_, rest, _ := strings.Cut(string(status), name)
	return strings.Fields(rest + " 0")[0]
}

// newInstance makes what a launch makes, and opens its stdout as a container has it. Not os.OpenFile: it would make that
// non-blocking.
func newInstance(run subreaper.RunDir, id string) (fd int, err error) {
	for _, p := range []string{run.InstancesDir(), run.ExitsDir()} {
		if err := os.MkdirAll(p, 0o700); err != nil {
			return -1, err
		}
	}
	err = errors.Join(os.WriteFile(run.Instance(id), nil, 0o600),
		subreaper.MakeOutput(run, id, subreaper.Output{MaxSize: 1 << 40, MaxFiles: 1}))
	if err != nil {
		return -1, err
	}
	return unix.Open(run.Stdout(id), unix.O_RDWR|unix.O_CLOEXEC, 0)
}

func startRelay(dir string) (*os.Process, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	return start([]string{self, "relay", dir}, null, null, os.Stderr)
}
