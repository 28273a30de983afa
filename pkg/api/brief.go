package api

import (
	"time"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/reconcile"
	"reconciler.dev/reconciler/pkg/store"
)

// brief is the part of a Container that a table has room for. Reading a thousand whole ones takes most of the time that it
// takes to show a table of them.
type brief struct {
	Metadata struct {
		Name   string            `json:"name"`
		Labels map[string]string `json:"labels"`
		Source string            `json:"source"`
	} `json:"metadata"`
	Spec struct {
		Bundle string        `json:"bundle"`
		State  desired.State `json:"state"`
	} `json:"spec"`
	Status struct {
		Phase        reconcile.Phase `json:"phase"`
		Reason       string          `json:"reason"` // of the conditions
		Instance     *string         `json:"instance"`
		PID          *int            `json:"pid"`
		StartedAt    *time.Time      `json:"startedAt"`
		RestartCount int             `json:"restartCount"`
		Override     *store.Override `json:"override"`
		LastExit     *Exit           `json:"lastExit"`
	} `json:"status"`
}

func briefly(list List[Container]) List[brief] {
	short := List[brief]{Items: make([]brief, len(list.Items)), Problems: list.Problems}
	for i := range list.Items {
		c, b := &list.Items[i], &short.Items[i]
		b.Metadata.Name, b.Metadata.Labels, b.Metadata.Source = c.Metadata.Name, c.Metadata.Labels, c.Metadata.Source
		b.Spec.Bundle, b.Spec.State = c.Spec.Bundle, c.Spec.State
		s := &c.Status
		b.Status.Phase, b.Status.Instance, b.Status.PID, b.Status.StartedAt = s.Phase, s.Instance, s.PID, s.StartedAt
		b.Status.RestartCount, b.Status.Override, b.Status.LastExit = s.RestartCount, s.Override, s.LastExit
		for _, k := range s.Conditions {
			b.Status.Reason = k.Reason // the same in all
		}
	}
	return short
}

// container is the part again, in its place.
func (b *brief) container() (c Container) {
	c.Metadata.Name, c.Metadata.Labels, c.Metadata.Source = b.Metadata.Name, b.Metadata.Labels, b.Metadata.Source
	c.Spec.Bundle, c.Spec.State = b.Spec.Bundle, b.Spec.State
	s := &c.Status
	s.Phase, s.Instance, s.PID, s.StartedAt = b.Status.Phase, b.Status.Instance, b.Status.PID, b.Status.StartedAt
	for _, typ := range Conditions {
		s.Conditions = append(s.Conditions, reconcile.Condition{Type: typ, Reason: b.Status.Reason})
	}
	s.RestartCount, s.Override, s.LastExit = b.Status.RestartCount, b.Status.Override, b.Status.LastExit
	return c
}
