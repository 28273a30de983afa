package api

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/reconcile"
	"reconciler.dev/reconciler/pkg/store"
)

func TestVerbs(t *testing.T) {
	const (
		stop    = "stop"
		start   = "start"
		restart = "restart"
	)
	stopped, running := desired.Stopped, desired.Running
	for _, tc := range []struct {
		name     string
		spec     desired.State
		policy   desired.Policy
		code     int // of the exit on record; -1: it lives; -2: it never ran
		end      store.End
		verbs    []string
		override *desired.State
		restarts int64
	}{
		{name: "stop of a running one", spec: running, code: -1, verbs: []string{stop}, override: &stopped},
		{name: "stop of what is to be stopped anyhow", spec: stopped, code: -2, verbs: []string{stop}},
		{name: "start lifts a stop", spec: running, code: -1, verbs: []string{stop, start}},
		{name: "start of what its manifest stops", spec: stopped, code: -2, verbs: []string{start}, override: &running},
		{name: "stop lifts a start", spec: stopped, code: -2, verbs: []string{start, stop}},
		{name: "start of a running one", spec: running, code: -1, verbs: []string{start}},
		{name: "start of a completed one", spec: running, policy: desired.OnFailure, code: 0, end: store.EndSucceeded,
			verbs: []string{start}, restarts: 1},
		{name: "start of a failed one", spec: running, policy: desired.Never, code: 3, end: store.EndFailed,
			verbs: []string{start}, restarts: 1},
		{name: "start of a completed one that was stopped since", spec: running, policy: desired.OnFailure, code: 0,
			end: store.EndSucceeded, verbs: []string{stop, start}, restarts: 1},
		{name: "start of a completed one that its manifest stops", spec: stopped, policy: desired.OnFailure, code: 0,
			end: store.EndSucceeded, verbs: []string{start}, override: &running, restarts: 1},
		{name: "restart", spec: running, code: -1, verbs: []string{restart, restart}, restarts: 2},
		{name: "restart lifts a stop", spec: running, code: -1, verbs: []string{stop, restart}, restarts: 1},
		{name: "restart keeps a start", spec: stopped, code: -2, verbs: []string{start, restart}, override: &running, restarts: 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			w.want("web", func(s *desired.Spec) {
				s.State = tc.spec
				if tc.policy != "" {
					s.Restart.Policy = tc.policy
				}
			})
			if tc.code > -2 {
				w.ran("web", 1, tc.code, tc.end)
			}
			do := map[string]func(context.Context, string, string) error{stop: w.Stop, start: w.Start, restart: w.Restart}
			for _, verb := range tc.verbs {
				if err := do[verb](t.Context(), "web", "root"); err != nil {
					t.Fatal(verb, err)
				}
			}
			d, err := w.DB.Desired("web")
			if err != nil {
				t.Fatal(err)
			}
			switch o := d.Verbs.Override; {
			case (o == nil) != (tc.override == nil), o != nil && o.State != *tc.override:
				t.Errorf("override %+v", o)
			case o != nil && (o.By != "root" || o.At.IsZero()):
				t.Errorf("override without its author: %+v", o)
			}
			if d.Verbs.Restarts != tc.restarts {
				t.Errorf("restarts %d, want %d", d.Verbs.Restarts, tc.restarts)
			}
			if len(w.woken) != len(tc.verbs) {
				t.Errorf("woken: %v", w.woken)
			}
			events, err := w.DB.Events(0, 0)
			if err != nil || len(events) != len(tc.verbs) || events[0].Object != "web" {
				t.Errorf("events %+v, %v", events, err)
			}
		})
	}
}

func TestStoppingAgainKeepsTheFirstAuthor(t *testing.T) {
	w := newWorld(t)
	w.want("web", nil)
	for _, by := range []string{"first", "second"} {
		if err := w.Stop(t.Context(), "web", by); err != nil {
			t.Fatal(err)
		}
	}
	if d, err := w.DB.Desired("web"); err != nil || d.Verbs.Override.By != "first" {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestVerbsOnAnUnknownName(t *testing.T) {
	w := newWorld(t)
	w.want("web", nil)
	err := w.Stop(t.Context(), "wen", "root")
	if e, ok := errors.AsType[*Error](err); !ok || !errors.Is(err, ErrNotFound) || e.Suggestion != `did you mean "web"?` {
		t.Errorf("got %v", err)
	}
	if events, err := w.DB.Events(0, 0); err != nil || len(events) > 0 || len(w.woken) > 0 {
		t.Errorf("it left %v, %v, %v", events, w.woken, err)
	}
}

func TestPlanTellsWhatActs(t *testing.T) {
	w := newWorld(t)
	w.Node.Steps = func(context.Context) (reconcile.Steps, error) {
		return reconcile.Steps{Actions: []reconcile.Action{
			{Name: "a", Verb: reconcile.Hold, Reason: "Running"},
			{Name: "b", Verb: reconcile.Launch, Reason: "Desired"},
			{Name: "c", Verb: reconcile.Wait, Reason: "BackOff", When: time.Now()},
		}}, nil
	}
	lines, err := w.Plan(t.Context())
	if want := []PlanLine{{"b", "b launch reason=Desired"}}; err != nil || !slices.Equal(lines, want) {
		t.Errorf("got %v, %v", lines, err)
	}
}
