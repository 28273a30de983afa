package runc

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"reconciler.dev/reconciler/internal/runctest"
)

type bundleOptions = runctest.BundleOptions

// reader reads what a process writes, as it comes.
type reader struct {
	t    *testing.T
	conn *net.UnixConn
	text string // not yet asked for
}

func reading(t *testing.T, conn *net.UnixConn) *reader {
	conn.SetReadDeadline(time.Now().Add(long))
	return &reader{t: t, conn: conn}
}

// until reads until this was written.
func (r *reader) until(want string) {
	r.t.Helper()
	b := make([]byte, 4096)
	for !strings.Contains(r.text, want) {
		n, err := r.conn.Read(b)
		if r.text += string(b[:n]); err != nil {
			r.t.Fatalf("%q, without %q: %v", r.text, want, err)
		}
	}
	_, r.text, _ = strings.Cut(r.text, want)
}

// end reads until the other side is closed.
func (r *reader) end() {
	r.t.Helper()
	// Input that nobody read is told as a reset.
	if b, err := io.ReadAll(r.conn); r.text != "" || len(b) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		r.t.Errorf("in the end %q, %q, %v", r.text, b, err)
	}
}

func devNull(t *testing.T) *os.File {
	t.Helper()
	f, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func writeConfig(t *testing.T, bundle, config string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
}
