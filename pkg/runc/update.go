package runc

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Update changes limits of a created, running or paused container in place. What resources leaves out stays as it is. Only
// memory, cpu, blockIO, pids and unified can be changed so: runc (1.1.5, 1.5.2) passes over the rest without a word.
//
// Errors: ErrNotExist, ErrNotRunning for a stopped one. A limit that the kernel refuses is an *Error without a sentinel;
// others of the same call may be in force then.
func (c *Container) Update(ctx context.Context, resources *specs.LinuxResources) error {
	b, err := json.Marshal(resources)
	if err != nil {
		return fmt.Errorf("update container %s: resources: %w", c.id, err)
	}
	s, err := c.State(ctx)
	if err != nil {
		return err
	}
	if s.Status == Stopped { // crun 1.8.1 calls it a success
		return c.refuse("update", s, ErrNotRunning)
	}
	_, err = c.r.feed(ctx, bytes.NewReader(b), "update", c.id, "--resources", "-", c.id)
	return err
}
