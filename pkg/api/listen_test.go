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

// A socket whose path leads elsewhere is bound again; whoever is connected notices nothing, and whoever waits unserved
// at the old one is hung up on.
func TestKeepBindsAgainWhatIsNotThere(t *testing.T) {
	for name, lose := range map[string]func(path string) error{
		"removed":  os.Remove,
		"replaced": func(path string) error { return errors.Join(os.Remove(path), os.WriteFile(path, nil, 0o600)) },
		"moved away": func(path string) error {
			dir := filepath.Dir(path)
			return errors.Join(os.Rename(dir, dir+".old"), os.Mkdir(dir, 0o700))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "run", "reconciler.sock")
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			l, err := Listen(path)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			dial := func() net.Conn {
				c, err := net.Dial("unix", path)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close() })
				return c
			}
			accept := func() net.Conn {
				c, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close() })
				return c
			}
			if again, err := l.Keep(); again || err != nil {
				t.Fatalf("all is well, and Keep says %v, %v", again, err)
			}
			connected := dial()
			served := accept()
			waiting := dial()
			if err := lose(path); err != nil {
				t.Fatal(err)
			}
			if again, err := l.Keep(); !again || err != nil {
				t.Fatalf("it is lost, and Keep says %v, %v", again, err)
			}
			dial()
			accept()
			if _, err := waiting.Read(make([]byte, 1)); err == nil {
				t.Error("who waited at the old socket was answered")
			}
			if _, err := served.Write([]byte("x")); err != nil {
				t.Error(err)
			}
			if _, err := connected.Read(make([]byte, 1)); err != nil {
				t.Error("who was connected is not any more:", err)
			}
		})
	}
}

// An Accept under way goes on at the socket that takes the place of its own.
func TestAcceptOutlivesASocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reconciler.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			err = c.Close()
		}
		accepted <- err
	}()
	for range 100 { // in whichever moment of the Accept
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Keep(); err != nil {
			t.Fatal(err)
		}
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := <-accepted; err != nil {
		t.Error(err)
	}
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
