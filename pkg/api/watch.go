package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// ChangeType says what a line of a watch tells.
type ChangeType string

const (
	// Restarted is the first line where the token given does not tell what its holder has missed: everything follows anew.
	Restarted ChangeType = "restarted"
	// Added is there: it was before the watch began, or came to be. For a name that is known already: it was deleted and
	// made anew in between.
	Added    ChangeType = "added"
	Modified ChangeType = "modified"
	Deleted  ChangeType = "deleted" // the object as it last was
	// Synced comes once, when all that was there has been told.
	Synced ChangeType = "synced"
)

// Change is one line of a watch. Object is null in those that are about none.
type Change[T any] struct {
	Type   ChangeType `json:"type"`
	Token  string     `json:"token"` // to go on from here
	Object *T         `json:"object"`
}

// Containers watches: lines of Change[Container] until ctx or the hub ends, and an empty one whenever nothing more is to
// be told for now. An error is the only thing yielded. Whoever is not full sees no values of environment variables.
func (h *Hub) Containers(ctx context.Context, token string, full bool) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if err := h.enter(); err != nil {
			yield(nil, err)
			return
		}
		defer h.leave()
		h.refresh(true)
		seen, known := uint64(0), false
		if token != "" {
			if seen, known = h.since(token); !known {
				seen = 0
				if !yield(line(Restarted, h.token(0), nil), nil) {
					return
				}
			}
		}
		for synced := false; ; synced = true {
			marks, now, moved := h.after(seen)
			for _, m := range marks {
				if l := h.line(m, seen, full); l != nil && !yield(l, nil) {
					return
				}
			}
			seen = now
			if !synced && !yield(line(Synced, h.token(now), nil), nil) || !yield(nil, nil) || !h.await(ctx, moved) {
				return
			}
		}
	}
}

// mark is a change to be told.
type mark struct {
	name    string
	version uint64
}

// after are the changes behind a version, oldest first. Who has seen nothing need not hear of what is gone.
func (h *Hub) after(seen uint64) (marks []mark, now uint64, moved <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	first, _ := slices.BinarySearchFunc(h.changes, seen+1, func(m mark, version uint64) int { return cmp.Compare(m.version, version) })
	for _, m := range h.changes[first:] {
		if !h.overtaken(m) && !(seen == 0 && h.objects[m.name].dead) {
			marks = append(marks, m)
		}
	}
	return marks, h.version, h.moved
}

// line is a change as it is sent; nil for one that is forgotten. The object is as it is now, so that who reads slowly keeps
// no old rendering: of a change that was overtaken the later one is told, and told again in its turn.
func (h *Hub) line(m mark, seen uint64, full bool) []byte {
	h.mu.Lock()
	o := h.objects[m.name]
	if o == nil {
		h.mu.Unlock()
		return nil
	}
	kind, object := Modified, o.guest
	switch {
	case o.dead:
		kind = Deleted
	case o.born > seen:
		kind = Added
	}
	if full {
		object = o.root
	}
	h.mu.Unlock()
	return line(kind, h.token(m.version), object)
}

func line(kind ChangeType, token string, object []byte) []byte {
	if object == nil {
		object = []byte("null")
	}
	return fmt.Appendf(nil, `{"type":%q,"token":%q,"object":%s}`+"\n", kind, token, object)
}

// await waits for something new; it is false at the end.
func (h *Hub) await(ctx context.Context, moved <-chan struct{}) bool {
	select {
	case <-moved:
		return true
	case <-ctx.Done():
	case <-h.ended:
	}
	return false
}

// Events watches, as Containers does: lines of Change[Event], all Added, those behind the sequence number after.
func (h *Hub) Events(ctx context.Context, after uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		err := h.enter()
		if err == nil {
			defer h.leave()
			err = h.happened(ctx, after)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		for synced := false; ; {
			h.mu.Lock()
			moved := h.moved // before the look, so that nothing comes between
			h.mu.Unlock()
			page, err := h.reader.Events(ctx, after, maxEvents)
			if err != nil {
				return // the store is closed
			}
			for _, e := range page.Items {
				object, err := json.Marshal(e)
				if err != nil {
					panic(err) // our own type
				}
				if after = e.Seq; !yield(line(Added, strconv.FormatUint(after, 10), object), nil) {
					return
				}
			}
			if len(page.Items) > 0 {
				continue
			}
			if !synced && !yield(line(Synced, strconv.FormatUint(after, 10), nil), nil) || !yield(nil, nil) || !h.await(ctx, moved) {
				return
			}
			synced = true
		}
	}
}

// happened refuses a sequence number that no event has had: a store that was begun anew counts from 1, and who waits for
// what is behind an old number would miss all until then.
func (h *Hub) happened(ctx context.Context, after uint64) error {
	if after == 0 {
		return nil
	}
	page, err := h.reader.Events(ctx, after-1, 1)
	if err == nil && len(page.Items) == 0 && len(page.Problems) == 0 {
		return invalid("after=%d: there is no such event yet", after)
	}
	return err
}

// stream sends the lines of a watch for as long as both sides like.
func stream(w http.ResponseWriter, lines iter.Seq2[[]byte, error]) error {
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "application/json")
	for l, err := range lines {
		if err != nil {
			return err
		}
		// Who does not read for that long is cut off, and can come back with its token.
		_ = control.SetWriteDeadline(time.Now().Add(writeTimeout))
		if len(l) == 0 {
			err = control.Flush()
		} else {
			_, err = w.Write(l)
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	return nil
}
