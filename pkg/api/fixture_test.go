package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/reconcile"
	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/subreaper"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

// world is a daemon's backend over a real store, in which the living are those in alive.
type world struct {
	*Node
	t     *testing.T
	alive map[string]bool // by instance
	woken []string
	sent  []string // signals

	rescans []bool // each confirmed or not
	refused error  // of a scan that is not confirmed
	gone    error  // of any scan
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	db, err := store.Open(filepath.Join(dir, "reconciler.db"), store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{t: t, alive: map[string]bool{}}
	reader := Reader{DB: db, Observe: w.observe, LogDir: filepath.Join(dir, "logs")}
	w.Node = &Node{
		Reader: reader,
		Hub:    NewHub(&reader),
		Wishes: &reconcile.Sources{Store: db, Load: load, Log: logr.Discard(),
			Wake: func(names ...string) { w.woken = append(w.woken, names...) }},
		Wake:    func(name string) { w.woken = append(w.woken, name) },
		WakeAll: func() { w.woken = append(w.woken, "all") },
		Steps:   func(context.Context) (reconcile.Steps, error) { return reconcile.Steps{}, nil },
		Signal: func(instance string, p subreaper.Process, signal string) error {
			w.sent = append(w.sent, fmt.Sprint(instance, " ", p.PID, " ", signal))
			return nil
		},
		End: func(context.Context) error { return nil },
		Rescan: func(_ context.Context, confirmed bool) error {
			w.rescans = append(w.rescans, confirmed)
			if confirmed {
				return w.gone
			}
			return cmp.Or(w.gone, w.refused)
		},
		Build: Version{Version: "v1", Go: "go1"},
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error)
	go func() { ran <- w.Hub.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	return w
}

// load knows one bundle that cannot be used.
func load(bundle string) ([]byte, error) {
	if bundle == "/bundles/broken" {
		return nil, errors.New("config.json: broken")
	}
	return []byte(`{"ociVersion": "1.0.2", "root": {"path": "rootfs"}, "process": {"args": ["true"], "cwd": "/"},
		"linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}]}}`), nil
}

func (w *world) observe(questions []observed.Question) observed.Snapshot {
	s := observed.Snapshot{Instances: map[string]observed.Instance{}}
	for _, q := range questions {
		i := observed.Instance{ID: q.ID, Life: observed.Dead}
		if w.alive[q.ID] {
			i.Life, i.Ours, i.Process = observed.Alive, true, *q.Process
		}
		s.Instances[q.ID] = i
	}
	return s
}

func (w *world) commit(c store.Change) {
	w.t.Helper()
	if err := w.DB.Commit(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
}

// want makes a container wanted, as its manifest says.
func (w *world) want(name string, edit func(*desired.Spec)) {
	w.t.Helper()
	spec := desired.Spec{
		Bundle: "/bundles/" + name, State: desired.Running,
		Restart: desired.Restart{Policy: desired.Always, Backoff: desired.Backoff{
			Initial: desired.Duration(100 * time.Millisecond), Factor: 2,
			Max: desired.Duration(time.Minute), ResetAfter: desired.Duration(time.Minute),
		}},
		Stop: desired.Stop{Signal: "SIGTERM", GracePeriod: desired.Duration(10 * time.Second)},
	}
	if edit != nil {
		edit(&spec)
	}
	w.commit(store.Change{Desired: []store.Desired{{
		Container: desired.Container{Name: name, Spec: spec}, Source: "manifests/" + name + ".yaml",
		Generation: 1, Config: []byte("{}"), InputHash: "hash-of-" + name,
	}}})
}

func process(pid int) subreaper.Process {
	return subreaper.Process{PID: pid, StartTime: 7, BootID: "boot"}
}

// ran puts attempt number n of a name on record: started, and ended with a code unless it is negative: then it lives.
func (w *world) ran(name string, n, code int, end store.End) {
	w.t.Helper()
	id := observed.InstanceID(name, n)
	p := process(1000 + n)
	a := store.Attempt{Number: n, Instance: id, SpecHash: "hash-of-" + name, IntentAt: t0, Process: &p, StartCommitted: t0, Started: true}
	rec := store.Record{Name: name, LastAttempt: n, Attempts: []store.Attempt{a}, SpecHash: "hash-of-" + name, Starts: n, ObservedGeneration: 1, ChangedAt: t0}
	c := store.Change{Record: &rec, Attempt: &a}
	if code < 0 {
		w.alive[id] = true
		w.commit(c)
		return
	}
	w.commit(c)
	e := store.Exit{Instance: id, Attempt: n, Process: p, ExitCode: &code, Signal: new(0), Reason: "Exited", Message: "it exited",
		Source: subreaper.SourceWaitid, StartedAt: t0, FinishedAt: t0.Add(time.Second)}
	a.Over = true
	rec.Attempts, rec.End, rec.LastExit = nil, end, &e
	w.commit(store.Change{Record: &rec, Attempt: &a, Exit: &e})
}

func (w *world) log(name string, n int, text string) {
	w.t.Helper()
	path := filepath.Join(w.LogDir, name, observed.InstanceID("", n)[1:]+".log")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// serve answers for b on a socket in a directory that others may enter, and returns its path.
func serve(t *testing.T, b Backend) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "api-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "reconciler.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, l, b)
	return path
}

func serveOn(t *testing.T, l net.Listener, b Backend) {
	s := NewServer(b, logr.Discard())
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error("shutdown:", err)
		}
		if err := <-served; err != nil {
			t.Error("serve:", err)
		}
	})
}

func client(t *testing.T, path string) *Client {
	c := NewClient(path)
	t.Cleanup(func() { c.Close() })
	return c
}
