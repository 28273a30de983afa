package api

import (
	"context"
	"errors"
	"iter"
	"path/filepath"
	"slices"
	"testing"

	"github.com/go-logr/logr"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/store"
)

// daemon is one life of a daemon on a socket; end ends it, hub first, as the controller's actors do.
func daemon(t *testing.T, w *world, path string) (end func()) {
	t.Helper()
	reader := w.Reader
	hub, life := NewHub(&reader), make(chan error, 2)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { life <- hub.Run(ctx) }()
	node := &Node{Reader: w.Reader, Hub: hub}
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(node, logr.Discard())
	go func() { life <- s.Serve(l) }()
	return func() {
		t.Helper()
		cancel()
		if err := errors.Join(s.Shutdown(context.Background()), <-life, <-life); err != nil {
			t.Error(err)
		}
	}
}

// Who follows is told of each difference once, whoever answers, and when nobody does.
func TestFollowOverARestart(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "reconciler.sock")
	for _, name := range []string{"kept", "changed", "gone"} {
		w.want(name, nil)
	}
	known, err := w.Containers(t.Context()) // by the store, with nobody there
	if err != nil {
		t.Fatal(err)
	}
	w.want("early", nil)
	lost := make(chan error, 10)
	follow := watching(t, client(t, path).Follow(t.Context(), known.Items, func(err error) { lost <- err }))
	come := make(chan func())
	go func() {
		if err := <-lost; !errors.Is(err, ErrNoDaemon) {
			t.Errorf("nobody is there: %v", err)
		}
		come <- daemon(t, w, path)
	}()
	told(follow, "added early Pending", "synced")
	end := <-come
	w.want("late", nil)
	told(follow, "added late Pending")
	end()
	w.commit(store.Change{Removed: []string{"gone"}})
	w.want("changed", func(s *desired.Spec) { s.State = desired.Stopped })
	go func() {
		if err := <-lost; !errors.Is(err, ErrHungUp) {
			t.Errorf("the daemon ended: %v", err)
		}
		come <- daemon(t, w, path)
	}()
	told(follow, "modified changed Stopped", "deleted gone Pending")
	end = <-come
	w.want("last", nil)
	told(follow, "added last Pending")
	end()
}

func TestFollowEndsWhereAskingAgainWouldNotHelp(t *testing.T) {
	w := newWorld(t)
	c := client(t, serve(t, w))
	for range maxWatchers {
		if err := w.Hub.enter(); err != nil {
			t.Fatal(err)
		}
	}
	follow := watching(t, c.Follow(t.Context(), nil, func(err error) { t.Error("away:", err) }))
	if _, err, _ := follow.next(); !errors.Is(err, ErrTooMany) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	follow = watching(t, c.Follow(ctx, nil, func(err error) { t.Error("away:", err) }))
	if _, err, _ := follow.next(); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestFollowEventsOverARestart(t *testing.T) {
	w, path := newWorld(t), filepath.Join(t.TempDir(), "reconciler.sock")
	event := func(reason string) {
		w.commit(store.Change{Events: []store.Event{{Time: t0, Type: store.Normal, Reason: reason, Object: "web"}}})
	}
	event("A")
	end := daemon(t, w, path)
	lost := make(chan error, 10)
	next, stop := iter.Pull2(client(t, path).FollowEvents(t.Context(), 0, func(err error) { lost <- err }))
	defer stop()
	expect := func(reason string) {
		t.Helper()
		if e, err, ok := next(); err != nil || !ok || e.Reason != reason {
			t.Fatalf("got %+v, %v, want %s", e, err, reason)
		}
	}
	expect("A")
	end()
	event("B")
	come := make(chan func(), 1)
	go func() { <-lost; come <- daemon(t, w, path) }()
	expect("B")
	(<-come)()
}

// A name that was deleted and made anew between two looks was deleted.
func TestAddedAgainWasDeleted(t *testing.T) {
	f := following{known: map[string]Container{}, told: map[string]bool{}, fresh: true}
	web := Container{Metadata: Metadata{Name: "web"}}
	var got []ChangeType
	for _, c := range []Change[Container]{{Type: Added, Object: &web}, {Type: Synced}, {Type: Added, Object: &web}} {
		for _, n := range f.news(c) {
			got = append(got, n.Type)
		}
	}
	if want := []ChangeType{Added, Synced, Deleted, Added}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
