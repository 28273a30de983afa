package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path"
	"strings"
	"syscall"
	"time"
)

const never = 1000 * time.Hour

// payload is what runs in the containers. It logs its start before anything that matters and its end before it ends, each as one
// line appended to a file that all containers share; O_APPEND keeps lines whole and in order. It holds a lock for as
// long as any process of its container lives, so a second live instance of its name gives itself away.
func payload(args []string) {
	fs := flag.NewFlagSet("payload", flag.ExitOnError)
	name := fs.String("name", "", "the container's")
	after := fs.Duration("after", never, "end by itself after that long")
	code := fs.Int("code", 0, "the exit code then")
	byHUP := fs.Bool("by-hup", false, "end by SIGHUP instead")
	deaf := fs.Bool("deaf", false, "ignore SIGTERM")
	child := fs.Bool("child", false, "fork a process that outlives the init and keeps the lock")
	asleep := fs.Duration("asleep", 0, "be that process: log nothing, end after that long")
	forks := fs.Bool("forks", false, "start short-lived processes all the time")
	eat := fs.Bool("eat", false, "take memory until the kernel ends it")
	_ = fs.Parse(args) // ExitOnError
	if *asleep > 0 {
		time.Sleep(*asleep)
		return
	}

	// First of all: Go ends a process with status 2 that is pid 1 and meets a SIGTERM that it does not listen for.
	term := make(chan os.Signal, 1)
	if *deaf {
		signal.Ignore(syscall.SIGTERM)
	} else {
		signal.Notify(term, syscall.SIGTERM)
	}
	self := instance()
	log := openLog()
	say := func(format string, a ...any) { fmt.Fprintf(log, format+"\n", a...) }
	say("start %s", self)

	lock, err := syscall.Open("/out/"+*name+".lock", syscall.O_RDWR|syscall.O_CREAT, 0o600) // inherited: not CLOEXEC
	if err != nil {
		panic(err)
	}
	if syscall.Flock(lock, syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		say("twin %s", self)
	}
	if *child {
		fork(never, uintptr(lock))
	}
	if *forks {
		go func() {
			for {
				var status syscall.WaitStatus
				_, _ = syscall.Wait4(fork(20*time.Millisecond), &status, 0, nil)
				time.Sleep(400 * time.Millisecond)
			}
		}()
	}
	select {
	case <-term:
		say("term %s", self)
		say("exit %s code 0", self)
		os.Exit(0)
	case <-time.After(*after):
	}
	if *byHUP {
		say("exit %s signal %d", self, syscall.SIGHUP)
		_ = syscall.Kill(os.Getpid(), syscall.SIGHUP)
		time.Sleep(time.Minute) // never reached unless the signal was lost, and then the codes differ
	}
	if *eat {
		say("exit %s signal %d", self, syscall.SIGKILL)
		for taken := [][]byte{}; ; {
			taken = append(taken, bytes.Repeat([]byte{1}, 1<<20))
		}
	}
	say("exit %s code %d", self, *code)
	os.Exit(*code)
}

// fork starts this program anew, for so long. The lock is handed down: a process that outlives its init keeps it.
func fork(lives time.Duration, lock ...uintptr) (pid int) {
	pid, err := syscall.ForkExec("/program", []string{"/program", "payload", "--asleep=" + lives.String()},
		&syscall.ProcAttr{Files: append([]uintptr{0, 1, 2}, lock...)})
	if err != nil {
		panic(err)
	}
	return pid
}

// instance is the one that this process is of: the last part of its cgroup's path.
func instance() string {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		panic(err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return path.Base(line)
}

func openLog() *os.File {
	f, err := os.OpenFile("/out/log", os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		panic(err)
	}
	return f
}
