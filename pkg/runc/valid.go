package runc

import (
	"fmt"
	"path/filepath"
	"syscall"
)

// maxID leaves room below NAME_MAX for the suffixes of the files named after a container.
const maxID = 128

// ValidateID returns an error that is ErrInvalidID unless id may be a container's: at most 128 letters, digits, and
// "_", "+", "-", "." after the first. That is what runc accepts, but for a leading "-", which would read as a flag, and
// a leading ".", which would hide the container's files.
func ValidateID(id string) error {
	if id == "" {
		return fmt.Errorf("%w: empty", ErrInvalidID)
	}
	if len(id) > maxID {
		return fmt.Errorf("%w: %d bytes long, at most %d are allowed", ErrInvalidID, len(id), maxID)
	}
	for i, c := range []byte(id) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_':
		case i > 0 && (c == '+' || c == '-' || c == '.'):
		case i == 0:
			return fmt.Errorf("%w %q: must start with a letter, a digit or \"_\"", ErrInvalidID, id)
		default:
			return fmt.Errorf("%w %q: only letters, digits, \"_\", \"+\", \"-\" and \".\" are allowed", ErrInvalidID, id)
		}
	}
	return nil
}

// validateSignal refuses what the kernel would: runc reports that, crun does not in every case. Signal 0 only probes.
func validateSignal(sig syscall.Signal) error {
	const last = 64 // SIGRTMAX
	if sig < 1 || sig > last {
		return fmt.Errorf("%w %d: must be 1 to %d", ErrInvalidSignal, int(sig), last)
	}
	return nil
}

// absolute guards every path handed to the runtime: crun takes a relative pid file from the bundle, runc from the
// working directory.
func absolute(what, path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%s %q: must be an absolute path", what, path)
	}
	return nil
}
