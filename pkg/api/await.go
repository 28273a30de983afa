package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// NotReached is the error of an Await that ended too early. States tells in words what each container is that has not
// reached the goal; Err is the cause.
type NotReached struct {
	Goal   Goal
	States map[string]string
	Err    error
}

func (e *NotReached) Error() string {
	var states []string
	for _, name := range slices.Sorted(maps.Keys(e.States)) {
		states = append(states, name+" "+e.States[name])
	}
	return fmt.Sprintf("%s is not reached: %s", e.Goal, strings.Join(states, "; "))
}

func (e *NotReached) Unwrap() error { return e.Err }

// Await follows containers until each has reached the goal, were it for a moment, and calls reached for each one then.
// away is as with Follow. The error is a *NotReached, by ctx, or by ErrNotFound for one that was deleted where that is not
// the goal.
func (c *Client) Await(ctx context.Context, names []string, g Goal, reached func(name string), away func(error)) error {
	a := awaiting{goal: g, missing: map[string]string{}, there: map[string]bool{}}
	for _, name := range names {
		a.missing[name] = "is not known yet"
	}
	if len(a.missing) == 0 {
		return nil
	}
	for change, err := range c.Follow(ctx, nil, away) {
		if err != nil {
			return &NotReached{g, a.missing, err}
		}
		there, gone := a.take(change)
		if len(gone) > 0 && !g.Deleted {
			return &NotReached{g, a.missing, ErrNotFound}
		}
		if err := c.quiet(ctx, gone, away); err != nil {
			return &NotReached{g, a.missing, err}
		}
		for _, name := range slices.Concat(there, gone) {
			delete(a.missing, name)
			reached(name)
		}
		if len(a.missing) == 0 {
			return nil
		}
	}
	return nil
}

// awaiting is what a watch has told of the containers that are waited for.
type awaiting struct {
	goal    Goal
	missing map[string]string // what each is that has not reached the goal
	there   map[string]bool
}

// take returns those of the missing that are at the goal, and those that are not wanted any more, or never were.
func (a *awaiting) take(c Change[Container]) (there, gone []string) {
	if c.Type == Synced {
		for _, name := range slices.Sorted(maps.Keys(a.missing)) {
			if !a.there[name] {
				gone = append(gone, name)
				a.missing[name] = "is deleted"
			}
		}
		return nil, gone
	}
	name := c.Object.Metadata.Name
	if _, awaited := a.missing[name]; !awaited {
		return nil, nil
	}
	if c.Type == Deleted {
		a.missing[name] = "is deleted"
		return nil, []string{name}
	}
	a.there[name], a.missing[name] = true, stateOf(c.Object)
	if !a.goal.Deleted && a.goal.Reached(c.Object) {
		return []string{name}, nil
	}
	return nil, nil
}

// stateOf is what a container is, in words.
func stateOf(c *Container) string {
	state := "is " + string(c.Status.Phase)
	if c.Status.Message != "" {
		state += " (" + c.Status.Message + ")"
	}
	return state
}

// poll is how often a daemon is asked what lives: what is not wanted any more shows in no watch.
const poll = 50 * time.Millisecond

// StillLive is the error of a Quiet that ended too early.
type StillLive struct {
	Names []string
	Err   error
}

func (e *StillLive) Error() string { return strings.Join(e.Names, ", ") + " may live still" }
func (e *StillLive) Unwrap() error { return e.Err }

// Quiet returns once nothing lives of what chosen picks, wanted or not. away is as with Follow. The error is a *StillLive,
// by ctx, or by a daemon that does not know.
func (c *Client) Quiet(ctx context.Context, chosen func(name string) bool, away func(error)) error {
	var live []string
	for told := false; ; {
		state, err := c.NodeState(ctx)
		switch {
		case errors.Is(err, ErrHungUp), errors.Is(err, ErrNoDaemon):
			if !told {
				away(err)
			}
			told = true
		case err == nil && len(state.Problems) > 0:
			return &StillLive{state.Live, errors.New(strings.Join(state.Problems, "; "))}
		case err != nil:
			return &StillLive{live, err}
		default:
			told, live = false, slices.DeleteFunc(state.Live, func(name string) bool { return !chosen(name) })
			if len(live) == 0 {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return &StillLive{live, ctx.Err()}
		case <-time.After(poll):
		}
	}
}

func (c *Client) quiet(ctx context.Context, names []string, away func(error)) error {
	if len(names) == 0 {
		return nil
	}
	return c.Quiet(ctx, func(name string) bool { return slices.Contains(names, name) }, away)
}
