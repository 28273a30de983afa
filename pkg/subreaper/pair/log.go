package pair

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// complain logs a failure once an object, however often it is tried again.
func (r *routine) complain(object, format string, v ...any) {
	if !r.logged[object] {
		r.logged[object] = true
		r.log(format, v...)
	}
}

// line is what log writes from; only the main thread logs.
var line [1 << 10]byte

// log writes one line to stderr, which is subreaper.log.
func (r *routine) log(format string, v ...any) {
	b := time.Now().UTC().AppendFormat(line[:0], "2006-01-02T15:04:05.000Z")
	b = fmt.Appendf(b, " %s[%d] ", r.role, r.pid)
	b = fmt.Appendf(b, format, v...)
	_, _ = os.Stderr.Write(append(b, '\n'))
}

// keepLog leads stderr to the log again if another file, or none, has taken its place: the run directory was wiped. A
// stderr that was another one from the beginning was chosen by hand.
func (r *routine) keepLog() error {
	if !r.logs || r.logsThere() {
		return nil
	}
	fd, err := unix.Open(r.run.Log(), unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &os.PathError{Op: "open", Path: r.run.Log(), Err: err}
	}
	defer func() { _ = unix.Close(fd) }()
	return unix.Dup3(fd, 2, 0)
}

// logsThere says whether stderr is the log in the run directory.
func (r *routine) logsThere() bool {
	var is, there unix.Stat_t
	err1, err2 := unix.Fstat(2, &is), unix.Lstat(r.run.Log(), &there)
	return err1 == nil && err2 == nil && is.Dev == there.Dev && is.Ino == there.Ino
}
