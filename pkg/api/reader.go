package api

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/reconcile"
	"reconciler.dev/reconciler/pkg/store"
)

// Reading is what can be asked without changing anything. Client asks a daemon, Reader looks by itself.
type Reading interface {
	// Containers are in name order.
	Containers(ctx context.Context) (List[Container], error)
	// Brief is Containers with no more in them than a table shows: names, labels and source, bundle and state, and of the
	// status phase, the conditions' reason, instance, pid, startedAt, restartCount, override and lastExit.
	Brief(ctx context.Context) (List[Container], error)
	// Container returns an error that is ErrNotFound for a name that is not wanted.
	Container(ctx context.Context, name string) (*Container, error)
	// Exits are oldest first. Names that were removed are known for some days.
	Exits(ctx context.Context, name string) (List[Exit], error)
	// Events are at most limit events later than sequence number after, oldest first.
	Events(ctx context.Context, after uint64, limit int) (List[Event], error)
	Sources(ctx context.Context) ([]Source, error)
	NodeState(ctx context.Context) (NodeState, error)
	Logs(ctx context.Context, name string, o LogOptions) (*Log, error)
}

// Reader is Reading over a store: the live one in the daemon, a copy with the daemon down. It may be used from several
// goroutines at once.
type Reader struct {
	DB      *store.DB
	Observe func([]observed.Question) observed.Snapshot
	LogDir  string // holds <name>/<attempt>.log

	// Orphans are what is in our places and belongs to no container; nil where nobody has looked.
	Orphans func() ([]string, error)
	// TellsExits is NodeState's; nil where there is no daemon.
	TellsExits func() *bool
}

var _ Reading = (*Reader)(nil)

// Containers implements Reading.
func (r *Reader) Containers(context.Context) (List[Container], error) {
	return listOf(r.render(r.DB.AllDesired()))
}

// Brief implements Reading.
func (r *Reader) Brief(ctx context.Context) (List[Container], error) { return r.Containers(ctx) }

// render makes the objects of those that are wanted, beside the errors of those that cannot be read.
func (r *Reader) render(all iter.Seq2[*store.Desired, error]) ([]Container, error) {
	var wanted []*store.Desired
	var records []store.Record
	var questions []observed.Question
	var unread []error
	for d, err := range all {
		var rec store.Record
		if err == nil {
			rec, err = r.DB.Record(d.Container.Name)
		}
		if err != nil {
			unread = append(unread, err)
			continue
		}
		wanted, records = append(wanted, d), append(records, rec)
		questions = append(questions, reconcile.Questions(rec)...)
	}
	items := make([]Container, len(wanted))
	have, now := r.Observe(questions), time.Now()
	for i, d := range wanted {
		items[i] = Object(d, have, records[i], now)
	}
	return items, errors.Join(unread...)
}

// Container implements Reading.
func (r *Reader) Container(_ context.Context, name string) (*Container, error) {
	d, err := r.desired(name)
	if err != nil {
		return nil, err
	}
	return r.object(d)
}

func (r *Reader) object(d *store.Desired) (*Container, error) {
	rec, err := r.DB.Record(d.Container.Name)
	if err != nil {
		return nil, err
	}
	return new(Object(d, r.Observe(reconcile.Questions(rec)), rec, time.Now())), nil
}

// desired is what is wanted of name, or an error that is ErrNotFound.
func (r *Reader) desired(name string) (*store.Desired, error) {
	d, err := r.DB.Desired(name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, r.notFound(name)
	}
	return d, err
}

// notFound says so, and what may have been meant.
func (r *Reader) notFound(name string) error {
	e := &Error{Reason: "NotFound", Message: fmt.Sprintf("container %q not found", name)}
	if rec, err := r.DB.Record(name); err == nil && rec.LastAttempt > 0 {
		e.Suggestion = "it was removed; exits, events and logs know it still"
		return e
	}
	if near := nearest(name, r.wanted()); near != "" {
		e.Suggestion = fmt.Sprintf("did you mean %q?", near)
	}
	return e
}

// wanted are the names that are wanted, as far as they can be read.
func (r *Reader) wanted() iter.Seq[string] {
	return func(yield func(string) bool) {
		for d, err := range r.DB.AllDesired() {
			if err == nil && !yield(d.Container.Name) {
				return
			}
		}
	}
}

// Exits implements Reading.
func (r *Reader) Exits(_ context.Context, name string) (List[Exit], error) {
	if err := r.known(name); err != nil {
		return List[Exit]{}, err
	}
	exits, err := r.DB.Exits(name)
	for i := range exits {
		exits[i] = presentableExit(exits[i])
	}
	return listOf(exits, err)
}

// known returns an error that is ErrNotFound for a name that is neither wanted nor on record.
func (r *Reader) known(name string) error {
	rec, err := r.DB.Record(name)
	if err != nil || rec.LastAttempt > 0 {
		return err
	}
	_, err = r.desired(name)
	return err
}

// Events implements Reading.
func (r *Reader) Events(_ context.Context, after uint64, limit int) (List[Event], error) {
	events, err := r.DB.Events(after, limit)
	for i := range events {
		events[i].Time = events[i].Time.UTC()
	}
	return listOf(events, err)
}

// Sources implements Reading.
func (r *Reader) Sources(context.Context) ([]Source, error) {
	s, err := r.DB.Source(reconcile.SourceName)
	if errors.Is(err, store.ErrNotFound) {
		return []Source{}, nil
	}
	if err != nil {
		return nil, err
	}
	s.Files = orEmpty(s.Files)
	return []Source{*s}, nil
}
