package e2e

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// step is one command of a transcript, with what is printed after it.
type step struct {
	line    int // of the document
	command string
	output  []string
}

// transcript reads the ```console blocks of a document: a command begins with "$ ", goes on with "> ", and is followed by
// what it prints. There, "..." within a line stands for anything, a line "..." for any number of lines, and a blank for
// any number of blanks: columns are as wide as what is in them.
func transcript(document string) (steps []step) {
	inside := false
	for i, line := range strings.Split(document, "\n") {
		command, begins := strings.CutPrefix(line, "$ ")
		more, goesOn := strings.CutPrefix(line, "> ")
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```console"
		case !inside:
		case begins:
			steps = append(steps, step{line: i + 1, command: command})
		case goesOn:
			steps[len(steps)-1].command += "\n" + more
		default:
			last := &steps[len(steps)-1]
			last.output = append(last.output, line)
		}
	}
	return steps
}

// fits says whether lines are what a transcript shows.
func fits(shown, lines []string) bool {
	var b strings.Builder
	for _, line := range shown {
		if line == "..." {
			b.WriteString(`(.*\n)*`)
			continue
		}
		quoted := regexp.QuoteMeta(strings.Join(strings.Fields(line), " "))
		b.WriteString(strings.ReplaceAll(quoted, `\.\.\.`, `.+`) + `\n`)
	}
	var got strings.Builder
	for _, line := range lines {
		got.WriteString(strings.Join(strings.Fields(line), " ") + "\n")
	}
	return regexp.MustCompile(`^` + b.String() + `$`).MatchString(got.String())
}

// asks are the verbs that only read or wait. A reader types slower than what is asked about happens; here they are asked
// again until they say what is shown.
var asks = regexp.MustCompile(`^reconciler (get|describe|exits|events|logs|sources|version|wait) [^;&]*$|^reconciler (get|sources|version)$`)

// shell is one shell that runs command after command, as somebody at a terminal does.
type shell struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.Writer
	lines chan string // of stdout and stderr; closed at their end
}

// theEnd is how a shell says that a command is over; what it is followed by is its exit status.
const theEnd = "=== over, status "

func newShell(t *testing.T, dir string, env ...string) *shell {
	cmd := exec.Command("sh")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.Env = append(cmd.Env, "MAKEFLAGS=", "MAKELEVEL=") // this may be a command of a make: its makes shall not say where they are
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}  // what it leaves in the background is ended with its group
	stdin, err1 := cmd.StdinPipe()
	r, w, err2 := os.Pipe()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	s := &shell{t: t, cmd: cmd, stdin: stdin, lines: make(chan string)}
	go func() {
		defer close(s.lines)
		defer r.Close()
		for in := bufio.NewScanner(r); in.Scan(); {
			s.lines <- in.Text()
		}
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		for range s.lines { // until the pipe is closed by whoever had it
		}
	})
	return s
}

// run runs one command. The next one finds its status in $?.
func (s *shell) run(command string) (lines []string, status int) {
	s.t.Helper()
	if _, err := fmt.Fprintf(s.stdin, "%s\nstatus=$?; echo; echo '%s'$status; (exit $status)\n", command, theEnd); err != nil {
		s.t.Fatalf("%s: %v", command, err)
	}
	limit := time.After(3 * patience)
	for {
		select {
		case line, open := <-s.lines:
			if !open {
				s.t.Fatalf("%s: the shell is gone: %q", command, lines)
			}
			if over, is := strings.CutPrefix(line, theEnd); is {
				status, err := strconv.Atoi(over)
				if err != nil {
					s.t.Fatal(err)
				}
				if n := len(lines); n > 0 && lines[n-1] == "" { // the marker's own
					lines = lines[:n-1]
				}
				return lines, status
			}
			lines = append(lines, line)
		case <-limit:
			s.t.Fatalf("%s: it does not end: %q", command, lines)
		}
	}
}

// follow runs a transcript: each command prints what is shown and succeeds, unless the next one asks for its status.
func (s *shell) follow(steps []step) {
	s.t.Helper()
	for i, step := range steps {
		mayFail := i+1 < len(steps) && steps[i+1].command == "echo $?"
		again := asks.MatchString(step.command)
		for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
			lines, status := s.run(step.command)
			if fits(step.output, lines) && (status == 0 || mayFail) {
				break
			}
			if !again || time.Now().After(end) {
				s.t.Fatalf("line %d: $ %s\nshown:\n%s\nsaid, with status %d:\n%s", step.line, step.command,
					strings.Join(step.output, "\n"), status, strings.Join(lines, "\n"))
			}
		}
	}
}

func TestTranscript(t *testing.T) {
	steps := transcript("Prose\n$ no\n```console\n$ a <<E\n> b\n> E\nx  y\n...\n$ c\n```\n```sh\n$ d\n```\n")
	want := []step{{4, "a <<E\nb\nE", []string{"x  y", "..."}}, {9, "c", nil}}
	if fmt.Sprint(steps) != fmt.Sprint(want) {
		t.Errorf("read %v, not %v", steps, want)
	}
	for _, c := range []struct {
		shown, said string
		fits        bool
	}{
		{"", "", true},
		{"", "x", false},
		{"a b", "a    b", true},
		{"a b", "ab", false},
		{"a.c", "abc", false},
		{"a ... c", "a 12 34 c", true},
		{"a ... c", "a c", false},
		{"a\n...", "a", true},
		{"a\n...\nz", "a\nb\nc\nz", true},
		{"a\n...\nz", "a\nb", false},
		{"a", "a\nb", false},
		{"a\nb", "a", false},
	} {
		if split := func(s string) []string {
			return strings.FieldsFunc(s, func(r rune) bool { return r == '\n' })
		}; fits(split(c.shown), split(c.said)) != c.fits {
			t.Errorf("%q fits %q: not %t", c.shown, c.said, c.fits)
		}
	}
}
