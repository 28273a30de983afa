package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const self = "/proc/self/exe"

// start starts a program with the given stdin, stdout and stderr.
func start(argv []string, files ...*os.File) (*os.Process, error) {
	env := append(os.Environ(), "GOMAXPROCS=1")
	return os.StartProcess(argv[0], argv, &os.ProcAttr{Files: files, Env: env})
}

func startWriter(s shape, stdin, stdout *os.File) (*os.Process, error) {
	return start([]string{self, "write", strconv.Itoa(s.line), strconv.Itoa(s.write), strconv.Itoa(s.total)}, stdin, stdout, os.Stderr)
}

// runRelay is one instance of the relay's.
func runRelay(dir string, s shape) (result, error) {
	d := dirs(dir)
	const id = "bench.1"
	fd, err := newInstance(d.Run, id)
	if err != nil {
		return result{}, err
	}
	fifo := os.NewFile(uintptr(fd), "stdout")
	defer fifo.Close()
	r, err := startRelay(dir)
	if err != nil {
		return result{}, err
	}
	if err := until(func() bool { _, err := os.Stat(dir + "/logs/bench/1.log"); return err == nil }); err != nil {
		return result{}, err
	}
	before := cpu(r.Pid)
	began := time.Now()
	w, err := startWriter(s, nil, fifo)
	if err != nil {
		return result{}, err
	}
	if _, err := w.Wait(); err != nil {
		return result{}, err
	}
	if err := os.WriteFile(d.Run.Exit(id), nil, 0o600); err != nil {
		return result{}, err
	}
	err = until(func() bool { _, err := os.Lstat(d.Run.Output(id)); return errors.Is(err, fs.ErrNotExist) })
	got := result{time.Since(began), cpu(r.Pid) - before}
	_ = r.Kill()
	_, _ = r.Wait()
	return got, errors.Join(err, check(dir+"/logs/bench/1.log", s, true))
}

// runCat copies and does nothing else.
func runCat(dir string, s shape) (result, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return result{}, err
	}
	in, out, err := os.Pipe()
	if err != nil {
		return result{}, err
	}
	log, err := os.Create(dir + "/log")
	if err != nil {
		return result{}, err
	}
	defer log.Close()
	c, err := start([]string{"/bin/cat"}, in, log, os.Stderr)
	_ = in.Close()
	if err != nil {
		return result{}, err
	}
	began := time.Now()
	w, err := startWriter(s, nil, out)
	_ = out.Close()
	if err != nil {
		return result{}, err
	}
	if _, err := w.Wait(); err != nil {
		return result{}, err
	}
	used, err := awaitEnd(c.Pid)
	return result{time.Since(began), used}, errors.Join(err, check(dir+"/log", s, false))
}

// runConmon has conmon launch the writer through this program, as its runtime.
func runConmon(dir string, s shape) (result, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return result{}, err
	}
	order := fmt.Sprintf("%d %d %d", s.line, s.write, s.total)
	if err := os.WriteFile(dir+"/order", []byte(order), 0o600); err != nil {
		return result{}, err
	}
	exe, err := os.Executable()
	if err != nil {
		return result{}, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return result{}, err
	}
	defer null.Close()
	c, err := start([]string{"/usr/bin/conmon", "--sync", "-c", "bench", "-u", "bench", "-n", "bench", "-r", exe, "-b", dir,
		"-p", dir + "/pid", "-l", "k8s-file:" + dir + "/log", "--exit-dir", dir, "--no-sync-log",
		"--socket-dir-path", dir}, null, null, os.Stderr)
	if err != nil {
		return result{}, err
	}
	began, err := mtime(dir + "/pid")
	if err != nil {
		return result{}, err
	}
	used, err := awaitEnd(c.Pid)
	return result{time.Since(began), used}, errors.Join(err, check(dir+"/log", s, true))
}

// create is `create` of an OCI runtime: it leaves the writer, and its pid.
func create(argv []string) error {
	after := func(flag string) string {
		if i := slices.Index(argv, flag); i > 0 && i+1 < len(argv) {
			return argv[i+1]
		}
		return ""
	}
	order, err := os.ReadFile(filepath.Join(after("--bundle"), "order"))
	if err != nil {
		return err
	}
	w, err := start(append([]string{self, "write"}, strings.Fields(string(order))...), os.Stdin, os.Stdout, os.Stderr)
	if err != nil {
		return err
	}
	return os.WriteFile(after("--pid-file"), strconv.AppendInt(nil, int64(w.Pid), 10), 0o600)
}

// until waits for a condition; the pause is short beside what is measured.
func until(met func() bool) error {
	for deadline := time.Now().Add(time.Minute); !met(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(deadline) {
			return errors.New("not within a minute")
		}
	}
	return nil
}

func mtime(path string) (time.Time, error) {
	var info fs.FileInfo
	err := until(func() (there bool) { var err error; info, err = os.Stat(path); return err == nil })
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// awaitEnd waits for a child's end and returns what it used itself, not what its own children did.
func awaitEnd(pid int) (time.Duration, error) {
	if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		return 0, fmt.Errorf("wait for %d: %w", pid, err)
	}
	used := cpu(pid)
	_, err := syscall.Wait4(pid, nil, 0, nil)
	return used, err
}

// cpu is a process's own time: fields 14 and 15 of proc_pid_stat(5), in ticks of 10 ms.
func cpu(pid int) time.Duration {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// prefix is the length of what a log has before each line.
const prefix = len("2026-01-02T15:04:05.000000000Z stdout F ")

// check holds that the log has every byte.
func check(path string, s shape, formatted bool) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	want := int64(s.total)
	if formatted {
		want += int64(s.total / s.line * prefix)
	}
	const more = 1.1 // conmon splits lines where a read ends, and writes a longer time zone
	if got := info.Size(); got < want || float64(got) > more*float64(want) {
		return fmt.Errorf("%s has %d bytes, not %d", path, got, want)
	}
	return nil
}
