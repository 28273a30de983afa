package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
)

// warnOfHold tells on stderr that the whole node is held, if it is: who, when, why, and how it ends.
func warnOfHold(cmd *cobra.Command, reading api.Reading, more string) error {
	state, err := reading.NodeState(cmd.Context())
	if err != nil || state.Down == nil {
		return err
	}
	line := heldBy(state.Down) + "; `reconciler up` lifts that"
	if more != "" {
		line += ", and " + more
	}
	complain(cmd.ErrOrStderr(), fmt.Errorf("%s", clean(line)))
	return nil
}

func heldBy(d *api.Down) string {
	line := fmt.Sprintf("the node is held down by %s since %s", d.By, stamp(d.At))
	if d.Reason != "" {
		line += ": " + d.Reason
	}
	return line
}
