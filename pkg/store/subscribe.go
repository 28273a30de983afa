package store

import (
	"maps"
	"sync"
)

// Touched says what commits were about: where to look again, not what is there now.
type Touched struct {
	Names  map[string]bool
	All    bool // of every name: the node went down or up, or a restored store is up to date
	Events bool // there are new ones
}

func (t *Touched) add(o Touched) {
	if t.Names == nil {
		t.Names = map[string]bool{}
	}
	maps.Copy(t.Names, o.Names)
	t.All, t.Events = t.All || o.All, t.Events || o.Events
}

// touches is what a change is about.
func (c *Change) touches() Touched {
	t := Touched{Names: map[string]bool{}, All: c.Down != nil || c.Up || c.ManifestsRead, Events: len(c.Events) > 0}
	for _, name := range c.Removed {
		t.Names[name] = true
	}
	for i := range c.Desired {
		t.Names[c.Desired[i].Container.Name] = true
	}
	if c.Record != nil {
		t.Names[c.Record.Name] = true
	}
	return t
}

// Subscription collects what commits touch until it is taken. However many there are, and however long nobody takes it,
// it holds each name once, so that neither the writer waits nor memory grows with a slow taker.
type Subscription struct {
	db    *DB
	ready chan struct{}
	mu    sync.Mutex
	since Touched
}

// Subscribe begins a subscription with what is committed from now on. What a commit touched is there to be taken before
// the call that asked for the commit returns. The caller closes it.
func (db *DB) Subscribe() *Subscription {
	s := &Subscription{db: db, ready: make(chan struct{}, 1)}
	db.subscribers.Store(s, nil)
	return s
}

// Add has the subscription say that something else was touched. It never blocks.
func (s *Subscription) Add(t Touched) {
	s.mu.Lock()
	s.since.add(t)
	s.mu.Unlock()
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// Ready is readable when there is something to take.
func (s *Subscription) Ready() <-chan struct{} { return s.ready }

// Take returns what was touched since it was last called.
func (s *Subscription) Take() Touched {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.since
	s.since = Touched{}
	return t
}

// Close ends the subscription.
func (s *Subscription) Close() { s.db.subscribers.Delete(s) }

// tell has every subscription hear of a commit.
func (db *DB) tell(t Touched) {
	for s := range db.subscribers.Range {
		s.(*Subscription).Add(t)
	}
}
