package api

import (
	"context"
	"fmt"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/store"
)

// Kill sends a signal, by name or number, to the init of the instance that lives; the error is ErrConflict if none does.
// Nothing more is asked for: an end by the signal is one that nobody wanted, and the restart policy applies to it.
func (n *Node) Kill(ctx context.Context, name, signal, by string) error {
	if signal == "" {
		return invalid("signal is required: name one, such as signal=TERM")
	}
	number, err := desired.ParseSignal(signal)
	if err != nil {
		return invalid("signal %q: %v", signal, err)
	}
	d, err := n.desired(name)
	if err != nil {
		return err
	}
	rec, err := n.DB.Record(name)
	if err != nil {
		return err
	}
	c, err := n.object(d)
	if err != nil {
		return err
	}
	a := current(rec)
	if a == nil || c.Status.PID == nil {
		return notRunning(d, c)
	}
	asked := fmt.Sprintf("%s to %s, asked for by %s", desired.SignalName(number), a.Instance, by)
	if err := n.event(ctx, "KillRequested", name, asked); err != nil {
		return err
	}
	if err := n.Signal(a.Instance, *a.Process, signal); err != nil {
		return fmt.Errorf("container %q: %w", name, err)
	}
	return nil
}

// current is the attempt whose process may live; nil if there is none.
func current(r store.Record) *store.Attempt {
	if len(r.Attempts) == 0 {
		return nil
	}
	if a := &r.Attempts[len(r.Attempts)-1]; !a.Over && a.Process != nil {
		return a
	}
	return nil
}
