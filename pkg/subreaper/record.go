package subreaper

import (
	"encoding/json"
	"fmt"

	"reconciler.dev/reconciler/pkg/subreaper/internal/raw"
)

// ReadInstance reads the commit of a launch. The error is fs.ErrNotExist if there is none.
func ReadInstance(run RunDir, id string) (Instance, error) {
	in, err := readRecord[Instance](run.Instance(id))
	return in, whose(run.Instance(id), in.ID, id, err)
}

// ReadExit reads an exit record. The error is fs.ErrNotExist if there is none.
func ReadExit(run RunDir, id string) (Exit, error) {
	e, err := readRecord[Exit](run.Exit(id))
	return e, whose(run.Exit(id), e.Instance, id, err)
}

// whose refuses a record that is whole and of nobody, or of somebody else: no other one will come in its place.
func whose(path, is, want string, err error) error {
	if err == nil && is != want {
		return fmt.Errorf("%s: %w: it is of instance %q", path, ErrDamaged, is)
	}
	return err
}

func readRecord[T any](path string) (T, error) {
	var v T
	var buf [4096]byte // several times what a record can be
	b, err := raw.ReadFile(path, buf[:])
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return v, fmt.Errorf("%s: %w: %w", path, ErrDamaged, err)
	}
	return v, nil
}
