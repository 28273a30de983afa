package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// Down is what holds a whole node.
type Down = store.Down

// Restored says that the store was put together from a snapshot.
type Restored = store.Restored

// NodeState is the node as a whole.
type NodeState struct {
	Down *Down `json:"down"` // null: the node is not held
	// Live are the names of containers that have an instance which is not known to have ended, wanted or not, sorted.
	// Problems are the records that could not be read: what they are about may live as well. Neither is ever null.
	Live     []string `json:"live"`
	Problems []string `json:"problems"`
	// Orphans are the ids of what is in our runtime root, run directory and cgroup and belongs to no container on record,
	// sorted. It is null while no daemon has looked.
	Orphans []string `json:"orphans"`
	// TellsExits says whether the kernel tells how a process ended that was reaped by somebody else, as the subreapers
	// found out. It is null while no daemon has met them.
	TellsExits *bool `json:"tellsExits"`
	// Restored is not null while the store is from a snapshot that may be older than what runs.
	Restored *Restored `json:"restored"`
}

// NodeState implements Reading.
func (r *Reader) NodeState(context.Context) (NodeState, error) {
	down, err := r.DB.Down()
	restored, restoredErr := r.DB.Restored()
	unread := []error{err, restoredErr}
	live := []string{}
	for rec, err := range r.DB.Records() {
		unread = append(unread, err)
		if slices.ContainsFunc(rec.Attempts, func(a store.Attempt) bool { return !a.Over }) {
			live = append(live, rec.Name)
		}
	}
	list, err := listOf(live, errors.Join(unread...))
	state := NodeState{Down: down, Restored: restored, Live: list.Items, Problems: list.Problems}
	if r.TellsExits != nil {
		state.TellsExits = r.TellsExits()
	}
	if r.Orphans != nil && err == nil {
		state.Orphans, err = r.Orphans()
		state.Orphans = append([]string{}, state.Orphans...) // none is not "nobody has looked"
	}
	return state, err
}

// maxReason bounds the user's own words, in bytes.
const maxReason = 1000

// Down holds the whole node until Up, or until it boots: every container is stopped. A node that is held already stays
// held as it is. It returns what holds the node once that is durable.
func (n *Node) Down(ctx context.Context, reason, by string) (Down, error) {
	if len(reason) > maxReason || !utf8.ValidString(reason) {
		return Down{}, invalid("a reason is UTF-8 text of at most %d bytes", maxReason)
	}
	boot, err := subreaper.BootID()
	if err != nil {
		return Down{}, err
	}
	n.holding.Lock()
	defer n.holding.Unlock()
	// What cannot be read is replaced: until then no container is known to be wanted or not.
	if held, err := n.DB.Down(); held != nil && !held.InDoubt {
		return *held, err
	}
	down := Down{By: by, Reason: reason, At: time.Now().UTC(), BootID: boot}
	message := "asked for by " + by
	if reason != "" {
		message += ": " + reason
	}
	return down, n.hold(ctx, store.Change{Down: &down}, "DownRequested", message)
}

// Up lifts what Down did, whatever for; with a reason only what was done for that one, and the error is ErrConflict if
// another one holds the node. It does nothing to a node that is not held.
func (n *Node) Up(ctx context.Context, reason, by string) error {
	n.holding.Lock()
	defer n.holding.Unlock()
	held, err := n.DB.Down()
	switch {
	case held == nil && err == nil:
		return nil
	case reason != "" && err != nil:
		return err // what cannot be read has no reason that could be this one
	case reason != "" && held.Reason != reason:
		return &Error{Reason: "Conflict", Suggestion: "`reconciler up` lifts that, too",
			Message: fmt.Sprintf("the node is held by %s for another reason than %q: %q", held.By, reason, held.Reason)}
	}
	return n.hold(ctx, store.Change{Up: true}, "UpRequested", "asked for by "+by)
}

func (n *Node) hold(ctx context.Context, c store.Change, reason, message string) error {
	c.Events = []store.Event{{Time: time.Now().UTC(), Type: store.Normal, Reason: reason, Object: "node", Message: message}}
	if err := n.DB.Commit(ctx, c); err != nil {
		return err
	}
	n.WakeAll()
	return nil
}
