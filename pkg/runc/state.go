package runc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Status is a container's status in the words of the OCI runtime specification, and runc's paused.
type Status string

const (
	Creating Status = "creating"
	Created  Status = "created" // init waits for Start and has run nothing of the user's
	Running  Status = "running"
	Paused   Status = "paused"
	Stopped  Status = "stopped"
)

// State is what the runtime tells of one container. Created and Running alone prove neither: a killed start may leave
// the fifo behind that "created" is told from, and the process may be gone by now.
type State struct {
	ID          string            `json:"id"`
	Status      Status            `json:"status"`
	PID         int               `json:"pid"` // of init; 0 when stopped
	Bundle      string            `json:"bundle"`
	Created     time.Time         `json:"created"`
	Annotations map[string]string `json:"annotations"` // crun has them in State, not in List
}

// Damaged is a directory in the runtime's root that holds no container the runtime can tell of: one whose state is
// lost or torn, or that is being created or deleted at this moment.
type Damaged struct {
	ID  string
	Err error
}

func (s *State) check() error {
	switch {
	case s.ID == "":
		return errors.New("a state without an id")
	case s.Status == "":
		return fmt.Errorf("a state of %q without a status", s.ID)
	case s.PID < 0, s.PID == 0 && s.Status != Stopped && s.Status != Creating:
		return fmt.Errorf("a state of %q that is %s with pid %d", s.ID, s.Status, s.PID)
	}
	return nil
}

// decode reads the output of a verb; what it refuses is ErrBadOutput.
func (r *Runtime) decode(verb, id string, out []byte, to any, check func() error) error {
	err := json.Unmarshal(out, to)
	if err == nil {
		err = check()
	}
	if err == nil {
		return nil
	}
	const shown = 200 // bytes
	return r.command(verb, id, "").error(fmt.Sprintf("%v: output begins %q", err, out[:min(len(out), shown)]), ErrBadOutput)
}

func (r *Runtime) state(ctx context.Context, id string) (State, error) {
	out, err := r.call(ctx, "state", id, id)
	if err != nil {
		return State{}, err
	}
	return r.parseState(id, out)
}

func (r *Runtime) parseState(id string, out []byte) (s State, err error) {
	err = r.decode("state", id, out, &s, func() error {
		if err := s.check(); err != nil {
			return err
		}
		if s.ID != id {
			return fmt.Errorf("the state of %q instead", s.ID)
		}
		return nil
	})
	return s, err
}

// List returns the state of every container in the runtime's root, and what is damaged there: an entry in neither does
// not exist. A root that is missing is empty. On an error neither is known, least of all that nothing is there.
func (r *Runtime) List(ctx context.Context) ([]State, []Damaged, error) {
	// First the directory, then the runtime: what was there before the list and is missing in it was deleted meanwhile,
	// or is damaged. runc leaves those out and says so on standard error only; 1.5.2 fails if the root is missing.
	ids, err := r.entries()
	if err != nil || len(ids) == 0 {
		return nil, nil, err
	}
	states, err := r.list(ctx)
	if err != nil && !spoilt(err) {
		return nil, nil, err
	}
	// One damaged entry fails the whole of crun's list and may crash runc 1.5.2: then each is asked for alone.
	listed := map[string]bool{}
	for _, s := range states {
		listed[s.ID] = true
	}
	var damaged []Damaged
	for _, id := range ids {
		if listed[id] {
			continue
		}
		s, err := r.lookAt(ctx, id)
		switch {
		case err == nil:
			states = append(states, s)
		case !spoilt(err):
			return nil, nil, err
		case r.has(id):
			damaged = append(damaged, Damaged{ID: id, Err: err})
		}
	}
	return states, damaged, nil
}

func (r *Runtime) lookAt(ctx context.Context, id string) (State, error) {
	if err := ValidateID(id); err != nil {
		return State{}, err
	}
	return r.state(ctx, id)
}

// spoilt tells an answer that may be about one container from a runtime that does not answer at all, which must not be
// asked again for every container.
func spoilt(err error) bool {
	if errors.Is(err, ErrInvalidID) || errors.Is(err, ErrBadOutput) {
		return true
	}
	e, ok := errors.AsType[*Error](err)
	return ok && e.ExitStatus != (ExitStatus{})
}

func (r *Runtime) list(ctx context.Context) ([]State, error) {
	out, err := r.call(ctx, "list", "", "--format", "json")
	if err != nil {
		return nil, err
	}
	return r.parseList(out)
}

// parseList reads "null" where there are none.
func (r *Runtime) parseList(out []byte) (states []State, err error) {
	err = r.decode("list", "", out, &states, func() error {
		for _, s := range states {
			if err := s.check(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return states, nil
}

// entries returns the names of the directories in the runtime's root.
func (r *Runtime) entries() (ids []string, err error) {
	entries, err := os.ReadDir(r.root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("runtime root: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

// has reports whether anything in the runtime's root has this id. What cannot be looked at counts as there.
func (r *Runtime) has(id string) bool {
	_, err := os.Lstat(filepath.Join(r.root, id))
	return !errors.Is(err, fs.ErrNotExist)
}
