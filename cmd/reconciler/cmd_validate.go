package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/bundle"
	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/reconcile"
)

func newValidateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate -f FILE|DIR|-",
		Short: "Check manifests and their bundles; no daemon is needed",
		Long: `Check manifests and the config.json of their bundles. No daemon is needed, and none is told.

Every error is one line on stderr, as file:line:column: field: what is wrong, and the mend.`,
		Example: "  reconciler validate -f web.yaml\n  cat web.yaml | reconciler validate -f -",
		Args:    usage(cobra.NoArgs),
	}
	files := addFilename(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if len(*files) == 0 {
			return usagef("validate needs -f FILE, -f DIR or -f -")
		}
		m, err := readManifests(cmd, *files)
		if err != nil {
			return err
		}
		for _, w := range m.found {
			if err := checkBundle(w); err != nil {
				m.fail(err)
			}
		}
		if m.failed {
			return errTold
		}
		if len(m.found) == 0 {
			return errors.New("there is no manifest in what was named")
		}
		noun := "containers"
		if len(m.found) == 1 {
			noun = "container"
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d %s valid\n", len(m.found), noun)
		return err
	}
	return cmd
}

// checkBundle checks that there is a bundle to run.
func checkBundle(w written) error {
	config, err := bundle.Load(w.container.Spec.Bundle)
	if err == nil {
		_, _, err = reconcile.CheckBundle(w.container, config)
	}
	if err == nil {
		return nil
	}
	what := strings.ReplaceAll(err.Error(), "\n", "; ")
	return &desired.Error{File: w.file, Field: "spec.bundle", Message: fmt.Sprintf("container %q: %s", w.container.Name, what)}
}
