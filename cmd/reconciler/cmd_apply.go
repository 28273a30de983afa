package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
)

func newApplyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apply -f FILE|DIR|-",
		Short: "Make containers wanted, or change what is wanted of them",
		Long: `Make the containers of manifests wanted, or change what is wanted of them, until the verb delete. They need not lie in
the manifests directory; a name that does belongs to its file, and is refused here.

Nothing is sent if any manifest has an error; every error is one line on stderr. A bundle's path is relative to its
file, for stdin to the working directory. A bundle that cannot be used yet is a warning: it is tried again.`,
		Example: "  reconciler apply -f web.yaml\n  sed s/8080/8081/ web.yaml | reconciler apply -f -",
		Args:    usage(cobra.NoArgs),
	}
	files := addFilename(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if len(*files) == 0 {
			return usagef("apply needs -f FILE, -f DIR or -f -")
		}
		found, err := containersOf(cmd, *files)
		if err != nil {
			return err
		}
		client, err := clientOf(cmd)
		if err != nil {
			return err
		}
		defer client.Close()
		return apply(cmd, client, found)
	}
	return cmd
}

// apply sends one container after the other. One that is refused does not keep the others from being sent.
func apply(cmd *cobra.Command, client *api.Client, found []written) error {
	var errs []error
	for _, w := range found {
		applied, err := client.Apply(cmd.Context(), w.container)
		if errors.Is(err, api.ErrNoDaemon) || errors.Is(err, api.ErrPermission) || cmd.Context().Err() != nil {
			return errors.Join(append(errs, err)...)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", w.file, err))
			continue
		}
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", w.container.Name, applied.Result); err != nil {
			return err
		}
		if applied.Problem != "" {
			complain(cmd.ErrOrStderr(), fmt.Errorf("warning: %s: the bundle of %s cannot be used now: %s",
				w.file, w.container.Name, clean(applied.Problem)))
		}
	}
	return errors.Join(append(errs, warnOfHold(cmd, client, ""))...)
}
