package desired

import (
	"encoding/json"
	"time"
)

// APIVersion and Kind are what a manifest must say.
const (
	APIVersion = "reconciler/v1alpha1"
	Kind       = "Container"
)

// State is what the user wants a container to be.
type State string

const (
	Running State = "Running"
	Stopped State = "Stopped"
	Paused  State = "Paused" // started, and then frozen
)

// Policy says after which exits a container is started again.
type Policy string

const (
	Always    Policy = "Always"
	OnFailure Policy = "OnFailure"
	Never     Policy = "Never"
)

// Container is one manifest document after parsing, with every default filled in.
type Container struct {
	Name        string            `json:"name"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	Spec        Spec              `json:"spec"`
}

// Spec is the manifest's spec. Its JSON is the manifest's own form: durations are strings with a unit.
type Spec struct {
	Bundle  string  `json:"bundle"` // absolute once parsed
	State   State   `json:"state"`
	Restart Restart `json:"restart"`
	Stop    Stop    `json:"stop"`
	Process Process `json:"process"`

	// Resources overrides linux.resources of the bundle, in the runtime spec's own JSON: objects are merged, all else is
	// replaced, null removes. It is canonical, and nil if nothing is overridden.
	Resources json.RawMessage `json:"resources,omitempty"`

	Log Log `json:"log"`
}

// Restart is the restart policy. MaxRetries 0 means no limit.
type Restart struct {
	Policy     Policy  `json:"policy"`
	Backoff    Backoff `json:"backoff"`
	MaxRetries int     `json:"maxRetries"`
}

// Backoff is the wait between restarts: none before the first, then Initial x Factor^n up to Max; the count starts
// anew once an instance has run for ResetAfter.
type Backoff struct {
	Initial    Duration `json:"initial"`
	Factor     float64  `json:"factor"`
	Max        Duration `json:"max"`
	ResetAfter Duration `json:"resetAfter"`
}

// Stop says how a running instance is ended: Signal, and SIGKILL when GracePeriod is over.
type Stop struct {
	Signal      string   `json:"signal"` // canonical: SIGTERM
	GracePeriod Duration `json:"gracePeriod"`
}

// Log bounds what is kept of a container's output, over all its attempts.
type Log struct {
	MaxSize  Size `json:"maxSize"`  // of one file
	MaxFiles int  `json:"maxFiles"` // that many of them
}

// Process overrides fields of the bundle's process; what is nil is the bundle's own.
type Process struct {
	Args     []string           `json:"args,omitempty"`
	Env      map[string]*string `json:"env,omitempty"` // merged by key; nil removes
	Cwd      string             `json:"cwd,omitempty"`
	Terminal *bool              `json:"terminal,omitempty"`
}

// Duration is a time.Duration whose JSON is a string with a unit.
type Duration time.Duration

func (d Duration) String() string               { return time.Duration(d).String() }
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	v, err := time.ParseDuration(s)
	*d = Duration(v)
	return err
}
