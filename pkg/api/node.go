package api

import (
	"context"
	"errors"
	"iter"
	"sync"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/reconcile"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// Backend is what a Server needs to answer its callers. A verb returns when what it asks for is durable, not when it
// has come to be.
type Backend interface {
	Reading
	Plan(ctx context.Context) ([]PlanLine, error)
	// What changes anything is asked for by the one named last, who is shown with what became of it.
	Stop(ctx context.Context, name, by string) error
	Start(ctx context.Context, name, by string) error
	Restart(ctx context.Context, name, by string) error
	Pause(ctx context.Context, name, by string) error
	Resume(ctx context.Context, name, by string) error
	Kill(ctx context.Context, name, signal, by string) error
	Apply(ctx context.Context, c desired.Container, by string) (Applied, error)
	Delete(ctx context.Context, name, by string) error
	Down(ctx context.Context, reason, by string) (Down, error)
	Up(ctx context.Context, reason, by string) error
	// ConfirmSources accepts a directory of manifests that is not the one it was, and what it holds or does not hold. The
	// error is ErrConflict if there is none that could be accepted.
	ConfirmSources(ctx context.Context, by string) (Confirmed, error)
	// Exit stops all containers, then the subreapers, then the daemon. It returns when that is accepted.
	Exit(ctx context.Context) error
	Version() Version
	// WatchContainers and WatchEvents yield lines: see Hub.
	WatchContainers(ctx context.Context, token string, full bool) iter.Seq2[[]byte, error]
	WatchEvents(ctx context.Context, after uint64) iter.Seq2[[]byte, error]
}

// Node is the daemon's Backend: a Reader over the live store, verbs that write to it, and what only the daemon can do.
type Node struct {
	Reader
	Hub     *Hub
	Wishes  *reconcile.Sources // the one writer of what is desired
	Wake    func(name string)  // look at a container again
	WakeAll func()
	Steps   func(context.Context) (reconcile.Steps, error) // what would be done now
	// Signal sends a signal to the init of an instance, verified by a pidfd.
	Signal func(instance string, p subreaper.Process, signal string) error
	End    func(context.Context) error // see Backend.Exit
	// Rescan takes in the whole manifests directory, confirmed also one that is not the one it was. The error is ErrConflict
	// if it is not followed.
	Rescan func(ctx context.Context, confirmed bool) error
	Build  Version

	holding sync.Mutex // one change of Down at a time
}

var _ Backend = (*Node)(nil)

// Plan implements Backend: the actions that change anything, in name order; none when all is settled.
func (n *Node) Plan(ctx context.Context) ([]PlanLine, error) {
	steps, err := n.Steps(ctx)
	if err != nil {
		return nil, err
	}
	var lines []PlanLine
	for _, a := range steps.Actions {
		if a.Acts() {
			lines = append(lines, PlanLine{Name: a.Name, Line: a.String()})
		}
	}
	return lines, nil
}

// ConfirmSources implements Backend.
func (n *Node) ConfirmSources(ctx context.Context, by string) (Confirmed, error) {
	if err := n.Rescan(ctx, false); !errors.Is(err, ErrConflict) {
		return Confirmed{}, err // nothing to confirm, or nobody knows
	}
	if err := n.Rescan(ctx, true); err != nil {
		return Confirmed{}, err
	}
	return Confirmed{true}, n.event(ctx, "SourceConfirmed", reconcile.SourceName, "asked for by "+by)
}

// Exit implements Backend.
func (n *Node) Exit(ctx context.Context) error { return n.End(ctx) }

// WatchContainers implements Backend.
func (n *Node) WatchContainers(ctx context.Context, token string, full bool) iter.Seq2[[]byte, error] {
	return n.Hub.Containers(ctx, token, full)
}

// WatchEvents implements Backend.
func (n *Node) WatchEvents(ctx context.Context, after uint64) iter.Seq2[[]byte, error] {
	return n.Hub.Events(ctx, after)
}

// Version implements Backend.
func (n *Node) Version() Version { return n.Build }
