package api

import (
	"errors"
	"maps"
	"strings"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/reconcile"
	"reconciler.dev/reconciler/pkg/store"
)

// Container is one container as users see it: what is wanted, and what is.
type Container struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Metadata   Metadata         `json:"metadata"`
	Spec       desired.Spec     `json:"spec"`
	Status     reconcile.Status `json:"status"`
}

// Metadata names a container. Labels and Annotations are never null.
type Metadata struct {
	Name        string            `json:"name"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	Generation  int64             `json:"generation"`
	Source      string            `json:"source"` // who owns the name: "manifests/<file>" or "api"
}

// List is the form of every answer that has several items. Problems are the records that could not be read, one
// sentence each: a corrupt one does not hide the others. Neither is ever null.
type List[T any] struct {
	Items    []T      `json:"items"`
	Problems []string `json:"problems"`
}

// listOf makes a List of items, which may be nil, and of what the store says of those that it could not read. Any other
// error is returned.
func listOf[T any](items []T, err error) (List[T], error) {
	l := List[T]{Items: items, Problems: []string{}}
	if items == nil {
		l.Items = []T{}
	}
	if _, ok := errors.AsType[*store.RecordError](err); ok {
		l.Problems = strings.Split(err.Error(), "\n") // errors.Join, one a line
		err = nil
	}
	return l, err
}

// Exit is the one exit record of an attempt.
type Exit = store.Exit

// Event is one line of history.
type Event = store.Event

// Source is what is known of a source of manifests: above all, which of its files have errors.
type Source = store.Source

// Confirmed is what became of a directory of manifests that was to be accepted as it is.
type Confirmed struct {
	Confirmed bool `json:"confirmed"` // false: it is followed, there was nothing to confirm
}

// PlanLine is one action that would be taken now, such as `web stop signal=TERM grace=10s reason=SpecChanged`.
type PlanLine struct {
	Name string `json:"name"`
	Line string `json:"line"`
}

// Version tells one build of the program from another.
type Version struct {
	Version  string `json:"version"`
	Revision string `json:"revision"` // of the source; empty when the build does not know
	Go       string `json:"go"`
}

// hidden stands in for what the asker may not see.
const hidden = "(hidden: root only)"

// withoutSecrets is c as those who are not root may see it. c itself is not changed.
func (c Container) withoutSecrets() Container {
	c.Spec.Process.Env = maps.Clone(c.Spec.Process.Env)
	for k, v := range c.Spec.Process.Env {
		if v != nil { // nil removes a variable of the bundle: no secret
			c.Spec.Process.Env[k] = new(hidden)
		}
	}
	c.Status.SpecHash = hidden // values could be guessed by it
	return c
}
