package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/reconcile"
	"reconciler.dev/reconciler/pkg/store"
)

// Backend is what a Server needs to answer its callers. A verb returns when what it asks for is durable, not when it
// has come to be.
type Backend interface {
	Reading
	Plan(ctx context.Context) ([]PlanLine, error)
	// Stop, Start and Restart are asked for by the one named last, who is shown with the override.
	Stop(ctx context.Context, name, by string) error
	Start(ctx context.Context, name, by string) error
	Restart(ctx context.Context, name, by string) error
	// ConfirmSources accepts a directory of manifests that is not the one it was, and what it holds or does not hold.
	ConfirmSources(ctx context.Context, by string) error
	// Down stops all containers, then the subreapers, then the daemon. It returns when that is accepted.
	Down(ctx context.Context) error
	Version() Version
}

// Node is the daemon's Backend: a Reader over the live store, verbs that write to it, and what only the daemon can do.
type Node struct {
	Reader
	Wake  func(name string)                              // look at a container again
	Steps func(context.Context) (reconcile.Steps, error) // what would be done now
	End   func(context.Context) error                    // see Backend.Down
	// Confirm has the next scan of the manifests accept whatever directory it finds.
	Confirm func()
	Build   Version
}

var _ Backend = (*Node)(nil)

// Stop lays a Stopped override over a manifest that says otherwise.
func (n *Node) Stop(ctx context.Context, name, by string) error {
	return n.verb(ctx, name, "StopRequested", by, func(d *store.Desired) (change, error) {
		return func(v *store.Verbs) { override(d, v, desired.Stopped, by) }, nil
	})
}

// Start lays a Running override over a manifest that says otherwise. To a container that would not run all the same,
// since it is Completed or Failed, it does what Restart does.
func (n *Node) Start(ctx context.Context, name, by string) error {
	return n.verb(ctx, name, "StartRequested", by, func(d *store.Desired) (change, error) {
		started := *d
		override(d, &started.Verbs, desired.Running, by)
		c, err := n.object(&started)
		if err != nil {
			return nil, err
		}
		over := c.Status.Phase == reconcile.Completed || c.Status.Phase == reconcile.Failed
		return func(v *store.Verbs) {
			override(d, v, desired.Running, by)
			if over {
				v.Restarts++
			}
		}, nil
	})
}

// Restart replaces the instance, and lifts a Stopped override.
func (n *Node) Restart(ctx context.Context, name, by string) error {
	return n.verb(ctx, name, "RestartRequested", by, func(*store.Desired) (change, error) {
		return func(v *store.Verbs) {
			v.Restarts++
			if v.Override != nil && v.Override.State == desired.Stopped {
				v.Override = nil
			}
		}, nil
	})
}

// override makes state what is wanted: by an override only where the manifest does not say so itself. One that is there
// already keeps its author and time.
func override(d *store.Desired, v *store.Verbs, state desired.State, by string) {
	switch {
	case d.Container.Spec.State == state:
		v.Override = nil
	case v.Override == nil || v.Override.State != state:
		v.Override = &store.Override{State: state, By: by, At: time.Now().UTC()}
	}
}

// change is made inside the store's writer, where it must not wait.
type change func(*store.Verbs)

// verb carries out a change, made from what is wanted. The event comes first: a request that then fails was still made,
// while a change without its event would have no author.
func (n *Node) verb(ctx context.Context, name, reason, by string, prepare func(*store.Desired) (change, error)) error {
	d, err := n.desired(name)
	if err != nil {
		return err
	}
	change, err := prepare(d)
	if err != nil {
		return fmt.Errorf("container %q: %w", name, err)
	}
	asked := store.Event{Time: time.Now().UTC(), Type: store.Normal, Reason: reason, Object: name, Message: "asked for by " + by}
	if err := n.DB.Commit(ctx, store.Change{Events: []store.Event{asked}}); err != nil {
		return fmt.Errorf("container %q: %w", name, err)
	}
	err = n.DB.UpdateVerbs(ctx, name, func(v *store.Verbs) error {
		change(v)
		return nil
	})
	if errors.Is(err, store.ErrNotFound) { // removed meanwhile
		return n.notFound(name)
	}
	if err != nil {
		return fmt.Errorf("container %q: %w", name, err)
	}
	n.Wake(name)
	return nil
}

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
func (n *Node) ConfirmSources(ctx context.Context, by string) error {
	asked := store.Event{Time: time.Now().UTC(), Type: store.Normal, Reason: "SourceConfirmed", Object: reconcile.SourceName, Message: "asked for by " + by}
	if err := n.DB.Commit(ctx, store.Change{Events: []store.Event{asked}}); err != nil {
		return err
	}
	n.Confirm()
	return nil
}

// Down implements Backend.
func (n *Node) Down(ctx context.Context) error { return n.End(ctx) }

// Version implements Backend.
func (n *Node) Version() Version { return n.Build }
