package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"reconciler.dev/reconciler/pkg/runc"
)

// Update runs the runtime's update, and looks whether it has had an effect. What has ended meanwhile will be seen dead.
func (n *Node) Update(ctx context.Context, instance string, resources json.RawMessage) error {
	var r specs.LinuxResources
	if err := json.Unmarshal(resources, &r); err != nil {
		return &Unfit{err}
	}
	err := n.call(ctx, instance, func(c *runc.Container, ctx context.Context) error { return c.Update(ctx, &r) },
		runc.ErrNotRunning, runc.ErrNotExist)
	// A runtime that was killed, said nothing, or could not tell the state first has refused nothing.
	if answer, ok := errors.AsType[*runc.Error](err); ok && answer.Op == "update" && answer.ExitStatus.Code != 0 && answer.Log != "" {
		return &Unfit{err}
	}
	if err != nil {
		return err
	}
	return n.inForce(instance, &r)
}

// inForce compares those limits that the kernel shows as they were given; memory is counted in whole pages. One that is
// not there, as of a cgroup that is gone, is not compared.
func (n *Node) inForce(instance string, r *specs.LinuxResources) error {
	compare := func(what string, want *int64, files ...string) error {
		if want == nil || *want <= 0 { // no limit, which has many forms
			return nil
		}
		is, found := n.Cgroups.Limit(instance, files...)
		if page := int64(os.Getpagesize()); !found || is == *want || what == "memory" && is/page == *want/page {
			return nil
		}
		return fmt.Errorf("update %s: %w: the limit of %s is %d, not %d", instance, runc.ErrNoEffect, what, is, *want)
	}
	var errs []error
	if r.Memory != nil {
		errs = append(errs, compare("memory", r.Memory.Limit, "memory.max", "memory.limit_in_bytes"))
	}
	if r.Pids != nil {
		errs = append(errs, compare("processes", r.Pids.Limit, "pids.max"))
	}
	if r.CPU != nil {
		errs = append(errs, compare("CPU time", r.CPU.Quota, "cpu.max", "cpu.cfs_quota_us"))
	}
	return errors.Join(errs...)
}
