package subreaper

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"syscall"
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
	const maxRecord = 64 << 10
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return v, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxRecord))
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return v, fmt.Errorf("%s: %w", path, err)
	}
	return v, nil
}
