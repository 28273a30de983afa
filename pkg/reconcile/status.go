package reconcile

import (
	"fmt"
	"time"

	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/store"
)

// Phase is a column for people, computed from what is desired, observed and recorded.
type Phase string

const (
	Pending   Phase = "Pending"
	Creating  Phase = "Creating"
	Running   Phase = "Running"
	Paused    Phase = "Paused" // frozen
	Stopping  Phase = "Stopping"
	BackOff   Phase = "BackOff"   // dead, a restart is awaited
	Stopped   Phase = "Stopped"   // wanted so, and nothing lives
	Completed Phase = "Completed" // exit 0 under Never or OnFailure
	Failed    Phase = "Failed"    // any other end under Never, or maxRetries used
	Unknown   Phase = "Unknown"   // cannot be observed
)

// Condition is a condition as in Kubernetes.
type Condition struct {
	Type               string     `json:"type"`   // Ready or Progressing
	Status             string     `json:"status"` // True, False or Unknown
	Reason             string     `json:"reason"`
	Message            string     `json:"message"`
	LastTransitionTime *time.Time `json:"lastTransitionTime"`
}

// Status is the status of one container in the JSON that users see. What does not apply is null.
type Status struct {
	Phase              Phase           `json:"phase"`
	Conditions         []Condition     `json:"conditions"`
	Instance           *string         `json:"instance"` // the current or last one
	Attempt            int             `json:"attempt"`
	PID                *int            `json:"pid"`
	StartedAt          *time.Time      `json:"startedAt"`
	RestartCount       int             `json:"restartCount"`
	NextRestartAt      *time.Time      `json:"nextRestartAt"`
	ObservedGeneration int64           `json:"observedGeneration"`
	SpecHash           string          `json:"specHash"`
	Override           *store.Override `json:"override"` // by a verb; a node that is held is reason NodeDown
	Message            string          `json:"message"`
	LastExit           *store.Exit     `json:"lastExit"`
}

// StatusOf computes the status of one name. It is pure; d is nil for a name that is no longer desired.
func StatusOf(d *store.Desired, have observed.Snapshot, r store.Record, now time.Time) Status {
	v := viewOf(r.Name, d, have, r, now)
	s := Status{
		Attempt: r.LastAttempt, RestartCount: max(0, r.Starts-1), ObservedGeneration: r.ObservedGeneration,
		SpecHash: r.SpecHash, LastExit: r.LastExit,
	}
	if r.LastAttempt > 0 {
		s.Instance = new(observed.InstanceID(r.Name, r.LastAttempt))
	}
	if d != nil {
		s.Override = d.Verbs.Override
		if d.SpecHash() != r.SpecHash {
			s.RestartCount = 0
		}
	}
	if v.alive() {
		s.PID, s.StartedAt = new(v.cur.Process.PID), new(v.cur.StartCommitted)
	}
	s.Phase, s.Message = v.phase()
	if s.Phase == BackOff {
		s.NextRestartAt = new(r.Backoff.Until)
	}
	s.Conditions = v.conditions(s.Phase, s.Message)
	return s
}

// phase and the sentence that goes with it.
func (v *view) phase() (Phase, string) {
	switch {
	case v.unknown() != "":
		return Unknown, v.unknown()
	case v.stopping():
		return Stopping, "stopping: " + v.cur.Stop.Reason
	case v.alive() && v.cur.Started && v.o.Frozen:
		return Paused, v.problem()
	case v.alive() && v.cur.Started:
		return Running, v.problem()
	case v.alive(), v.launching() && v.cur.LaunchError == "":
		return Creating, v.problem()
	case v.owesExit():
		return Stopping, "it has ended; how is not known yet"
	}
	switch idle := v.idle(); idle {
	case "NotDesired":
		return Stopping, "no longer desired; what is left is being removed"
	case "BackOff":
		return BackOff, v.lastWord()
	case "", "BundleInvalid", "ManifestsUnread":
		return Pending, v.problem()
	case string(Failed):
		return Failed, v.lastWord()
	default: // Stopped and Completed
		if v.d.Held != nil {
			return Phase(idle), "the node is held: " + v.d.Held.By
		}
		return Phase(idle), v.problem()
	}
}

// problem is what hinders the container without having ended it.
func (v *view) problem() string {
	switch {
	case v.doubted():
		return "the store was restored from a snapshot, and the manifests were not read since"
	case v.d != nil && v.d.Problem != "":
		return v.d.Problem
	case v.pending(v.r.Retry):
		return v.r.LastError
	}
	return ""
}

// lastWord is why the last attempt is no more.
func (v *view) lastWord() string {
	switch {
	case v.r.End == store.EndLaunch:
		return "not started: " + v.r.LastError
	case v.r.LastExit != nil:
		return fmt.Sprintf("%s: %s", v.r.LastExit.Instance, v.r.LastExit.Message)
	}
	return ""
}

// conditions says the same for programs: Ready while it runs, Progressing while something is still to come.
func (v *view) conditions(p Phase, message string) []Condition {
	status := func(yes bool) string {
		switch {
		case p == Unknown:
			return "Unknown"
		case yes:
			return "True"
		}
		return "False"
	}
	progressing := p == Creating || p == Stopping || p == BackOff || p == Pending && v.idle() == ""
	reason, since := v.reason(p), v.since(p)
	return []Condition{
		{Type: "Ready", Status: status(p == Running), Reason: reason, Message: message, LastTransitionTime: since},
		{Type: "Progressing", Status: status(progressing), Reason: reason, Message: message, LastTransitionTime: since},
	}
}

// reason is the phase, or one word that says more.
func (v *view) reason(p Phase) string {
	switch {
	case p == Unknown:
		return "ObservationFailed"
	case p == Stopping && v.owesExit() && !v.alive():
		return "ExitPending"
	case p == Stopping && v.cur != nil && v.cur.Stop != nil:
		return v.cur.Stop.Reason
	case p == Pending && v.idle() != "":
		return v.idle()
	case p == Stopped && v.d.Held != nil:
		return "NodeDown"
	}
	return string(p)
}

// since is when the phase began, as far as that is on record.
func (v *view) since(p Phase) *time.Time {
	switch {
	case p == Running:
		return new(v.cur.StartCommitted)
	case v.r.LastExit != nil && (p == BackOff || p == Stopped || p == Completed || p == Failed):
		return new(v.r.LastExit.FinishedAt)
	case !v.r.ChangedAt.IsZero():
		return new(v.r.ChangedAt)
	}
	return nil
}
