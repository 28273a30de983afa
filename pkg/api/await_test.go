package api

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/reconcile"
	"reconciler.dev/reconciler/pkg/store"
)

func TestParseGoal(t *testing.T) {
	for text, want := range map[string]string{
		"phase=Running": "phase=Running", "phase=paused": "phase=Paused", "condition=Ready": "condition=Ready=True",
		"condition=progressing=false": "condition=Progressing=False", "deleted": "deleted", "delete": "deleted",
	} {
		if g, err := ParseGoal(text); err != nil || g.String() != want {
			t.Errorf("%q: got %q, %v", text, g, err)
		}
	}
	for text, says := range map[string]string{
		"":                       "write phase=PHASE",
		"phase":                  `there is no phase "": write one of Pending`,
		"phase=Runing":           "did you mean Running?",
		"condition=Raedy":        "did you mean Ready?",
		"condition=Healthy":      "write one of Ready, Progressing",
		"condition=Ready=Truth":  "did you mean True?",
		"condition=Ready=True=1": "did you mean True?",
		"condition=Ready=":       "write one of True, False, Unknown",
		"status=Running":         "is nothing to wait for",
	} {
		if _, err := ParseGoal(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %v, want %q", text, err, says)
		}
	}
}

// Every phase that status can show can be waited for, and the conditions are those that there are.
func TestGoalsKnowThePhasesAndConditions(t *testing.T) {
	w := newWorld(t)
	w.want("web", nil)
	c, err := w.Container(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, k := range c.Status.Conditions {
		types = append(types, k.Type)
	}
	if !slices.Equal(types, Conditions) {
		t.Errorf("conditions %v, known %v", types, Conditions)
	}
	if !slices.Contains(Phases, c.Status.Phase) || !slices.Contains(Phases, reconcile.Unknown) {
		t.Errorf("phases %v", Phases)
	}
}

func TestAwait(t *testing.T) {
	w := newWorld(t)
	w.want("live", nil)
	w.ran("live", 1, -1, "") // is nobody's concern
	w.want("web", nil)
	w.want("db", func(s *desired.Spec) { s.State = desired.Stopped })
	c := client(t, serve(t, w))
	var got []string
	await := func(ctx context.Context, goal string, names ...string) error {
		t.Helper()
		g, err := ParseGoal(goal)
		if err != nil {
			t.Fatal(err)
		}
		got = nil
		return c.Await(ctx, names, g, func(name string) { got = append(got, name) }, func(err error) { t.Error("away:", err) })
	}
	if err := await(t.Context(), "phase=Stopped", "db"); err != nil || !slices.Equal(got, []string{"db"}) {
		t.Errorf("there already: %v, %v", got, err)
	}
	// Not there yet: it comes while it is waited for.
	ctx, cancel := context.WithCancelCause(t.Context())
	watch := watching(t, c.Watch(t.Context(), ""))
	told(watch, "added db Stopped", "added live Running", "added web Pending", "synced")
	waited := make(chan error)
	go func() { waited <- await(ctx, "phase=Stopped", "web", "db") }()
	if err := c.Stop(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; err != nil || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}

	cancel(nil)
	err := await(ctx, "condition=Ready", "web")
	if e, ok := errors.AsType[*NotReached](err); !ok || !errors.Is(err, context.Canceled) || e.States["web"] == "" {
		t.Errorf("interrupted: %v", err)
	}
	if err := await(t.Context(), "phase=Running", "nope"); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "nope is deleted") {
		t.Errorf("a name that is not: %v", err)
	}
	if err := await(t.Context(), "deleted", "nope"); err != nil {
		t.Errorf("a name that is not, deleted: %v", err)
	}
}

// What is not wanted any more lives until it has ended.
func TestAwaitDeletedMeansDead(t *testing.T) {
	w := newWorld(t)
	w.want("web", nil)
	w.ran("web", 1, -1, "")
	c := client(t, serve(t, w))
	w.commit(store.Change{Removed: []string{"web"}})
	ctx, cancel := context.WithCancel(t.Context())
	cancelled := make(chan error)
	go func() {
		cancelled <- c.Await(ctx, []string{"web"}, Goal{Deleted: true}, func(string) { t.Error("reached") }, func(error) {})
	}()
	for range 3 {
		if _, err := c.NodeState(t.Context()); err != nil {
			t.Error(err)
		}
	}
	cancel()
	if err := <-cancelled; !errors.Is(err, context.Canceled) {
		t.Errorf("while it lives: %v", err)
	}
	w.ran("web", 1, 0, store.EndAsked)
	if err := c.Await(t.Context(), []string{"web"}, Goal{Deleted: true}, func(string) {}, func(error) {}); err != nil {
		t.Error(err)
	}
}

func TestQuiet(t *testing.T) {
	w := newWorld(t)
	w.want("web", nil)
	w.ran("web", 1, -1, "")
	c := client(t, serve(t, w))
	away, all := func(err error) { t.Error("away:", err) }, func(string) bool { return true }
	if err := c.Quiet(t.Context(), func(name string) bool { return name == "db" }, away); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Quiet(ctx, all, away); !errors.Is(err, context.Canceled) {
		t.Errorf("while it lives: %v", err)
	}
	quiet := make(chan error)
	go func() { quiet <- c.Quiet(t.Context(), all, away) }()
	w.ran("web", 1, 0, store.EndAsked)
	if err := <-quiet; err != nil {
		t.Error(err)
	}
	w.commit(store.Change{Down: &store.Down{}}) // no boot: it cannot be read
	if err := c.Quiet(t.Context(), all, away); err == nil {
		t.Error("what is not known counts as quiet")
	}
}
