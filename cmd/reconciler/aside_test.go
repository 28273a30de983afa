package main

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// aside is a program: `aside NAME ARGS...` runs reconciler with these arguments, for a script that does something else
// meanwhile. Its output is in NAME.out and NAME.err, its pid in NAME.pid, and in the end its exit status in NAME.status.
func aside() {
	name := os.Args[1]
	out, err1 := os.Create(name + ".out")
	complaint, err2 := os.Create(name + ".err")
	cmd := exec.Command("reconciler", os.Args[2:]...)
	cmd.Stdout, cmd.Stderr = out, complaint
	for _, err := range []error{err1, err2, cmd.Start(), write(name+".pid", cmd.Process.Pid)} {
		if err != nil {
			panic(err)
		}
	}
	_ = cmd.Wait()
	status := cmd.ProcessState.ExitCode()
	if w := cmd.ProcessState.Sys().(syscall.WaitStatus); w.Signaled() { // before it could handle it: a shell says the same of both
		status = 128 + int(w.Signal())
	}
	if err := write(name+".status", status); err != nil {
		panic(err)
	}
}

// write puts a number into a file that is there with all of it or not at all.
func write(path string, number int) error {
	if err := os.WriteFile(path+".new", []byte(strconv.Itoa(number)), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// patience bounds every wait for something that has to happen. Nothing is measured by it.
const patience = 20 * time.Second

// untilCmd is `until FILE REGEXP`: it waits until the file says so, line by line.
func untilCmd(ts *testscript.TestScript, not bool, args []string) {
	if not || len(args) != 2 {
		ts.Fatalf("usage: until FILE REGEXP")
	}
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	var text []byte
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if text, err = os.ReadFile(ts.MkAbs(args[0])); err == nil && pattern.Match(text) {
			return
		}
	}
	ts.Fatalf("%s never said %s:\n%s", args[0], args[1], text)
}

// signalCmd is `signal NAME SIGNAL`: it ends what aside runs by a signal. `until NAME.status` tells how it took it.
func signalCmd(ts *testscript.TestScript, not bool, args []string) {
	if not || len(args) != 2 {
		ts.Fatalf("usage: signal NAME SIGNAL")
	}
	untilCmd(ts, false, []string{args[0] + ".pid", "."})
	text, err := os.ReadFile(ts.MkAbs(args[0] + ".pid"))
	ts.Check(err)
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	ts.Check(err)
	number := unix.SignalNum("SIG" + strings.TrimPrefix(args[1], "SIG"))
	if number == 0 {
		ts.Fatalf("no signal %q", args[1])
	}
	ts.Check(unix.Kill(pid, number))
}
