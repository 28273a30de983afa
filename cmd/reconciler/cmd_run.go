package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// runOptions are the flags of run beyond Paths.
type runOptions struct {
	Runtime      string
	CgroupParent string
	Resync       time.Duration
	Prune        bool
}

func newRunCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the controller in the foreground",
		Long: `Run the controller in the foreground.

It keeps the containers of the manifests directory running until it is stopped by SIGINT or SIGTERM; the containers
run on without it, and the next controller finds them. "reconciler down --exit" stops them first.

Exit status: 0 by "down --exit"; 130 by SIGINT, 143 by SIGTERM: a service manager is to be told that this is success; 1
for everything that keeps it from running, said on stderr.`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			paths, err := pathsOf(cmd)
			if err != nil {
				return err
			}
			if err := fromEnvironment(cmd.Flags()); err != nil {
				return err
			}
			if o.CgroupParent == "" {
				o.CgroupParent = paths.CgroupParent()
			}
			if o.Resync <= 0 {
				return usagef("--resync %s: must be more than nothing, such as 30s", o.Resync)
			}
			return runDaemon(cmd.Context(), paths, o, cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Runtime, "runtime", "runc", "name or `path` of the OCI runtime [RECONCILER_RUNTIME]")
	f.StringVar(&o.CgroupParent, "cgroup-parent", "", "cgroup `path` below which every instance has its own (/reconciler) [RECONCILER_CGROUP_PARENT]")
	f.DurationVar(&o.Resync, "resync", 30*time.Second, "how often everything is looked at without a cause [RECONCILER_RESYNC]")
	f.BoolVar(&o.Prune, "prune", false, "remove what is in our runtime root and belongs to no container [RECONCILER_PRUNE]")
	return cmd
}

// runFlags can be given by the environment as well.
var runFlags = map[string]string{
	"runtime": "RECONCILER_RUNTIME", "cgroup-parent": "RECONCILER_CGROUP_PARENT", "resync": "RECONCILER_RESYNC", "prune": "RECONCILER_PRUNE",
}

// fromEnvironment sets those of runFlags that the command line does not.
func fromEnvironment(flags *pflag.FlagSet) error {
	for name, variable := range runFlags {
		value := os.Getenv(variable)
		if value == "" || flags.Changed(name) {
			continue
		}
		if err := flags.Set(name, value); err != nil {
			return usageError{fmt.Errorf("%s: %w", variable, err)}
		}
	}
	return nil
}
