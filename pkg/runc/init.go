package runc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Which process is a container's init outlives it in <StateDir>/<id>.json: once it has stopped, the runtime names none.

func (r *Runtime) initFile(id string) string { return filepath.Join(r.stateDir, id+".json") }

func (r *Runtime) recordInit(id string, p Process) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	aside := filepath.Join(r.stateDir, "."+id+".json")
	if err := os.WriteFile(aside, b, 0o600); err != nil {
		return fmt.Errorf("record init: %w", err)
	}
	if err := os.Rename(aside, r.initFile(id)); err != nil {
		return fmt.Errorf("record init: %w", err)
	}
	return nil
}

func (r *Runtime) readInit(id string) (p Process, err error) {
	b, err := os.ReadFile(r.initFile(id))
	if err != nil {
		return Process{}, err
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return Process{}, fmt.Errorf("record of init %s: %w", r.initFile(id), err)
	}
	return p, nil
}

// forget removes what is recorded of a container and of its other processes.
func (r *Runtime) forget(id string) error {
	return errors.Join(removeFile(r.initFile(id)), os.RemoveAll(r.execDir(id)))
}

// removeFile removes a file if it is there.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
