package subreaper

import (
	"encoding/json"
	"fmt"

	"reconciler.dev/reconciler/pkg/subreaper/internal/raw"
)

// ReadInstance reads the commit of a launch. The error is fs.ErrNotExist if there is none.
func ReadInstance(run RunDir, id string) (Instance, error) {
	in, err := readRecord[Instance](run.Instance(id))
	if err == nil && in.ID != id {
		err = fmt.Errorf("%s: it is of instance %q", run.Instance(id), in.ID)
	}
	return in, err
}

// ReadExit reads an exit record. The error is fs.ErrNotExist if there is none.
func ReadExit(run RunDir, id string) (Exit, error) {
	e, err := readRecord[Exit](run.Exit(id))
	if err == nil && e.Instance != id {
		err = fmt.Errorf("%s: it is of instance %q", run.Exit(id), e.Instance)
	}
	return e, err
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
