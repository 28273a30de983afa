package pair

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"reconciler.dev/reconciler/pkg/subreaper"
)

// args is the command line of guard and reaper: what a human or the client writes, and what one role hands to the
// other or to its own next image. Descriptors are -1 if they were not inherited.
type args struct {
	program  string // argv[0], absolute where an upgrade shall find the new file
	role     string
	run      subreaper.RunDir
	state    string
	guard    int // reaper: its parent
	lock     int
	listener int
	inotify  int            // mine
	spare    int            // the other one's inotify, only held: see newInotify
	reaper   int            // guard: the reaper that it started before it replaced itself; 0 if there is none
	upgraded bool           // guard: it has replaced itself and passes that on to its reaper
	held     map[string]int // instance id -> pidfd of a process that is not my child
}

const usage = "usage: reconciler-subreaper guard|reaper --run DIR --state DIR"

func parseArgs(argv []string) (args, error) {
	a := args{lock: -1, listener: -1, inotify: -1, spare: -1, held: map[string]int{}}
	if len(argv) < 2 || argv[1] != subreaper.RoleGuard && argv[1] != subreaper.RoleReaper {
		return a, errors.New(usage)
	}
	a.program, a.role = argv[0], argv[1]
	for rest := argv[2:]; len(rest) > 0; rest = rest[2:] {
		if len(rest) == 1 {
			return a, fmt.Errorf("%s has no value; %s", rest[0], usage)
		}
		if err := a.set(rest[0], rest[1]); err != nil {
			return a, fmt.Errorf("%s %s: %w; %s", rest[0], rest[1], err, usage)
		}
	}
	if !filepath.IsAbs(string(a.run)) || !filepath.IsAbs(a.state) {
		return a, errors.New("--run and --state must be absolute paths; " + usage)
	}
	if a.role == subreaper.RoleReaper && (a.guard == 0 || a.lock < 0 || a.listener < 0 || a.inotify < 0) {
		return a, errors.New("a reaper is started by its guard; " + usage)
	}
	return a, nil
}

func (a *args) set(name, value string) (err error) {
	switch name {
	case "--run":
		a.run = subreaper.RunDir(filepath.Clean(value))
	case "--state":
		a.state = filepath.Clean(value)
	case "--guard":
		a.guard, err = strconv.Atoi(value)
	case "--inotify":
		a.inotify, err = strconv.Atoi(value)
	case "--spare":
		a.spare, err = strconv.Atoi(value)
	case "--reaper":
		a.reaper, err = strconv.Atoi(value)
	case "--lock":
		a.lock, err = strconv.Atoi(value)
	case "--listener":
		a.listener, err = strconv.Atoi(value)
	case "--upgraded":
		a.upgraded, err = strconv.ParseBool(value)
	case "--held":
		for item := range strings.SplitSeq(value, ",") {
			id, fd, ok := strings.Cut(item, "=")
			if !ok || !subreaper.ValidID(id) {
				return errors.New("not of the form instance=descriptor")
			}
			if a.held[id], err = strconv.Atoi(fd); err != nil {
				return err
			}
		}
	default:
		return errors.New("no such flag")
	}
	return err
}

// argv is the inverse of parseArgs.
func (a *args) argv() []string {
	v := []string{a.program, a.role, "--run", string(a.run), "--state", a.state}
	if a.role == subreaper.RoleReaper {
		v = append(v, "--guard", strconv.Itoa(a.guard))
	}
	v = append(v, "--lock", strconv.Itoa(a.lock), "--listener", strconv.Itoa(a.listener))
	v = append(v, "--inotify", strconv.Itoa(a.inotify), "--spare", strconv.Itoa(a.spare))
	if a.role == subreaper.RoleGuard && a.reaper != 0 {
		v = append(v, "--reaper", strconv.Itoa(a.reaper), "--upgraded", strconv.FormatBool(a.upgraded))
	}
	if len(a.held) == 0 {
		return v
	}
	items := make([]string, 0, len(a.held))
	for id, fd := range a.held {
		items = append(items, id+"="+strconv.Itoa(fd))
	}
	slices.Sort(items)
	const together = 500 // one argument may have no more than 128 KiB: MAX_ARG_STRLEN, execve(2)
	for chunk := range slices.Chunk(items, together) {
		v = append(v, "--held", strings.Join(chunk, ","))
	}
	return v
}
