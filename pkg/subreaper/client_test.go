package subreaper

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reconciler.dev/reconciler/internal/runctest"
)

func TestMain(m *testing.M) { runctest.Main(m) }

// fakePair answers every request with what reply makes of it; an empty string hangs up.
func fakePair(t *testing.T, reply func(n int, q Request) string) *Client {
	t.Helper()
	dir := t.TempDir()
	c, err := NewClient(Config{Run: RunDir(dir), State: dir, Binary: "/nonexistent"})
	if err != nil {
		t.Fatal(err)
	}
	lock, err := takeLock(dir)
	if err != nil || lock == nil {
		t.Fatalf("lock: %v, %v", lock, err)
	}
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: RunDir(dir).Socket(), Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 1; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			b := make([]byte, MaxPacket)
			k, _ := conn.Read(b)
			var q Request
			if err := json.Unmarshal(b[:k], &q); err != nil {
				t.Errorf("request %q: %v", b[:k], err)
			}
			if s := reply(n, q); s != "" {
				_, _ = conn.Write([]byte(s))
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done; _ = lock.Close() })
	return c
}

func TestHelloOfAnotherProtocol(t *testing.T) {
	c := fakePair(t, func(int, Request) string {
		return `{"hello":{"protocol":7,"build":"b","guard":12,"reaper":13,"held":{"not":"a number any more"}}}`
	})
	if _, err := c.Hello(t.Context()); err == nil {
		t.Fatal("a Hello that cannot be read was taken")
	}
	c = fakePair(t, func(int, Request) string { return `{"hello":{"protocol":7,"build":"b","guard":12,"reaper":13}}` })
	h, err := c.Hello(t.Context())
	if !errors.Is(err, ErrProtocol) || h.Guard != 12 || h.Build != "b" {
		t.Fatalf("got %+v, %v; want ErrProtocol, and who it is", h, err)
	}
	if _, err := c.Launch(t.Context(), Launch{ID: "a.1"}); !errors.Is(err, ErrProtocol) {
		t.Fatalf("launch: %v", err)
	}
}

func TestLaunchAsksAgainWhenNobodyReplies(t *testing.T) {
	c := fakePair(t, func(n int, q Request) string {
		if q.Launch.Again != (n > 1) {
			t.Errorf("request %d says that it is made again: %v", n, q.Launch.Again)
		}
		if n < 4 {
			return ""
		}
		return `{"hello":{"protocol":1},"instance":{"id":"` + q.Launch.ID + `","process":{"pid":5,"startTime":6,"bootID":"b"}}}`
	})
	in, err := c.Launch(t.Context(), Launch{ID: "a.1"})
	want := Instance{ID: "a.1", Process: Process{PID: 5, StartTime: 6, BootID: "b"}}
	if err != nil || in != want {
		t.Fatalf("got %+v, %v", in, err)
	}
}

func TestLaunchErrors(t *testing.T) {
	c := fakePair(t, func(n int, _ Request) string {
		return []string{
			`{"hello":{"protocol":1},"lost":true}`,
			`{"hello":{"protocol":1},"failed":{"status":256,"timedOut":true,"message":"m"}}`,
			`{"hello":{"protocol":1}}`,
			`{"hello":`,
		}[n-1]
	})
	if _, err := c.Launch(t.Context(), Launch{}); !errors.Is(err, ErrLost) {
		t.Errorf("lost: %v", err)
	}
	_, err := c.Launch(t.Context(), Launch{})
	if e, ok := errors.AsType[*LaunchError](err); !ok || e.Status.ExitStatus() != 1 || !e.TimedOut || e.Message != "m" {
		t.Errorf("failed: %v", err)
	}
	for range 2 {
		if in, err := c.Launch(t.Context(), Launch{}); err == nil {
			t.Errorf("a reply without an instance: %+v", in)
		}
	}
	if _, err := c.Launch(t.Context(), Launch{Env: []string{strings.Repeat("x", MaxPacket)}}); err == nil {
		t.Error("a request that does not fit was sent")
	}
}

func TestWithoutAPair(t *testing.T) {
	dir := t.TempDir()
	c, err := NewClient(Config{Run: RunDir(filepath.Join(dir, "run")), State: filepath.Join(dir, "state"), Binary: "/nonexistent"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Hello(t.Context()); !errors.Is(err, ErrNoPair) {
		t.Errorf("Hello: %v", err)
	}
	if err := c.Stop(t.Context()); err != nil {
		t.Errorf("Stop: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Ready(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("Ready: %v", err)
	}
	if _, err := c.Launch(gone, Launch{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Launch: %v", err)
	}
}

func TestNewClient(t *testing.T) {
	for _, bad := range []Config{
		{Run: "run", State: "/state", Binary: "/b"}, {Run: "/run", State: "", Binary: "/b"},
	} {
		if _, err := NewClient(bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	dir := t.TempDir()
	t.Setenv("PATH", "relative:"+dir)
	if _, err := NewClient(Config{Run: "/run", State: "/state"}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("no binary anywhere: %v", err)
	}
	path := filepath.Join(dir, "reconciler-subreaper")
	if err := os.WriteFile(path, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	c, err := NewClient(Config{Run: "/run", State: "/state"})
	if err != nil || c.config.Binary != path {
		t.Errorf("in PATH: %v", err)
	}
}

// TestImports keeps the program that must not die small: see doc.go.
func TestImports(t *testing.T) {
	const module = "reconciler.dev/reconciler/"
	out, err := exec.Command("go", "list", "-deps", module+"cmd/reconciler-subreaper").Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	for _, d := range deps {
		ours, isOurs := strings.CutPrefix(d, module)
		switch {
		case slices.Contains([]string{"net", "os/exec", "log/slog", "net/http", "crypto/tls"}, d):
			t.Errorf("the subreaper imports %s", d)
		case isOurs && !strings.HasPrefix(ours, "pkg/subreaper") && ours != "cmd/reconciler-subreaper":
			t.Errorf("the subreaper imports %s", d)
		case !isOurs && strings.Contains(d, ".") && !strings.HasPrefix(d, "golang.org/x/sys/") && !strings.HasPrefix(d, "vendor/"):
			t.Errorf("the subreaper imports %s", d)
		}
	}
	if !slices.Contains(deps, module+"pkg/subreaper/pair") {
		t.Errorf("list of imports is implausible: %v", deps)
	}
}
