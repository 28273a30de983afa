package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/go-logr/logr"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/reconcile"
	"reconciler.dev/reconciler/pkg/store"
)

// What a client is told is what a reader beside the store would be told.
func TestClientAndReaderAgree(t *testing.T) {
	w := newWorld(t)
	w.want("web", nil)
	w.ran("web", 1, 7, store.EndFailed)
	w.ran("web", 2, -1, "")
	w.log("web", 2, "one\ntwo\n")
	w.commit(store.Change{
		Source: &store.Source{Name: reconcile.SourceName, Files: map[string]string{"bad.yaml": "no"}},
		Events: []store.Event{{Time: t0, Type: store.Normal, Reason: "A", Object: "web"}, {Time: t0, Type: store.Warning, Reason: "B", Object: "node"}},
	})
	c := client(t, serve(t, w))
	same := func(what string, got, want any, errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v, %v", what, got, want, err)
		}
	}
	ctx := t.Context()
	listed, err1 := c.Containers(ctx)
	wantListed, err2 := w.Containers(ctx)
	same("containers", listed, wantListed, err1, err2)
	short, err1 := c.Brief(ctx)
	for i := range wantListed.Items { // what a table has no room for
		c := &wantListed.Items[i]
		c.APIVersion, c.Kind, c.Metadata.Annotations, c.Metadata.Generation = "", "", nil, 0
		c.Spec = desired.Spec{Bundle: c.Spec.Bundle, State: c.Spec.State}
		c.Status.Attempt, c.Status.SpecHash, c.Status.Message = 0, "", ""
		for j, k := range c.Status.Conditions {
			c.Status.Conditions[j] = reconcile.Condition{Type: k.Type, Reason: k.Reason}
		}
		c.Status.NextRestartAt, c.Status.ObservedGeneration = nil, 0
	}
	same("brief", short, wantListed, err1)
	single, err1 := c.Container(ctx, "web")
	wantSingle, err2 := w.Container(ctx, "web")
	same("container", single, wantSingle, err1, err2)
	exits, err1 := c.Exits(ctx, "web")
	wantExits, err2 := w.Exits(ctx, "web")
	same("exits", exits, wantExits, err1, err2)
	events, err1 := c.Events(ctx, 1, 1)
	wantEvents, err2 := w.Events(ctx, 1, 1)
	same("events", events, wantEvents, err1, err2)
	if len(events.Items) != 1 || events.Items[0].Reason != "B" {
		t.Errorf("events after the first: %+v", events)
	}
	sources, err1 := c.Sources(ctx)
	wantSources, err2 := w.Sources(ctx)
	same("sources", sources, wantSources, err1, err2)
	version, err1 := c.Version(ctx)
	same("version", version, w.Version(), err1)
	if instance, text, err := read(t, c, "web", LogOptions{Tail: 1}); err != nil || instance != "web.2" || text != "two\n" {
		t.Errorf("logs: %q %q %v", instance, text, err)
	}
	_, gotErr := c.Container(ctx, "wbe")
	_, wantErr := w.Container(ctx, "wbe")
	same("not found", gotErr, wantErr)
}

func TestVerbsOverTheSocket(t *testing.T) {
	w := newWorld(t)
	w.want("web", nil)
	c := client(t, serve(t, w))
	if err := c.Stop(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	if d, err := w.DB.Desired("web"); err != nil || d.Verbs.Override == nil || d.Verbs.Override.By != "root" {
		t.Errorf("%+v, %v", d.Verbs, err)
	}
	if err := errors.Join(c.Start(t.Context(), "web"), c.Restart(t.Context(), "web")); err != nil {
		t.Fatal(err)
	}
	if d, err := w.DB.Desired("web"); err != nil || d.Verbs.Override != nil || d.Verbs.Restarts != 1 {
		t.Errorf("%+v, %v", d.Verbs, err)
	}
	if err := c.Restart(t.Context(), "nope"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestBadRequests(t *testing.T) {
	w := newWorld(t)
	w.want("web", nil)
	c := client(t, serve(t, w))
	for _, tc := range []struct {
		method, path string
		status       int
		says         string
	}{
		{"GET", "/", 404, "no route"},
		{"PATCH", "/v1/containers/web", 404, "no route"},
		{"GET", "/v1/containers/web/stop", 404, "no route"},
		{"GET", "/v1/containers/..%2F..%2Fetc%2Fpasswd/logs", 400, "not a container's name"},
		{"GET", "/v1/containers/UP", 400, "not a container's name"},
		{"GET", "/v1/containers/" + strings.Repeat("a", 64), 400, "not a container's name"},
		{"GET", "/v1/containers/web/logs?tail=x", 400, "tail"},
		{"GET", "/v1/containers/web/logs?attempt=-1", 400, "attempt"},
		{"GET", "/v1/containers/web/logs?attempt=99999999999999999999", 400, "attempt"},
		{"GET", "/v1/events?after=-1", 400, "after"},
	} {
		request, err := http.NewRequestWithContext(t.Context(), tc.method, "http://reconciler"+tc.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := c.http.Do(request)
		if err != nil {
			t.Errorf("%s %s: %v", tc.method, tc.path, err)
			continue
		}
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || r.StatusCode != tc.status || !bytes.Contains(body, []byte(tc.says)) || !bytes.HasPrefix(body, []byte(`{"reason"`)) {
			t.Errorf("%s %s: %s %s", tc.method, tc.path, r.Status, body)
		}
	}
}

// panicking is a backend with defects.
type panicking struct{ *world }

func (panicking) Exits(context.Context, string) (List[Exit], error) { panic("a defect") }

func (panicking) Logs(context.Context, string, LogOptions) (*Log, error) {
	half := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(errors.New("the disk broke")))
	return &Log{"web.1", io.NopCloser(half)}, nil
}

func TestAPanicIsOneAnswer(t *testing.T) {
	w := newWorld(t)
	w.want("web", nil)
	c := client(t, serve(t, panicking{w}))
	_, err := c.Exits(t.Context(), "web")
	if err == nil || !strings.Contains(err.Error(), "internal error") || strings.Contains(err.Error(), "a defect") {
		t.Errorf("got %v", err)
	}
	if _, err := c.Container(t.Context(), "web"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// A log that could not be read to its end must not look whole.
func TestALogCutShortIsAnError(t *testing.T) {
	w := newWorld(t)
	w.want("web", nil)
	log, err := client(t, serve(t, panicking{w})).Logs(t.Context(), "web", LogOptions{})
	if err != nil {
		return // cut before the first piece was sent
	}
	defer log.Close()
	if b, err := io.ReadAll(log); err == nil {
		t.Errorf("it looks whole: %q", b)
	}
}

func TestNobodyThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reconciler.sock")
	if _, err := client(t, path).Version(t.Context()); !errors.Is(err, ErrNoDaemon) || !strings.Contains(err.Error(), "reconciler run") {
		t.Errorf("no socket: %v", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	if _, err := client(t, path).Version(t.Context()); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("a socket that a killed daemon left: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client(t, path).Version(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestSomebodyElseThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reconciler.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	other := &http.Server{Handler: http.NotFoundHandler()}
	go other.Serve(l)
	defer other.Close()
	_, err = client(t, path).Version(t.Context())
	if err == nil || !strings.Contains(err.Error(), "404") || errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

// The request under way when Shutdown begins is answered before Serve returns: the caller then closes the store.
func TestServeEndsAfterTheLastAnswer(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "reconciler.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(w, logr.Discard())
	served, shut := make(chan error), make(chan error)
	w.End = func(context.Context) error {
		go func() { shut <- s.Shutdown(context.Background()) }()
		select {
		case err := <-served:
			t.Errorf("it returned while a request is under way: %v", err)
			go func() { served <- err }()
		case <-time.After(100 * time.Millisecond): // for a wrong one to show
		}
		return nil
	}
	go func() { served <- s.Serve(l) }()
	if _, err := ask[struct{}](t.Context(), client(t, path), "POST", "/v1/node/exit"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(<-shut, <-served); err != nil {
		t.Error(err)
	}
}
