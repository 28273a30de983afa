package api

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestListenMakesThenRemovesTheSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reconciler.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != os.ModeSocket|0o660 {
		t.Errorf("the socket is %v, %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the socket: %v, %v", entries, err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("closing left the socket:", err)
	}
}

func TestListenTakesThePlaceOfWhatIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reconciler.sock")
	old, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	// What a daemon killed between bind and rename leaves.
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), ".new.sock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := old.Close(); err != nil {
		t.Error(err)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal("closing the old listener took the new one's socket:", err)
	}
	c.Close()
}

// There is no instant at which others could connect, even if the daemon was started with umask 0.
func TestTheSocketIsBornClosed(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	path := filepath.Join(t.TempDir(), "s")
	config := net.ListenConfig{Control: closedToOthers}
	l, err := config.Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("born as %v, %v", info.Mode(), err)
	}
}

func TestAPathTooLongForASocketSaysSo(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("d", 120), "reconciler.sock")
	if _, err := Listen(path); !errors.Is(err, errPathTooLong) {
		t.Error("listen:", err)
	}
	if _, err := client(t, path).Version(t.Context()); !errors.Is(err, errPathTooLong) {
		t.Error("client:", err)
	}
}
