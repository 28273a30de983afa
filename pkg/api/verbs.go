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

// Stop lays a Stopped override over a manifest that says otherwise.
func (n *Node) Stop(ctx context.Context, name, by string) error {
	return n.verb(ctx, name, "StopRequested", by, func(d *store.Desired) (change, error) {
		return func(v *store.Verbs) { override(d, v, desired.Stopped, by) }, nil
	})
}

// Start lays a Running override over a manifest that says otherwise; what is paused runs on. To a container that would
// not run all the same, since it is Completed or Failed, it does what Restart does.
func (n *Node) Start(ctx context.Context, name, by string) error {
	return n.verb(ctx, name, "StartRequested", by, func(d *store.Desired) (change, error) {
		started := *d
		started.Held = nil // it starts when the hold is lifted
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

// Pause lays a Paused override over a manifest that says otherwise. Only what runs can be paused: ErrConflict.
func (n *Node) Pause(ctx context.Context, name, by string) error {
	return n.verb(ctx, name, "PauseRequested", by, func(d *store.Desired) (change, error) {
		c, err := n.object(d)
		if err != nil {
			return nil, err
		}
		if c.Status.Phase != reconcile.Running || d.State() != desired.Running {
			return nil, notRunning(d, c)
		}
		return func(v *store.Verbs) { override(d, v, desired.Paused, by) }, nil
	})
}

// notRunning refuses what only a running container can have done to it.
func notRunning(d *store.Desired, c *Container) error {
	e := &Error{Reason: "Conflict", Message: fmt.Sprintf("container %q is not running: it is %s", c.Metadata.Name, c.Status.Phase)}
	switch {
	case d.Held != nil:
		e.Message = fmt.Sprintf("container %q is not running: the node is held (%s)", c.Metadata.Name, d.Held.By)
		e.Suggestion = "`reconciler up` lifts that"
	case d.State() == desired.Paused:
		e.Message = fmt.Sprintf("container %q is paused already", c.Metadata.Name)
		e.Suggestion = fmt.Sprintf("`reconciler resume %s` lets it run on", c.Metadata.Name)
	case d.State() == desired.Stopped, c.Status.Phase == reconcile.Completed, c.Status.Phase == reconcile.Failed:
		e.Suggestion = fmt.Sprintf("`reconciler start %s` starts it", c.Metadata.Name)
	default:
		e.Suggestion = fmt.Sprintf("`reconciler wait %s --for=phase=Running` waits for it", c.Metadata.Name)
	}
	return e
}

// Resume lifts a pause: of a verb, or of a manifest. What is not paused is refused: ErrConflict.
func (n *Node) Resume(ctx context.Context, name, by string) error {
	return n.verb(ctx, name, "ResumeRequested", by, func(d *store.Desired) (change, error) {
		once := *d
		once.Held = nil // what is wanted when the hold is lifted
		if once.State() != desired.Paused {
			if err := n.notPaused(&once); err != nil {
				return nil, err
			}
		}
		return func(v *store.Verbs) { override(d, v, desired.Running, by) }, nil
	})
}

// notPaused refuses what is not paused. It is nil for what somebody froze behind our back.
func (n *Node) notPaused(d *store.Desired) error {
	c, err := n.object(d)
	if err != nil || c.Status.Phase == reconcile.Paused {
		return err
	}
	e := &Error{Reason: "Conflict", Message: fmt.Sprintf("container %q is not paused: it is %s", c.Metadata.Name, c.Status.Phase)}
	if d.State() == desired.Stopped {
		e.Suggestion = fmt.Sprintf("`reconciler start %s` starts it", c.Metadata.Name)
	}
	return e
}

// override makes state what is wanted: by an override only where the manifest does not say so itself. One that is there
// already keeps its author and time.
func override(d *store.Desired, v *store.Verbs, state desired.State, by string) {
	switch {
	case d.Container.Spec.State == state:
		v.Override = nil
	case v.Override == nil || v.Override.State != state || v.Override.InDoubt:
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
	if err := n.event(ctx, reason, name, "asked for by "+by); err != nil {
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

// event puts on record who asked for what.
func (n *Node) event(ctx context.Context, reason, object, message string) error {
	asked := store.Event{Time: time.Now().UTC(), Type: store.Normal, Reason: reason, Object: object, Message: message}
	return n.DB.Commit(ctx, store.Change{Events: []store.Event{asked}})
}
