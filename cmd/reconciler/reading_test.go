package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-logr/logr"

	"reconciler.dev/reconciler/internal/runctest"
	"reconciler.dev/reconciler/pkg/api"
	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// mortal is a daemon that answers so many questions; the next one it is killed by.
type mortal struct {
	*api.Node
	listener net.Listener
	left     atomic.Int64
}

func (m *mortal) die() {
	if m.left.Add(-1) < 0 {
		m.listener.Close()
		panic(http.ErrAbortHandler)
	}
}

func (m *mortal) Brief(ctx context.Context) (api.List[api.Container], error) {
	m.die()
	return m.Node.Brief(ctx)
}

func (m *mortal) Container(ctx context.Context, name string) (*api.Container, error) {
	m.die()
	return m.Node.Container(ctx, name)
}

func (m *mortal) Containers(ctx context.Context) (api.List[api.Container], error) {
	m.die()
	return m.Node.Containers(ctx)
}

func (m *mortal) Exits(ctx context.Context, name string) (api.List[api.Exit], error) {
	m.die()
	return m.Node.Exits(ctx, name)
}

func (m *mortal) Events(ctx context.Context, after uint64, limit int) (api.List[api.Event], error) {
	m.die()
	return m.Node.Events(ctx, after, limit)
}

func (m *mortal) Sources(ctx context.Context) ([]api.Source, error) {
	m.die()
	return m.Node.Sources(ctx)
}

func (m *mortal) NodeState(ctx context.Context) (api.NodeState, error) {
	m.die()
	return m.Node.NodeState(ctx)
}

func (m *mortal) Logs(ctx context.Context, name string, o api.LogOptions) (*api.Log, error) {
	m.die()
	return m.Node.Logs(ctx, name, o)
}

// newMortal answers on the socket of dir, from a store of its own that is as that of dir.
func newMortal(t *testing.T, dir string, answers int64) *mortal {
	t.Helper()
	own := t.TempDir()
	if err := fillStore(own); err != nil {
		t.Fatal(err)
	}
	db, err := openStore(own)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := api.Listen(filepath.Join(dir, "run", "reconciler.sock"))
	if err != nil {
		t.Fatal(err)
	}
	looker := observed.Looker{Run: subreaper.RunDir(filepath.Join(own, "run"))}
	m := &mortal{listener: l, Node: &api.Node{Reader: api.Reader{DB: db, Observe: looker.Look, LogDir: filepath.Join(own, "logs")}}}
	m.left.Store(answers)
	server := api.NewServer(m, logr.Discard())
	go server.Serve(l) // its error is that of the listener, which is closed
	t.Cleanup(func() {
		_ = server.Shutdown(context.Background())
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// Whenever the daemon is killed while it is asked, what only reads is answered by its store, and that is said in one line.
func TestReadingWhileTheDaemonDies(t *testing.T) {
	runctest.Require(t, runctest.Root) // logs are for root alone
	dir := t.TempDir()
	if err := fillStore(dir); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"get", "get web -o json", "get web job", "describe web", "exits web", "events", "logs web", "sources"} {
		args := append([]string{"--root", dir}, strings.Fields(line)...)
		var want, complaints bytes.Buffer
		if status := run(t.Context(), args, nil, &want, &complaints); status != exitOK || want.Len() == 0 {
			t.Fatalf("%s of the store alone: status %d: %s", line, status, complaints.String())
		}
		for answers := int64(0); ; answers++ {
			m := newMortal(t, dir, answers)
			var out, complaints bytes.Buffer
			if status := run(t.Context(), args, nil, &out, &complaints); status != exitOK || sameTimes(out.String()) != sameTimes(want.String()) {
				t.Errorf("%s, %d answers: status %d\n%s%s", line, answers, status, out.String(), complaints.String())
			}
			if m.left.Load() >= 0 { // it was not asked more
				m.listener.Close()
				if strings.Contains(complaints.String(), "from its store") || answers == 0 {
					t.Errorf("%s, %d answers, none was the last: %s", line, answers, complaints.String())
				}
				break
			}
			if n := strings.Count(complaints.String(), "this is from its store"); n != 1 || strings.Contains(complaints.String(), "hung up") {
				t.Errorf("%s, %d answers: it is said %d times: %s", line, answers, n, complaints.String())
			}
		}
	}
}

var ago = regexp.MustCompile(`\([0-9a-z]+ ago\)`)

// sameTimes is text without how long ago something was.
func sameTimes(text string) string { return ago.ReplaceAllString(text, "(ago)") }
