package api

import (
	"fmt"
	"slices"
	"strings"

	"reconciler.dev/reconciler/pkg/reconcile"
)

// Phases are all phases there are.
var Phases = []reconcile.Phase{
	reconcile.Pending, reconcile.Creating, reconcile.Running, reconcile.Paused, reconcile.Stopping, reconcile.BackOff,
	reconcile.Stopped, reconcile.Completed, reconcile.Failed, reconcile.Unknown,
}

// Conditions are the types of all conditions there are.
var Conditions = []string{"Ready", "Progressing"}

var statuses = []string{"True", "False", "Unknown"}

// Goal is a state of a container that can be waited for.
type Goal struct {
	// Deleted: the name is not wanted any more, and nothing of it lives. The fields below then mean nothing.
	Deleted bool

	phase             reconcile.Phase
	condition, status string
}

// ParseGoal reads phase=PHASE, condition=TYPE[=STATUS], or deleted; as kubectl does it takes delete for deleted, and words
// in any case.
func ParseGoal(text string) (g Goal, err error) {
	kind, value, _ := strings.Cut(text, "=")
	switch {
	case strings.EqualFold(text, "deleted"), strings.EqualFold(text, "delete"):
		return Goal{Deleted: true}, nil
	case strings.EqualFold(kind, "phase"):
		g.phase, err = oneOf("phase", value, Phases)
	case strings.EqualFold(kind, "condition"):
		condition, status, given := strings.Cut(value, "=")
		if g.condition, err = oneOf("condition", condition, Conditions); err == nil && given {
			g.status, err = oneOf("status of a condition", status, statuses)
		} else if err == nil {
			g.status = statuses[0]
		}
	default:
		err = fmt.Errorf("%q is nothing to wait for: write phase=PHASE, condition=TYPE, condition=TYPE=STATUS, or deleted", text)
	}
	return g, err
}

// oneOf is the word that is meant, or an error that tells the one which may be.
func oneOf[T ~string](what, word string, words []T) (T, error) {
	all := make([]string, len(words))
	for i, w := range words {
		if strings.EqualFold(word, string(w)) {
			return w, nil
		}
		all[i] = string(w)
	}
	if near := nearest(word, slices.Values(all)); near != "" {
		return "", fmt.Errorf("there is no %s %q: did you mean %s?", what, word, near)
	}
	return "", fmt.Errorf("there is no %s %q: write one of %s", what, word, strings.Join(all, ", "))
}

// String is g as ParseGoal reads it.
func (g Goal) String() string {
	switch {
	case g.Deleted:
		return "deleted"
	case g.phase != "":
		return "phase=" + string(g.phase)
	}
	return "condition=" + g.condition + "=" + g.status
}

// Reached reports whether a container is there. No container is deleted: see Goal.Deleted.
func (g Goal) Reached(c *Container) bool {
	if g.phase != "" {
		return c.Status.Phase == g.phase
	}
	return slices.ContainsFunc(c.Status.Conditions, func(k reconcile.Condition) bool {
		return k.Type == g.condition && k.Status == g.status
	})
}
