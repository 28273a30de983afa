package api

import (
	"context"
	"errors"
	"slices"
	"strings"
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
		pause   = "pause"
		resume  = "resume"
	)
	stopped, running, paused := desired.Stopped, desired.Running, desired.Paused
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
		{name: "pause", spec: running, code: -1, verbs: []string{pause}, override: &paused},
		{name: "resume lifts a pause", spec: running, code: -1, verbs: []string{pause, resume}},
		{name: "start lifts a pause", spec: running, code: -1, verbs: []string{pause, start}},
		{name: "resume of what its manifest pauses", spec: paused, code: -1, verbs: []string{resume}, override: &running},
		{name: "pause again of what its manifest pauses", spec: paused, code: -1, verbs: []string{resume, pause}},
		{name: "resume of a started and paused one that its manifest stops", spec: stopped, code: -1,
			verbs: []string{start, pause, resume}, override: &running},
		{name: "restart keeps a pause", spec: running, code: -1, verbs: []string{pause, restart}, override: &paused, restarts: 1},
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
			do := map[string]func(context.Context, string, string) error{
				stop: w.Stop, start: w.Start, restart: w.Restart, pause: w.Pause, resume: w.Resume,
			}
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

// What a verb refuses leaves no trace, and says what to do instead.
func TestPauseAndResumeRefused(t *testing.T) {
	w := newWorld(t)
	w.want("idle", nil)
	w.want("off", func(s *desired.Spec) { s.State = desired.Stopped })
	w.want("done", func(s *desired.Spec) { s.Restart.Policy = desired.Never })
	w.ran("done", 1, 0, store.EndSucceeded)
	w.want("on", nil)
	w.ran("on", 1, -1, "")
	w.want("frozen", func(s *desired.Spec) { s.State = desired.Paused })
	w.ran("frozen", 1, -1, "")
	for _, tc := range []struct {
		do   func(context.Context, string, string) error
		name string
		says string
	}{
		{w.Pause, "idle", "it is Pending: `reconciler wait idle --for=phase=Running` waits for it"},
		{w.Pause, "off", "it is Stopped: `reconciler start off` starts it"},
		{w.Pause, "done", "it is Completed: `reconciler start done` starts it"},
		{w.Pause, "frozen", "is paused already: `reconciler resume frozen` lets it run on"},
		{w.Resume, "on", `container "on" is not paused: it is Running`},
		{w.Resume, "off", "is not paused: it is Stopped: `reconciler start off` starts it"},
	} {
		if err := tc.do(t.Context(), tc.name, "root"); !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.says)
		}
	}
	if events, err := w.DB.Events(0, 0); err != nil || len(events) > 0 || len(w.woken) > 0 {
		t.Errorf("it left %v, %v, %v", events, w.woken, err)
	}
}

func TestKill(t *testing.T) {
	w := newWorld(t)
	w.want("web", nil)
	if err := w.Kill(t.Context(), "web", "KILL", "root"); !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "not running") {
		t.Errorf("of what never ran: %v", err)
	}
	w.ran("web", 1, -1, "")
	if err := w.Kill(t.Context(), "web", "hup", "root"); err != nil {
		t.Fatal(err)
	}
	if want := []string{"web.1 1001 hup"}; !slices.Equal(w.sent, want) {
		t.Errorf("sent %q", w.sent)
	}
	events, err := w.DB.Events(0, 0)
	if err != nil || len(events) != 1 || events[0].Message != "SIGHUP to web.1, asked for by root" {
		t.Errorf("events %+v, %v", events, err)
	}
	if rec, err := w.DB.Record("web"); err != nil || rec.Attempts[0].Stop != nil {
		t.Errorf("its end would count as asked for: %+v, %v", rec.Attempts, err)
	}
	if err := w.Kill(t.Context(), "web", "SIGTREM", "root"); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "did you mean SIGTERM?") {
		t.Errorf("a typing mistake: %v", err)
	}
	w.alive["web.1"] = false // dead, and its exit is not on record yet
	if err := w.Kill(t.Context(), "web", "KILL", "root"); !errors.Is(err, ErrConflict) {
		t.Errorf("of what has ended: %v", err)
	}
	if len(w.sent) != 1 {
		t.Errorf("sent %q", w.sent)
	}
}

// What is followed needs no confirmation, what is not there cannot have one, and neither is an event.
func TestConfirmSources(t *testing.T) {
	other := &Error{Reason: "Conflict", Message: "it is another directory"}
	for _, c := range []struct {
		what          string
		refused, gone error
		confirmed     bool
		err           error
		rescans       []bool
		events        int
	}{
		{"followed", nil, nil, false, nil, []bool{false}, 0},
		{"another one", other, nil, true, nil, []bool{false, true}, 1},
		{"gone", nil, &Error{Reason: "Conflict", Message: "no such directory"}, false, ErrConflict, []bool{false, true}, 0},
		{"nobody knows", errors.New("disk full"), nil, false, nil, []bool{false}, 0},
	} {
		w := newWorld(t)
		w.refused, w.gone = c.refused, c.gone
		done, err := w.ConfirmSources(t.Context(), "root")
		if done.Confirmed != c.confirmed || (err != nil) != (c.err != nil || c.what == "nobody knows") || c.err != nil && !errors.Is(err, c.err) {
			t.Errorf("%s: %+v, %v", c.what, done, err)
		}
		if !slices.Equal(w.rescans, c.rescans) {
			t.Errorf("%s: scans %v", c.what, w.rescans)
		}
		events, err := w.Events(t.Context(), 0, 10)
		if err != nil || len(events.Items) != c.events {
			t.Errorf("%s: events %+v, %v", c.what, events.Items, err)
		}
	}
}

func TestDownAndUp(t *testing.T) {
	w := newWorld(t)
	w.want("job", func(s *desired.Spec) { s.Restart.Policy = desired.Never })
	w.ran("job", 1, 0, store.EndSucceeded)
	w.want("web", nil)
	w.ran("web", 1, -1, "")
	if err := w.Up(t.Context(), "", "root"); err != nil {
		t.Errorf("up of a node that is not held: %v", err)
	}
	first, err := w.Down(t.Context(), "new disk", "root")
	if err != nil || first.Reason != "new disk" || first.By != "root" {
		t.Fatalf("%+v, %v", first, err)
	}
	if again, err := w.Down(t.Context(), "", "uid 7"); err != nil || again != first {
		t.Errorf("down again: %+v, %v", again, err)
	}
	state, err := w.NodeState(t.Context())
	if err != nil || state.Down == nil || *state.Down != first || !slices.Equal(state.Live, []string{"web"}) {
		t.Errorf("state %+v, %v", state, err)
	}
	if c, err := w.Container(t.Context(), "web"); err != nil || c.Status.Override != nil {
		t.Errorf("%+v, %v", c, err)
	}
	if list, err := w.Brief(t.Context()); err != nil || list.Items[0].Status.Override != nil || list.Items[0].Status.Conditions[0].Reason != "NodeDown" {
		t.Errorf("the ended one: %+v, %v", list, err)
	}
	err = w.Pause(t.Context(), "web", "root")
	if !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "held (down by root: new disk): `reconciler up`") {
		t.Errorf("pause while held: %v", err)
	}
	// Taken in now, to have its effect later.
	if err := errors.Join(w.Start(t.Context(), "job", "root"), w.Stop(t.Context(), "web", "root")); err != nil {
		t.Fatal(err)
	}
	if err := w.Up(t.Context(), "shutdown", "root"); !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), `"new disk"`) {
		t.Errorf("up for another reason: %v", err)
	}
	if err := w.Up(t.Context(), "new disk", "root"); err != nil {
		t.Fatal(err)
	}
	if state, err := w.NodeState(t.Context()); err != nil || state.Down != nil {
		t.Errorf("state %+v, %v", state, err)
	}
	if d, err := w.DB.Desired("job"); err != nil || d.Verbs.Restarts != 1 {
		t.Errorf("the start of a completed one was lost: %+v, %v", d, err)
	}
	if d, err := w.DB.Desired("web"); err != nil || d.State() != desired.Stopped {
		t.Errorf("the stop was lost: %+v, %v", d, err)
	}
	if want := []string{"all", "job", "web", "all"}; !slices.Equal(w.woken, want) {
		t.Errorf("woken %v, want %v", w.woken, want)
	}
	if _, err := w.Down(t.Context(), strings.Repeat("x", maxReason+1), "root"); !errors.Is(err, ErrInvalid) {
		t.Errorf("an endless reason: %v", err)
	}
}

// What is held keeps its verbs for later: a pause that was there before is lifted by a resume meanwhile.
func TestResumeWhileHeld(t *testing.T) {
	w := newWorld(t)
	w.want("web", nil)
	w.ran("web", 1, -1, "")
	if err := w.Pause(t.Context(), "web", "root"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Down(t.Context(), "", "root"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Resume(t.Context(), "web", "root"), w.Up(t.Context(), "", "root")); err != nil {
		t.Fatal(err)
	}
	if d, err := w.DB.Desired("web"); err != nil || d.State() != desired.Running {
		t.Errorf("%+v, %v", d, err)
	}
}
