package runc

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
)

// streams are what this side keeps of a process's standard streams: at most one of the two.
type streams struct {
	pipes *PipeRelay
	tty   *TtyRelay
}

// PipeRelay returns the relay of a process with Connections and without a terminal, or nil.
func (s *streams) PipeRelay() *PipeRelay { return s.pipes }

// Tty returns the relay of a process with a terminal, or nil.
func (s *streams) Tty() *TtyRelay { return s.tty }

func (s *streams) relay() *relay {
	switch {
	case s.tty != nil:
		return &s.tty.relay
	case s.pipes != nil:
		return &s.pipes.relay
	}
	return nil
}

// plumbing is what the streams of a process need while the runtime starts it.
type plumbing struct {
	streams
	stdin, stdout, stderr *os.File // the process's ends; nil is /dev/null
	made                  []*os.File
	console               *ConsoleSocket // of a terminal
	conns                 Connections
}

// plumb makes it. Files and connections are two ways that exclude each other, and a terminal leaves only the second.
func (r *Runtime) plumb(terminal bool, stdin, stdout, stderr *os.File, conns *Connections) (*plumbing, error) {
	p := &plumbing{stdin: stdin, stdout: stdout, stderr: stderr}
	if files := stdin != nil || stdout != nil || stderr != nil; files && (terminal || conns != nil) {
		return nil, errors.New("standard streams: files cannot be given to a process with a terminal or with connections")
	}
	if conns != nil {
		p.conns = *conns
	}
	var err error
	switch {
	case terminal:
		p.console, err = ListenConsole(filepath.Join(r.stateDir, "tty."+rand.Text()[:8]))
	case conns != nil:
		var theirs [3]*os.File
		p.pipes, theirs, err = newPipeRelay(p.conns)
		p.stdin, p.stdout, p.stderr = theirs[0], theirs[1], theirs[2]
		p.made = theirs[:]
	}
	return p, err
}

// files gives a call of the runtime the process's streams.
func (p *plumbing) files(c *exec.Cmd) {
	// A nil *os.File in one of these interfaces would not be nil.
	if p.stdin != nil {
		c.Stdin = p.stdin
	}
	if p.stdout != nil {
		c.Stdout = p.stdout
	}
	if p.stderr != nil {
		c.Stderr = p.stderr
	}
}

// join takes the terminal that the runtime delivered, if there is to be one.
func (p *plumbing) join(ctx context.Context, r *Runtime) error {
	if p.console == nil {
		return nil
	}
	return r.within(ctx, func(ctx context.Context) error {
		master, err := p.console.Accept(ctx)
		if err != nil {
			return err
		}
		p.tty = newTtyRelay(p.conns, master)
		return nil
	})
}

// done closes what only the start needed: the process has its ends now, and must be the only one to have them.
func (p *plumbing) done() {
	closeAll(p.made...)
	if p.console != nil {
		p.console.Close()
	}
}

// abandon closes all that was made. The connections stay the caller's.
func (p *plumbing) abandon() {
	p.done()
	if r := p.relay(); r != nil {
		r.closeFiles()
	}
}
