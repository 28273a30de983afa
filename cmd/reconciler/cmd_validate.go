package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

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
	files := cmd.Flags().StringArrayP("filename", "f", nil, "a `file`, a directory of manifests, or - for stdin; may be repeated")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if len(*files) == 0 {
			return usagef("validate needs -f FILE, -f DIR or -f -")
		}
		v := &validation{stderr: cmd.ErrOrStderr(), owner: map[string]string{}}
		for _, f := range *files {
			v.argument(f, cmd.InOrStdin())
		}
		if v.failed {
			return errTold
		}
		noun := "containers"
		if v.valid == 1 {
			noun = "container"
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "%d %s valid\n", v.valid, noun)
		return err
	}
	return cmd
}

// maxManifest is one byte more than a manifest may have: enough for its parser to say so.
const maxManifest = 1<<20 + 1

// validation checks manifests one after the other, and tells every error at once.
type validation struct {
	stderr io.Writer
	owner  map[string]string // file by container name
	valid  int
	failed bool
}

func (v *validation) fail(err error) {
	v.failed = true
	fmt.Fprintln(v.stderr, clean(err.Error()))
}

// argument checks what one -f names.
func (v *validation) argument(path string, stdin io.Reader) {
	if path == "-" {
		v.read("stdin", ".", stdin)
		return
	}
	info, err := os.Stat(path)
	if err != nil {
		v.fail(err)
		return
	}
	if !info.IsDir() {
		v.file(path, 0)
		return
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		v.fail(err)
		return
	}
	for _, e := range entries {
		if desired.IsManifest(e.Name()) {
			v.file(filepath.Join(path, e.Name()), unix.O_NONBLOCK) // a FIFO in a directory must not be waited for
		}
	}
}

func (v *validation) file(path string, flags int) {
	f, err := os.OpenFile(path, os.O_RDONLY|flags, 0)
	if err != nil {
		v.fail(err)
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && flags != 0 && !info.Mode().IsRegular() {
		v.fail(&desired.Error{File: path, Message: "is not a regular file"})
		return
	}
	v.read(path, filepath.Dir(path), f)
}

func (v *validation) read(name, dir string, r io.Reader) {
	data, err := io.ReadAll(io.LimitReader(r, maxManifest))
	base, absErr := filepath.Abs(dir)
	if err := errors.Join(err, absErr); err != nil {
		v.fail(fmt.Errorf("%s: %w", name, err))
		return
	}
	found, errs := desired.Parse(name, data, base)
	for _, err := range errs {
		v.fail(err)
	}
	for _, c := range found {
		v.container(name, c)
	}
}

// container checks what a single file cannot tell: that the name is given once, and that there is a bundle to run.
func (v *validation) container(file string, c desired.Container) {
	if other, taken := v.owner[c.Name]; taken && other != file {
		v.fail(&desired.Error{File: file, Field: "metadata.name",
			Message: fmt.Sprintf("%q is the name of a container in %s too: rename one", c.Name, other)})
		return
	}
	v.owner[c.Name] = file
	if err := checkBundle(c); err != nil {
		what := strings.ReplaceAll(err.Error(), "\n", "; ")
		v.fail(&desired.Error{File: file, Field: "spec.bundle", Message: fmt.Sprintf("container %q: %s", c.Name, what)})
		return
	}
	v.valid++
}

func checkBundle(c desired.Container) error {
	config, err := bundle.Load(c.Spec.Bundle)
	if err != nil {
		return err
	}
	_, _, err = reconcile.CheckBundle(c, config)
	return err
}
