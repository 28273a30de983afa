package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"

	"reconciler.dev/reconciler/hack/internal/scratch"
)

// recorder keeps every version of every exit record that was ever shown: a record may not change once it is known, and a
// container that restarts often has more exits than are kept for good.
type recorder struct {
	seen    map[string][]scratch.Exit // by instance
	doubled []string                  // instances that were listed twice at once
}

// collect asks the controller.
func (r *recorder) collect(ctx context.Context, w *scratch.World) error {
	for _, kind := range kinds {
		exits, err := w.Exits(ctx, kind.name)
		if errors.Is(err, scratch.ErrNotFound) { // its manifest is away and nothing of it has run yet
			continue
		}
		if err != nil {
			return err
		}
		r.add(exits)
	}
	return nil
}

// collectOffline reads the store of a controller that is down. What it forked last may hold its socket for an instant.
func (r *recorder) collectOffline(ctx context.Context, w *scratch.World) error {
	for _, kind := range kinds {
		err := scratch.Until(ctx, patience, "exits of "+kind.name, func() error {
			out, err := w.CLI(ctx, "exits", kind.name, "-o", "json")
			// What is damaged is told and skipped, with an exit status of 1: the others are printed all the same.
			var all struct{ Items []scratch.Exit }
			if json.Unmarshal(out, &all) == nil {
				r.add(all.Items)
				return nil
			}
			if err != nil && (strings.Contains(err.Error(), "not found") || strings.Contains(err.Error(), "cannot be read")) {
				return nil // a name of which nothing is on record, or whose record is damaged: it was left alone since
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *recorder) add(exits []scratch.Exit) {
	if r.seen == nil {
		r.seen = map[string][]scratch.Exit{}
	}
	listed := map[string]bool{}
	for _, e := range exits {
		if listed[e.Instance] {
			r.doubled = append(r.doubled, e.Instance)
		}
		listed[e.Instance] = true
		versions := r.seen[e.Instance]
		if len(versions) == 0 || !same(versions[len(versions)-1], e) {
			r.seen[e.Instance] = append(versions, e)
		}
	}
}

// same says whether two records tell the same end.
func same(a, b scratch.Exit) bool {
	return a.Instance == b.Instance && a.PID == b.PID && a.Source == b.Source && a.FinishedAt.Equal(b.FinishedAt) &&
		equal(a.ExitCode, b.ExitCode) && equal(a.Signal, b.Signal)
}

func equal(a, b *int) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// life is one instance as its own container told it.
type life struct {
	starts int
	twin   bool // it found another instance of its name alive
	termed bool // it ended because of SIGTERM
	ends   bool // it said how it ends:
	code   *int // null when by a signal, as in a record
	signal *int
}

// book is what the containers wrote, read as it grows.
type book struct {
	path  string
	read  int64
	lives map[string]*life // by instance
	torn  []string
}

// follow reads what was written since.
func (b *book) follow() error {
	f, err := os.Open(b.path)
	if errors.Is(err, os.ErrNotExist) { // nothing has run yet
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.NewSectionReader(f, b.read, 1<<40))
	if err != nil {
		return err
	}
	whole := strings.LastIndexByte(string(text), '\n') + 1 // the last line may still be on its way
	b.read += int64(whole)
	b.take(string(text[:whole]))
	return nil
}

func (b *book) take(text string) {
	if b.lives == nil {
		b.lives = map[string]*life{}
	}
	for line := range strings.Lines(text) {
		if !b.line(strings.Fields(line)) {
			b.torn = append(b.torn, line)
		}
	}
}

// line takes one line; false if it is none of ours.
func (b *book) line(words []string) bool {
	if len(words) < 2 {
		return false
	}
	l := b.lives[words[1]]
	if l == nil {
		l = &life{}
		b.lives[words[1]] = l
	}
	switch {
	case words[0] == "start" && len(words) == 2:
		l.starts++
	case words[0] == "term" && len(words) == 2:
		l.termed = true
	case words[0] == "twin" && len(words) == 2:
		l.twin = true
	case words[0] == "exit" && len(words) == 4:
		n, err := strconv.Atoi(words[3])
		if err != nil {
			return false
		}
		l.ends = true
		if words[2] == "code" {
			l.code, l.signal = &n, new(int)
		} else {
			l.signal = &n
		}
	default:
		return false
	}
	return true
}
