package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
)

// warnOfHold tells on stderr that the whole node is held, if it is: who, when, why, and how it ends.
func warnOfHold(cmd *cobra.Command, reading api.Reading, more string) error {
	state, err := reading.NodeState(cmd.Context())
	if err == nil {
		tellHold(cmd, state.Down, more)
	}
	return err
}

func tellHold(cmd *cobra.Command, down *api.Down, more string) {
	if down == nil {
		return
	}
	line := heldBy(down)
	if down.InDoubt {
		line += " by a restored store, which may be out of date: nothing is started, and nothing stopped; `reconciler down` says it again"
	}
	line += "; `reconciler up` lifts that"
	if more != "" {
		line += ", and " + more
	}
	complain(cmd.ErrOrStderr(), fmt.Errorf("%s", clean(line)))
}

// tellRestored tells on stderr that what is shown may be older than what runs.
func tellRestored(cmd *cobra.Command, restored *api.Restored) {
	if restored != nil {
		complain(cmd.ErrOrStderr(), fmt.Errorf("%s, as of %s, and the manifests were not read since: nothing is begun, and nothing stopped",
			clean(restored.Why), stamp(restored.Snapshot)))
	}
}

// tellOrphans tells on stderr what is in our places and belongs to no container.
func tellOrphans(cmd *cobra.Command, orphans []string) {
	for _, id := range orphans {
		complain(cmd.ErrOrStderr(), fmt.Errorf("%s is in our runtime root, run directory or cgroup and belongs to no container: "+
			"a manifest of that name takes it back, `reconciler run --prune` removes it", clean(id)))
	}
}

func heldBy(d *api.Down) string {
	line := fmt.Sprintf("the node is held down by %s since %s", d.By, stamp(d.At))
	if d.Reason != "" {
		line += ": " + d.Reason
	}
	return line
}
