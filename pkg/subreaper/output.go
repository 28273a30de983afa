package subreaper

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/subreaper/internal/raw"
)

// Output is the bound of a container's log, over all its attempts: the file that is written may have MaxSize bytes, and
// all files together MaxFiles times that.
type Output struct {
	MaxSize  int64 `json:"maxSize"` // bytes
	MaxFiles int   `json:"maxFiles"`
}

// Valid reports whether a log can be kept within the bound: a file has room for the longest line.
func (o Output) Valid() bool {
	const most = 1 << 40 // bytes; MaxSize times MaxFiles stays far from overflowing
	return o.MaxSize >= 64<<10 && o.MaxSize <= most && o.MaxFiles >= 1 && o.MaxFiles <= 1000
}

// Places of an instance's output. Whoever launches it makes them with MakeOutput; the relay removes them once all of it
// is in the log, the bound last.
func (d RunDir) FIFOsDir() string        { return filepath.Join(string(d), "fifos") }
func (d RunDir) Output(id string) string { return filepath.Join(d.FIFOsDir(), id+".json") }
func (d RunDir) Stdout(id string) string { return filepath.Join(d.FIFOsDir(), id+".stdout") }
func (d RunDir) Stderr(id string) string { return filepath.Join(d.FIFOsDir(), id+".stderr") }

// MakeOutput makes the FIFOs of an instance and then its bound, by which the relay sees them. It must come after the
// launch's .launching file: what has neither that nor an instance file has ended. Making what is there changes nothing
// but the bound.
//
// Every end of a FIFO must be opened O_RDWR, anew by its path: then the container always has a reader and nobody sees
// O_NONBLOCK but who asked for it. Unread bytes die with the last who holds it open.
func MakeOutput(d RunDir, id string, bound Output) error {
	if !ValidID(id) || !bound.Valid() {
		return fmt.Errorf("output of instance %q: its id or its bound %+v is not valid", id, bound)
	}
	if err := os.MkdirAll(d.FIFOsDir(), 0o700); err != nil {
		return err
	}
	for _, path := range []string{d.Stdout(id), d.Stderr(id)} {
		if err := unix.Mkfifo(path, 0o600); err != nil && !errors.Is(err, unix.EEXIST) {
			return &os.PathError{Op: "mkfifo", Path: path, Err: err}
		}
	}
	return setBound(d, id, bound)
}

// SetBound changes the bound of an instance's log while it runs. The error is fs.ErrNotExist once its output has ended.
func SetBound(d RunDir, id string, bound Output) error {
	if !ValidID(id) || !bound.Valid() {
		return fmt.Errorf("output of instance %q: its id or its bound %+v is not valid", id, bound)
	}
	if _, err := os.Lstat(d.Output(id)); err != nil {
		return err
	}
	return setBound(d, id, bound)
}

// setBound is atomic, so the relay never reads half of it.
func setBound(d RunDir, id string, bound Output) error {
	b, err := json.Marshal(bound)
	if err != nil {
		return err
	}
	aside := filepath.Join(d.FIFOsDir(), "."+id+".json")
	if err := os.WriteFile(aside, b, 0o600); err != nil {
		return err
	}
	return os.Rename(aside, d.Output(id))
}

// ReadOutput reads the bound of an instance's log. The error is fs.ErrNotExist once its output has ended.
func ReadOutput(d RunDir, id string) (Output, error) {
	bound, err := readRecord[Output](d.Output(id))
	if err == nil && !bound.Valid() {
		err = fmt.Errorf("%s: %w: %+v", d.Output(id), ErrDamaged, bound)
	}
	return bound, err
}

// Ended reports whether the init of an instance is dead, or never will run. Its launch makes .launching before its
// output, its end makes the exit record, and whoever forgets it removes the exit record last.
func Ended(d RunDir, id string) bool {
	return raw.Exists(d.Exit(id)) || raw.Gone(d.Instance(id)) && raw.Gone(d.Launching(id))
}
