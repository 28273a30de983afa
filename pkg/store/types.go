package store

import (
	"encoding/json"
	"time"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// Desired is what is wanted of one name: the last good manifest, the last good config.json, and what verbs laid over it.
type Desired struct {
	Container  desired.Container `json:"container"`
	Source     string            `json:"source"` // the owner of the name: "manifests/<file>" or "api"
	Generation int64             `json:"generation"`
	InputHash  string            `json:"inputHash"` // of bundle path, process and config.json: desired.Hash; empty while there was no good one
	Private    bool              `json:"private"`   // own pid namespace and no hooks, by Config
	Problem    string            `json:"problem"`   // why the bundle as it is now cannot be used; empty when it can
	Refused    *Refused          `json:"refused"`   // what the user wrote in place of the last good; null without a Problem

	Config []byte    `json:"-"` // last good config.json; kept in a bucket of its own, since lists do without: AllDesired
	Verbs  Verbs     `json:"-"` // kept in a bucket of its own, since others write it
	Held   *Override `json:"-"` // the whole node is down: from meta/down
}

// Refused is the part of a manifest that is not in force, since no instance can be made from it.
type Refused struct {
	Bundle  string          `json:"bundle"`
	Process desired.Process `json:"process"`
}

// Wanted is the container as its user wrote it, whether all of it is in force or not.
func (d *Desired) Wanted() desired.Container {
	c := d.Container
	if d.Refused != nil {
		c.Spec.Bundle, c.Spec.Process = d.Refused.Bundle, d.Refused.Process
	}
	return c
}

// Override is what outranks the manifest's state: a node that is down, else a verb; nil if nothing does.
func (d *Desired) Override() *Override {
	if d.Held != nil {
		return d.Held
	}
	return d.Verbs.Override
}

// State is what is wanted now.
func (d *Desired) State() desired.State {
	if o := d.Override(); o != nil {
		return o.State
	}
	return d.Container.Spec.State
}

// SpecHash is the input's hash and the restart counter as one: an instance made from another one is replaced.
func (d *Desired) SpecHash() string { return desired.WithRestarts(d.InputHash, d.Verbs.Restarts) }

// Verbs is what the verbs of the CLI changed about a name; they never edit a spec.
type Verbs struct {
	Override *Override `json:"override"`
	Restarts int64     `json:"restarts"` // bumped by restart
}

// Override is a state that a verb laid over the manifest's.
type Override struct {
	State desired.State `json:"state"`
	By    string        `json:"by"`
	At    time.Time     `json:"at"`
	// InDoubt: it is from a snapshot, and may have been taken back since. It stops and freezes nothing that runs.
	InDoubt bool `json:"inDoubt"`
}

// Down holds the whole node: every container is to be stopped. It is void at the next boot.
type Down struct {
	By      string    `json:"by"`
	Reason  string    `json:"reason"` // the user's own words; may be empty
	At      time.Time `json:"at"`
	BootID  string    `json:"bootID"`
	InDoubt bool      `json:"inDoubt"` // as in Override
}

// Source is what is remembered of a source of manifests.
type Source struct {
	Name     string            `json:"name"`     // "manifests"
	Identity string            `json:"identity"` // of the directory last accepted: desired.Scan.Identity; empty accepts any
	Boot     string            `json:"boot"`     // boot id when Identity was read
	Problem  string            `json:"problem"`  // why it is not followed now; empty when it is
	Files    map[string]string `json:"files"`    // file -> its errors, one a line; only files with errors
}

// Record is what must survive a crash about one name. Only the reconcile loop writes it.
type Record struct {
	Name               string       `json:"name"`
	LastAttempt        int          `json:"lastAttempt"`        // highest number ever used; never lowered
	Attempts           []Attempt    `json:"attempts"`           // those with remains, oldest first; the last one is the current
	ObservedGeneration int64        `json:"observedGeneration"` // the generation last acted on
	SpecHash           string       `json:"specHash"`           // what Starts, Failures, Backoff and End belong to
	Starts             int          `json:"starts"`
	Failures           int          `json:"failures"` // ends in a row that nobody asked for; reset by ResetAfter of running
	Backoff            Wait         `json:"backoff"`
	End                End          `json:"end"` // how the last attempt ended; what follows from it is the planner's
	LastExit           *Exit        `json:"lastExit"`
	Stop               desired.Stop `json:"stop"`      // the last one wanted, for when the name no longer is
	LastError          string       `json:"lastError"` // of the last launch or effect that failed
	Retry              Wait         `json:"retry"`     // after an effect that failed
	ChangedAt          time.Time    `json:"changedAt"`
	RemovedAt          time.Time    `json:"removedAt"` // tombstone: the name is no longer desired and nothing is left of it
	InDoubt            bool         `json:"-"`         // the store is Restored: what is wanted and on record may be older than what runs
}

// End says how an attempt ended, as far as the restart policy cares.
type End string

const (
	EndNone      End = ""          // none has ended yet
	EndSucceeded End = "Succeeded" // exit code 0
	EndFailed    End = "Failed"    // any other exit, the unknown one included
	EndAsked     End = "Asked"     // stopped or replaced by us
	EndLaunch    End = "Launch"    // it was never started
)

// Wait is a point in time kept with the length of the wait, so that a stepped clock can be told.
type Wait struct {
	Until  time.Time     `json:"until"`
	Length time.Duration `json:"length"` // nanoseconds
}

// Attempt is one instance as the write-ahead log knows it. Its fields are set in this order.
type Attempt struct {
	Number         int                `json:"number"`
	Instance       string             `json:"instance"`
	SpecHash       string             `json:"specHash"`
	Private        bool               `json:"private"`             // own pid namespace and no hooks: may be cleaned up late
	Resources      json.RawMessage    `json:"resources,omitempty"` // overrides it was made with, or updated to; nil for none
	Unfit          string             `json:"unfit"`               // hash of overrides that the runtime refused to update it to
	IntentAt       time.Time          `json:"intentAt"`            // written before the launch
	LaunchError    string             `json:"launchError"`         // the launch failed: this attempt has run nothing
	Process        *subreaper.Process `json:"process"`             // written with StartCommitted
	StartCommitted time.Time          `json:"startCommitted"`      // written before start; from here on an exit is owed
	Started        bool               `json:"started"`             // written after start
	Stop           *Stopping          `json:"stop"`                // written before the stop signal
	Retry          Wait               `json:"retry"`               // after a clean of it that failed
	Over           bool               `json:"over"`                // its exit is recorded, or it is known to have run nothing
}

// Stopping is a stop of ours under way.
type Stopping struct {
	Wait   Wait   `json:"wait"`
	Reason string `json:"reason"`
	Sent   bool   `json:"sent"`   // the stop signal was sent
	Killed bool   `json:"killed"` // the grace period was over and SIGKILL was sent
}

// Exit is the one exit record of an attempt, in the JSON that users see. ExitCode is null when a signal ended it, Signal
// is 0 when none did, both are null when unknown.
type Exit struct {
	Instance string `json:"instance"`
	Attempt  int    `json:"attempt"`
	subreaper.Process
	ExitCode   *int             `json:"exitCode"`
	Signal     *int             `json:"signal"`
	OOMKilled  bool             `json:"oomKilled"`
	CoreDumped bool             `json:"coreDumped"`
	Reason     string           `json:"reason"`  // one CamelCase word
	Message    string           `json:"message"` // a sentence
	Source     subreaper.Source `json:"source"`
	StartedAt  time.Time        `json:"startedAt"`
	FinishedAt time.Time        `json:"finishedAt"`
}

// EventType is Normal or Warning, as in Kubernetes.
type EventType string

const (
	Normal  EventType = "Normal"
	Warning EventType = "Warning"
)

// Event is one line of history.
type Event struct {
	Seq     uint64    `json:"seq"` // given by the store
	Time    time.Time `json:"time"`
	Type    EventType `json:"type"`
	Reason  string    `json:"reason"` // one CamelCase word
	Object  string    `json:"object"` // a container's name, a manifest's file, or "node"
	Message string    `json:"message"`
}

// Change is one transaction. Its fields are independent; zero ones change nothing.
type Change struct {
	Record        *Record   // replaces status/<name>
	Attempt       *Attempt  // put into the history: attempts/<name>/<number>
	Exit          *Exit     // recorded once: see DB.Commit
	Desired       []Desired // put, but for their Verbs
	Removed       []string  // no longer desired: desired/<name> and its verbs are deleted
	Source        *Source   // put
	Events        []Event   // appended
	Down          *Down     // put
	Up            bool      // Down is deleted
	ManifestsRead bool      // the mark of a Restored store is deleted
}
