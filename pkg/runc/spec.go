package runc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// OwnsPIDNamespace reports whether a container gets a pid namespace of its own. Then the kernel ends all its processes
// with its init; else they live on. Without an entry it shares the runtime's, and an entry with a path joins another.
func OwnsPIDNamespace(s *specs.Spec) bool {
	if s.Linux == nil {
		return false
	}
	for _, ns := range s.Linux.Namespaces {
		if ns.Type == specs.PIDNamespace {
			return ns.Path == ""
		}
	}
	return false
}

// loadSpec reads a bundle's config.json, and refuses one that the rest of Create could not work with.
func loadSpec(bundle string) (*specs.Spec, error) {
	path := filepath.Join(bundle, "config.json")
	b, err := readConfig(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	var s specs.Spec
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("%w: %s:%d: %w", ErrBundle, path, line(b, err), err)
	}
	for _, field := range []struct {
		name    string
		missing bool
	}{
		{"root", s.Root == nil},
		{"process", s.Process == nil},
		{"root.path", s.Root != nil && s.Root.Path == ""},
		{"process.args", s.Process != nil && len(s.Process.Args) == 0},
		{"process.cwd", s.Process != nil && s.Process.Cwd == ""},
	} {
		if field.missing {
			return nil, fmt.Errorf("%w: %s: %s: missing or empty, and the container cannot do without", ErrBundle, path, field.name)
		}
	}
	return &s, nil
}

// readConfig does not wait at a fifo, nor for the end of a device.
func readConfig(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	const most = 16 << 20 // bytes
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: not a regular file", path)
	case info.Size() > most:
		return nil, fmt.Errorf("%s: %d bytes long, at most %d are read", path, info.Size(), most)
	}
	return io.ReadAll(io.LimitReader(f, most))
}

// line returns the line that a JSON error is about.
func line(b []byte, err error) int {
	offset := int64(len(b)) // an unexpected end
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		offset = e.Offset
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		offset = e.Offset
	}
	return 1 + strings.Count(string(b[:min(int(offset), len(b))]), "\n")
}

// rootfs returns the absolute path of the bundle's root filesystem.
func rootfs(bundle string, s *specs.Spec) string {
	if filepath.IsAbs(s.Root.Path) {
		return filepath.Clean(s.Root.Path)
	}
	return filepath.Join(bundle, s.Root.Path)
}
