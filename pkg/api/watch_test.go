package api

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"reconciler.dev/reconciler/internal/runctest"
	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/store"
)

// watched reads a watch line by line.
type watched[T any] struct {
	t     *testing.T
	next  func() (Change[T], error, bool)
	token string
}

func watching[T any](t *testing.T, lines iter.Seq2[Change[T], error]) *watched[T] {
	next, stop := iter.Pull2(lines)
	t.Cleanup(stop)
	return &watched[T]{t: t, next: next}
}

// told expects lines such as "added web Pending", in this order.
func told(w *watched[Container], want ...string) {
	w.t.Helper()
	for _, line := range want {
		c, err, ok := w.next()
		if err != nil || !ok {
			w.t.Fatalf("instead of %q: %v", line, err)
		}
		got := string(c.Type)
		if c.Object != nil {
			got += fmt.Sprintf(" %s %s", c.Object.Metadata.Name, c.Object.Status.Phase)
		}
		if got != line {
			w.t.Fatalf("got %q, want %q", got, line)
		}
		w.token = c.Token
	}
}

func TestWatch(t *testing.T) {
	w := newWorld(t)
	w.want("web", nil)
	c := client(t, serve(t, w))
	first := watching(t, c.Watch(t.Context(), ""))
	told(first, "added web Pending", "synced")
	w.want("db", nil)
	told(first, "added db Pending")
	if err := c.Stop(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	told(first, "modified web Stopped")
	w.commit(store.Change{Removed: []string{"db"}})
	told(first, "deleted db Pending")
	if _, err := c.Down(t.Context(), ""); err != nil { // it shows at every container
		t.Fatal(err)
	}
	told(first, "modified web Stopped")
	second := watching(t, c.Watch(t.Context(), ""))
	told(second, "added web Stopped", "synced")
}

func TestWatchGoesOnFromAToken(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"kept", "changed", "gone"} {
		w.want(name, nil)
	}
	c := client(t, serve(t, w))
	ctx, leave := context.WithCancel(t.Context())
	first := watching(t, c.Watch(ctx, ""))
	told(first, "added changed Pending", "added gone Pending", "added kept Pending", "synced")
	leave()
	w.commit(store.Change{Removed: []string{"gone"}})
	w.want("new", nil)
	w.want("changed", func(s *desired.Spec) { s.State = desired.Stopped })
	again := watching(t, c.Watch(t.Context(), first.token))
	seen := map[string]int{} // in the order in which they were rendered, which may be all at once
	for range 3 {
		change, err, _ := again.next()
		if err != nil || change.Object == nil {
			t.Fatalf("%+v, %v after %v", change, err, seen)
		}
		seen[fmt.Sprint(change.Type, " ", change.Object.Metadata.Name)]++
	}
	if want := map[string]int{"deleted gone": 1, "added new": 1, "modified changed": 1}; !maps.Equal(seen, want) {
		t.Errorf("got %v, want %v", seen, want)
	}
	told(again, "synced")
	for _, token := range []string{"nonsense", "other.1", w.Hub.token(999)} {
		anew := watching(t, c.Watch(t.Context(), token))
		if change, err, _ := anew.next(); err != nil || change.Type != Restarted {
			t.Errorf("token %q: %+v, %v", token, change, err)
		}
	}
}

// A watcher that does not read takes nothing from the others.
func TestASlowWatcherHoldsUpNobody(t *testing.T) {
	w := newWorld(t)
	path := serve(t, w)
	slow, err := client(t, path).do(t.Context(), http.MethodGet, "/v1/containers?watch=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Body.Close()
	fast := watching(t, client(t, path).Watch(t.Context(), ""))
	told(fast, "synced")
	big := strings.Repeat("x", 1<<20) // more than the buffers of a socket
	for i := range 5 {
		name := fmt.Sprint("c", i)
		w.want(name, func(s *desired.Spec) { s.Process.Args = []string{big} })
		told(fast, "added "+name+" Pending")
	}
}

func TestGuestsWatchWithoutSecrets(t *testing.T) {
	runctest.Require(t, runctest.Root)
	w := newWorld(t)
	w.want("web", func(s *desired.Spec) { s.Process.Env = map[string]*string{"TOKEN": new("sesame")} })
	path := serve(t, w)
	gid, _ := groupID()
	for c, want := range map[*Client]string{client(t, path): "sesame", clientAs(t, nobody, gid, path): hidden} {
		change, err, _ := watching(t, c.Watch(t.Context(), "")).next()
		if err != nil || *change.Object.Spec.Process.Env["TOKEN"] != want {
			t.Errorf("got %+v, %v, want %s", change, err, want)
		}
	}
}

func TestWatchersAreLimited(t *testing.T) {
	w := newWorld(t)
	c := client(t, serve(t, w))
	for range maxWatchers {
		if err := w.Hub.enter(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err, _ := watching(t, c.Watch(t.Context(), "")).next(); !errors.Is(err, ErrTooMany) {
		t.Errorf("containers: %v", err)
	}
	if _, err, _ := watching(t, c.WatchEvents(t.Context(), 0)).next(); !errors.Is(err, ErrTooMany) {
		t.Errorf("events: %v", err)
	}
	w.Hub.leave()
	told(watching(t, c.Watch(t.Context(), "")), "synced")
}

// A record that cannot be read is not known, which is not deleted.
func TestWatchKeepsWhatCannotBeRead(t *testing.T) {
	w := newWorld(t)
	w.want("web", nil)
	c := client(t, serve(t, w))
	watch := watching(t, c.Watch(t.Context(), ""))
	told(watch, "added web Pending", "synced")
	w.commit(store.Change{Down: &store.Down{}}) // no boot: unreadable, and so is what is wanted of all
	if _, err := w.Container(t.Context(), "web"); err == nil {
		t.Fatal("it can be read")
	}
	w.commit(store.Change{Up: true})
	w.want("db", nil)
	told(watch, "added db Pending")
}

func TestWatchEvents(t *testing.T) {
	w := newWorld(t)
	c := client(t, serve(t, w))
	event := func(reason string) {
		w.commit(store.Change{Events: []store.Event{{Time: t0, Type: store.Normal, Reason: reason, Object: "web"}}})
	}
	event("A")
	event("B")
	watch := watching(t, c.WatchEvents(t.Context(), 1))
	expect := func(reason string) {
		t.Helper()
		e, err, _ := watch.next()
		if err != nil || e.Object == nil || e.Object.Reason != reason {
			t.Fatalf("got %+v, %v, want %s", e, err, reason)
		}
	}
	expect("B")
	if e, err, _ := watch.next(); err != nil || e.Type != Synced || e.Token != "2" {
		t.Errorf("got %+v, %v", e, err)
	}
	event("C")
	expect("C")
	if _, err, _ := watching(t, c.WatchEvents(t.Context(), 4)).next(); !errors.Is(err, ErrInvalid) {
		t.Errorf("behind an event that is not: %v", err)
	}
}

// A watch takes longer than a request may, and says nothing for as long.
func TestAWatchOutlivesTheLimitsOfRequests(t *testing.T) {
	w, path := newWorld(t), filepath.Join(t.TempDir(), "reconciler.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(w, logr.Discard())
	s.http.ReadTimeout, s.http.WriteTimeout = 50*time.Millisecond, 50*time.Millisecond
	served := make(chan error)
	go func() { served <- s.Serve(l) }()
	watch := watching(t, client(t, path).Watch(t.Context(), ""))
	told(watch, "synced")
	time.Sleep(150 * time.Millisecond) // for a wrong one to end
	w.want("web", nil)
	told(watch, "added web Pending")
	if err := errors.Join(s.http.Close(), s.Shutdown(context.Background()), <-served); err != nil {
		t.Error(err)
	}
}
