package observed

import "reconciler.dev/reconciler/pkg/subreaper"

// Question asks about one instance. Process, when the asker has it on record, outranks the instance file, which may be
// gone with the run directory.
type Question struct {
	ID      string
	Process *subreaper.Process
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
}

// Snapshot is what is true now.
type Snapshot struct {
	Instances map[string]Instance // those asked about, by instance id
	Unlisted  string              // why it is not known which instances there are; empty when Seen says it
	Seen      map[string][]int    // attempts by container name, of which there is anything in our places
	Highest   map[string]int      // by container name: the highest attempt that ever wrote a log, as of our start
}
