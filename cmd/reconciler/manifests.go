package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/desired"
)

// manifests are what a user's -f names, read one after the other. Every error is told at once, on stderr.
type manifests struct {
	stderr io.Writer
	found  []written
	failed bool
	owner  map[string]string // file by container name
}

// written is a container and the file that it stands in.
type written struct {
	file      string
	container desired.Container
}

// readManifests reads files, directories of manifests, and stdin for "-". The error is that of an interruption: what is
// read may be a terminal, or a FIFO that nobody writes to, and whoever waits for it then is left behind.
func readManifests(cmd *cobra.Command, paths []string) (*manifests, error) {
	m := &manifests{stderr: cmd.ErrOrStderr(), owner: map[string]string{}}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for _, path := range paths {
			m.argument(path, cmd.InOrStdin())
		}
	}()
	select {
	case <-read:
		return m, nil
	case <-cmd.Context().Done():
		return nil, cmd.Context().Err()
	}
}

// containersOf is readManifests and containers.
func containersOf(cmd *cobra.Command, paths []string) ([]written, error) {
	m, err := readManifests(cmd, paths)
	if err != nil {
		return nil, err
	}
	return m.containers()
}

// addFilename adds -f to a verb.
func addFilename(cmd *cobra.Command) *[]string {
	return cmd.Flags().StringArrayP("filename", "f", nil, "a `file`, a directory of manifests, or - for stdin; may be repeated")
}

// containers are all that were read, if there was no error and there are any.
func (m *manifests) containers() ([]written, error) {
	switch {
	case m.failed:
		return nil, errTold
	case len(m.found) == 0:
		return nil, errors.New("there is no manifest in what -f names: their names end in .yaml, .yml or .json")
	}
	return m.found, nil
}

func (m *manifests) fail(err error) {
	m.failed = true
	fmt.Fprintln(m.stderr, clean(err.Error()))
}

// argument reads what one -f names.
func (m *manifests) argument(path string, stdin io.Reader) {
	if path == "-" {
		m.read("stdin", ".", stdin)
		return
	}
	info, err := os.Stat(path)
	if err != nil {
		m.fail(err)
		return
	}
	if !info.IsDir() {
		m.file(path, 0)
		return
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		m.fail(err)
		return
	}
	for _, e := range entries {
		if desired.IsManifest(e.Name()) {
			m.file(filepath.Join(path, e.Name()), unix.O_NONBLOCK) // a FIFO in a directory must not be waited for
		}
	}
}

func (m *manifests) file(path string, flags int) {
	f, err := os.OpenFile(path, os.O_RDONLY|flags, 0)
	if err != nil {
		m.fail(err)
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && flags != 0 && !info.Mode().IsRegular() {
		m.fail(&desired.Error{File: path, Message: "is not a regular file"})
		return
	}
	m.read(path, filepath.Dir(path), f)
}

func (m *manifests) read(name, dir string, r io.Reader) {
	data, err := io.ReadAll(io.LimitReader(r, desired.MaxFile+1)) // with one byte more than there may be its parser says so
	base, absErr := filepath.Abs(dir)
	if err := errors.Join(err, absErr); err != nil {
		m.fail(fmt.Errorf("%s: %w", name, err))
		return
	}
	found, errs := desired.Parse(name, data, base)
	for _, err := range errs {
		m.fail(err)
	}
	for _, c := range found {
		m.add(name, c)
	}
}

// add checks what a single file cannot tell: that the name is given once.
func (m *manifests) add(file string, c desired.Container) {
	if other, taken := m.owner[c.Name]; taken && other != file {
		m.fail(&desired.Error{File: file, Field: "metadata.name",
			Message: fmt.Sprintf("%q is the name of a container in %s too: rename one", c.Name, other)})
		return
	}
	m.owner[c.Name] = file
	m.found = append(m.found, written{file, c})
}
