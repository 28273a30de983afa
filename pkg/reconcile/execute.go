package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// Effects is what an action may do to the world. Every method is safe to repeat. Node is the real one.
type Effects interface {
	// Expect is told that a launch comes next, as soon as that is known. It must not block.
	Expect()
	// Launch creates the instance, which then waits to be started. Again says that it may have been asked for before: then
	// nothing new is made. An error that is a *NotLaunched says that this instance never will run; any other one that it is
	// not known.
	Launch(ctx context.Context, d *store.Desired, attempt *store.Attempt, again bool) error
	// Start lets a created instance run its code. Starting a running one is no error.
	Start(ctx context.Context, instance string) error
	// Signal sends a signal, by name, to a process verified to be p, the instance's init. One that is gone is no error.
	Signal(instance string, p subreaper.Process, signal string) error
	// Pause freezes an instance, Resume thaws it. One that is so already, or has ended, is no error.
	Pause(ctx context.Context, instance string) error
	Resume(ctx context.Context, instance string) error
	// Update changes some of a running instance's resources, given as linux.resources. An error that is an *Unfit says that
	// the runtime refused them.
	Update(ctx context.Context, instance string, resources json.RawMessage) error
	// Clean ends and removes whatever is left of an instance, in whatever state it is.
	Clean(ctx context.Context, instance string) error
}

// Records is what an executor needs of the store.
type Records interface {
	Commit(ctx context.Context, c store.Change) error
	Record(name string) (store.Record, error)
}

// NotLaunched is the error of a launch that has failed for good: the attempt is spent, and has run nothing.
type NotLaunched struct{ Err error }

func (e *NotLaunched) Error() string { return e.Err.Error() }
func (e *NotLaunched) Unwrap() error { return e.Err }

// Unfit is the error of an update that the runtime has refused: a running instance cannot have those resources.
type Unfit struct{ Err error }

func (e *Unfit) Error() string { return e.Err.Error() }
func (e *Unfit) Unwrap() error { return e.Err }

// Executor carries out actions. It decides nothing: an action is obeyed or has failed. Do may be called concurrently for
// different names.
type Executor struct {
	Effects Effects
	Records Records
	Log     logr.Logger
	Now     func() time.Time
}

// Do writes the action's intent, carries it out and writes its outcome; an effect that failed is an outcome. The error
// is that of a record that could not be written. A ctx that ends cuts the effect short and leaves its outcome to be
// looked at.
func (x *Executor) Do(ctx context.Context, a Action) error {
	x.Log.Info("action", "container", a.Name, "action", a.String(), "detail", a.Detail)
	record := context.WithoutCancel(ctx)
	if a.Verb == Launch {
		x.Effects.Expect()
	}
	if a.Record != nil {
		intent := store.Change{Record: a.Record, Exit: a.Exit, Attempt: a.Attempt, Events: a.events(x.Now())}
		if err := x.Records.Commit(record, intent); err != nil {
			return fmt.Errorf("record the intent: %w", err)
		}
	}
	effect := x.effect(ctx, a)
	if ctx.Err() != nil {
		return nil
	}
	if effect != nil {
		x.Log.Error(effect, "action failed", "container", a.Name, "action", a.String())
	}
	if err := x.outcome(record, a, effect); err != nil {
		return errors.Join(effect, fmt.Errorf("record the outcome: %w", err))
	}
	return nil
}

func (x *Executor) effect(ctx context.Context, a Action) error {
	switch a.Verb {
	case Launch:
		return x.Effects.Launch(ctx, a.Desired, a.Attempt, a.Again)
	case Start:
		return x.Effects.Start(ctx, a.Attempt.Instance)
	case Signal:
		return x.Effects.Signal(a.Attempt.Instance, *a.Attempt.Process, a.Stop.Signal)
	case Kill:
		return x.Effects.Signal(a.Attempt.Instance, *a.Attempt.Process, "SIGKILL")
	case Pause:
		return x.Effects.Pause(ctx, a.Attempt.Instance)
	case Resume:
		return x.Effects.Resume(ctx, a.Attempt.Instance)
	case Update:
		return x.Effects.Update(ctx, a.Attempt.Instance, a.Resources)
	case Clean:
		return x.Effects.Clean(ctx, a.Attempt.Instance)
	}
	return nil
}

// outcome records what an effect led to, where a look at the world would not tell it again. What a launch led to is
// observed.
func (x *Executor) outcome(ctx context.Context, a Action, effect error) error {
	if a.Verb == Note || a.Verb == Forget {
		return nil
	}
	r, err := x.Records.Record(a.Name)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(r.Attempts, func(t store.Attempt) bool { return t.Number == a.Attempt.Number })
	if at < 0 {
		return fmt.Errorf("attempt %d of %q is not on record", a.Attempt.Number, a.Name)
	}
	attempt, c := &r.Attempts[at], store.Change{Record: &r}
	retry := &r.Retry
	if a.Verb == Clean {
		retry = &attempt.Retry // what is left of the past must not hold up what is wanted now
	}
	spent, notLaunched := errors.AsType[*NotLaunched](effect)
	_, unfit := errors.AsType[*Unfit](effect)
	switch {
	case notLaunched:
		attempt.LaunchError = spent.Error()
	case unfit:
		attempt.Unfit = desired.HashResources(a.Attempt.Resources)
		c.Events = []store.Event{x.failed(a, effect)}
	case effect != nil:
		if r.LastError != effect.Error() || *retry == (store.Wait{}) {
			c.Events = []store.Event{x.failed(a, effect)}
		}
		r.LastError = effect.Error()
		*retry = waitFor(x.Now(), min(max(2*retry.Length, minRetry), maxRetry))
	case a.Verb == Start:
		attempt.Started = true
		r.ChangedAt, r.Retry = x.Now(), store.Wait{}
		c.Attempt = attempt
	case a.Verb == Signal:
		stop := *attempt.Stop
		stop.Sent = true
		attempt.Stop, r.Retry = &stop, store.Wait{}
	case a.Verb == Update:
		attempt.Resources, r.Retry = a.Attempt.Resources, store.Wait{}
		c.Attempt, c.Events = attempt, a.events(x.Now())
	case a.Verb == Clean:
		r.Attempts = slices.Delete(r.Attempts, at, at+1)
	case r.Retry != store.Wait{}:
		r.Retry = store.Wait{}
	default:
		return nil
	}
	return x.Records.Commit(ctx, c)
}

func (x *Executor) failed(a Action, effect error) store.Event {
	return store.Event{Time: x.Now(), Type: store.Warning, Reason: "EffectFailed", Object: a.Name, Message: fmt.Sprintf("%s: %v", a, effect)}
}

// minRetry and maxRetry bound the pause after an effect that failed; it doubles in between.
const (
	minRetry = 100 * time.Millisecond
	maxRetry = 10 * time.Second
)

// events are the lines of history that an action is worth.
func (a Action) events(now time.Time) []store.Event {
	at := func(kind store.EventType, reason, message string) store.Event {
		return store.Event{Time: now, Type: kind, Reason: reason, Object: a.Name, Message: message}
	}
	var events []store.Event
	if a.Exit != nil {
		kind := store.Normal
		if a.Exit.Reason != "Completed" {
			kind = store.Warning
		}
		events = append(events, at(kind, "Exited", fmt.Sprintf("%s: %s (%s)", a.Exit.Instance, a.Exit.Message, a.Exit.Reason)))
	}
	switch a.Verb {
	case Launch:
		events = append(events, at(store.Normal, "Creating", a.Attempt.Instance))
	case Start:
		events = append(events, at(store.Normal, "Started", fmt.Sprintf("%s, pid %d", a.Attempt.Instance, a.Attempt.Process.PID)))
	case Signal:
		events = append(events, at(store.Normal, "Stopping", fmt.Sprintf("%s: %s, grace period %s (%s)",
			a.Attempt.Instance, a.Stop.Signal, a.Stop.GracePeriod, a.Reason)))
	case Kill:
		if a.Again {
			return nil
		}
		events = append(events, at(store.Warning, "Killing", fmt.Sprintf("%s: %s", a.Attempt.Instance, a.Reason)))
	case Pause:
		events = append(events, at(store.Normal, "Paused", a.Attempt.Instance))
	case Resume:
		events = append(events, at(store.Normal, "Resumed", fmt.Sprintf("%s (%s)", a.Attempt.Instance, a.Reason)))
	case Update:
		events = append(events, at(store.Normal, "Updated", fmt.Sprintf("%s: %s", a.Attempt.Instance, a.Resources)))
	case Forget:
		events = append(events, at(store.Normal, "Removed", "nothing is left of it but its history"))
	case Note:
		if a.Exit == nil && a.Detail != "" {
			events = append(events, at(store.Warning, a.Reason, a.Detail))
		}
	}
	return events
}
