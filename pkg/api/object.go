package api

import (
	"maps"
	"time"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/reconcile"
	"reconciler.dev/reconciler/pkg/store"
)

// Object is a container as users see it, made from what is wanted, seen and on record. It is pure, and shares no map
// with its arguments.
func Object(d *store.Desired, have observed.Snapshot, r store.Record, now time.Time) Container {
	c := d.Container
	return Container{
		APIVersion: desired.APIVersion,
		Kind:       desired.Kind,
		Metadata: Metadata{
			Name:        c.Name,
			Labels:      orEmpty(c.Labels),
			Annotations: orEmpty(c.Annotations),
			Generation:  d.Generation,
			Source:      d.Source,
		},
		Spec:   c.Spec,
		Status: presentable(reconcile.StatusOf(d, have, r, now)),
	}
}

// presentable is s in the form the JSON promises: lists that are not null, times in UTC.
func presentable(s reconcile.Status) reconcile.Status {
	if s.Conditions == nil {
		s.Conditions = []reconcile.Condition{}
	}
	for i := range s.Conditions {
		s.Conditions[i].LastTransitionTime = utc(s.Conditions[i].LastTransitionTime)
	}
	s.StartedAt, s.NextRestartAt = utc(s.StartedAt), utc(s.NextRestartAt)
	if s.Override != nil {
		o := *s.Override
		o.At = o.At.UTC()
		s.Override = &o
	}
	if s.LastExit != nil {
		s.LastExit = new(presentableExit(*s.LastExit))
	}
	return s
}

func presentableExit(e Exit) Exit {
	e.StartedAt, e.FinishedAt = e.StartedAt.UTC(), e.FinishedAt.UTC()
	return e
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	return new(t.UTC())
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return maps.Clone(m)
}
