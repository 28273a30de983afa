package observed

import (
	"encoding/json"
	"time"

	"reconciler.dev/reconciler/pkg/subreaper"
)

// Question asks about one instance. Process, when the asker has it on record, outranks the instance file, which may be
// gone with the run directory.
type Question struct {
	ID      string
	Process *subreaper.Process
	Origin  bool // tell Instance.Origin as well
}

// Life is what is known of an instance's init process.
type Life string

const (
	NoProcess Life = "NoProcess" // none is known: never launched, or its launch never committed
	Alive     Life = "Alive"
	Dead      Life = "Dead" // a zombie, or gone
)

// Instance is what is true of one instance now.
type Instance struct {
	ID      string
	Unknown string // why it could not be observed; then nothing below counts
	Process subreaper.Process
	Life    Life
	Ours    bool            // alive as a child of the guard or the reaper, who will see it end
	Exit    *subreaper.Exit // how it ended; nil while that is not known yet
	OOM     bool            // it died by SIGKILL, and the OOM killer struck in its cgroup
	Lost    bool            // alive, and its runtime knows nothing of it any more
	Frozen  bool            // alive, and its cgroup is frozen: paused, by whomever
	Origin  *Origin         // when asked for; nil if it does not carry what we write on instances of ours
}

// Origin is what an instance was made from and whether it was started, by what it carries itself: what is left to know
// when the store is lost.
type Origin struct {
	InputHash string          // of bundle path, process and config.json
	SpecHash  string          // with the restart counter folded in
	Resources json.RawMessage // overrides; nil for none
	Private   bool            // own pid namespace and no hooks
	Started   bool
	MadeAt    time.Time
}

// Snapshot is what is true now.
type Snapshot struct {
	Instances map[string]Instance // those asked about, by instance id
	Unlisted  string              // why it is not known which instances there are; empty when Seen says it
	Seen      map[string][]int    // attempts by container name, of which there is anything in our places
	Highest   map[string]int      // by container name: the highest attempt that ever wrote a log, as of our start
}
