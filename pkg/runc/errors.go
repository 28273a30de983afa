package runc

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// Before anything is run.
var (
	ErrNoRuntime     = errors.New("no such runtime")
	ErrInvalidID     = errors.New("invalid container id")
	ErrInvalidSignal = errors.New("invalid signal")
	ErrBundle        = errors.New("unusable bundle")
	ErrEscapes       = errors.New("a symlink leads out of the root filesystem, or to nothing in it")
	ErrProcess       = errors.New("unusable process")
)

// What the state of the container forbids.
var (
	ErrNotExist       = errors.New("container does not exist")
	ErrExist          = errors.New("container exists already")
	ErrNotRunning     = errors.New("container is not running")
	ErrAlreadyRunning = errors.New("container is running already, or paused")
	ErrNotStopped     = errors.New("container is not stopped")
	ErrPaused         = errors.New("container is paused")
	ErrNotPaused      = errors.New("container is not paused")
)

// Of Wait, a container's or a process's.
var (
	ErrStillRunning = errors.New("still running")
	ErrNotChild     = errors.New("no child of this process, which cannot know its exit status")
	ErrUndrained    = errors.New("it has ended, but not all that it wrote is passed on")
)

// Of Exec: what a shell tells by the statuses 127 and 126.
var (
	ErrNoProgram     = errors.New("no such program in the container")
	ErrNotExecutable = errors.New("the program cannot be executed")
)

// Of standard streams.
var (
	ErrConsole  = errors.New("no terminal came over the console socket")
	ErrRelaying = errors.New("the streams are relayed already, or closed")
)

// What is wrong with the runtime itself.
var (
	ErrTimeout   = errors.New("no answer within the time limit")
	ErrBadOutput = errors.New("unintelligible output")
	ErrNoEffect  = errors.New("reported success without effect")
)

// Error is a call of the runtime that failed. It prints as one line; Log holds the rest.
type Error struct {
	Runtime    string     // base name of the binary
	Op         string     // the runtime's verb: create, start ...
	ID         string     // container id; empty for list
	ExitStatus ExitStatus // of the runtime; zero if it was not or could not be run, or if exit status 0 was no success
	Message    string     // the last error in the runtime's log, or what is known without one; may hold foreign text
	Log        string     // the call's whole log and, if captured, standard error: at most maxLog bytes each, the newest
	Err        error      // a sentinel of this package or the cause; nil if the message is all that is known
}

func (e *Error) Unwrap() error { return e.Err }

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Runtime + " " + e.Op)
	if e.ID != "" {
		b.WriteString(" " + oneLine(e.ID))
	}
	if e.Err != nil {
		b.WriteString(": " + oneLine(e.Err.Error()))
	}
	if e.Message != "" {
		b.WriteString(": " + oneLine(e.Message))
	}
	if e.ExitStatus != (ExitStatus{}) {
		fmt.Fprintf(&b, " (%v)", e.ExitStatus)
	}
	return b.String()
}

// oneLine keeps foreign text from faking lines of a log or driving a terminal.
func oneLine(s string) string {
	const most = 1024 // bytes
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(s, "?")))
}
