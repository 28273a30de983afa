package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"time"
)

// Watch yields what is, then Synced, then each change, until ctx ends; with the token of an earlier change, what has
// changed since. The error, which ends it, is ErrHungUp when the daemon has ended the watch.
func (c *Client) Watch(ctx context.Context, token string) iter.Seq2[Change[Container], error] {
	return watch[Container](ctx, c, "/v1/containers?"+url.Values{"watch": {"true"}, "token": {token}}.Encode())
}

// WatchEvents yields the events behind a sequence number, then Synced, then each one that comes. Errors are as with Watch;
// ErrInvalid is a number that no event has had.
func (c *Client) WatchEvents(ctx context.Context, after uint64) iter.Seq2[Change[Event], error] {
	return watch[Event](ctx, c, "/v1/events?"+url.Values{"watch": {"true"}, "after": {strconv.FormatUint(after, 10)}}.Encode())
}

func watch[T any](ctx context.Context, c *Client, path string) iter.Seq2[Change[T], error] {
	return func(yield func(Change[T], error) bool) {
		r, err := c.do(ctx, http.MethodGet, path, nil)
		if err != nil {
			yield(Change[T]{}, err)
			return
		}
		defer r.Body.Close()
		for lines := json.NewDecoder(r.Body); ; {
			var change Change[T]
			err := lines.Decode(&change)
			switch {
			case ctx.Err() != nil:
				err = ctx.Err()
			case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
				err = fmt.Errorf("%w at %s", ErrHungUp, c.socket)
			case err != nil:
				err = fmt.Errorf("%w at %s (%v)", ErrHungUp, c.socket, cause(err))
			}
			if !yield(change, err) || err != nil {
				return
			}
		}
	}
}

// reconnect is how long Follow waits before it asks a daemon again that does not answer.
const reconnect = 250 * time.Millisecond

// Follow is Watch over the daemon's restarts. It yields what differs from known, then Synced, then each change, and
// nothing twice: where it had to begin anew it tells what has changed meanwhile. away is called once each time the daemon
// is lost or is not there; Follow then waits for it. It ends with ctx, or where asking again would not help.
func (c *Client) Follow(ctx context.Context, known []Container, away func(error)) iter.Seq2[Change[Container], error] {
	return func(yield func(Change[Container], error) bool) {
		f := following{known: map[string]Container{}, told: map[string]bool{}, fresh: true}
		for _, k := range known {
			f.known[k.Metadata.Name] = k
		}
		token := ""
		for change, err := range persist(ctx, away, func() iter.Seq2[Change[Container], error] { return c.Watch(ctx, token) }) {
			if err != nil {
				yield(change, err)
				return
			}
			token = change.Token
			for _, news := range f.news(change) {
				if !yield(news, nil) {
					return
				}
			}
		}
	}
}

// FollowEvents is WatchEvents over the daemon's restarts. away is as with Follow, and told as well when the daemon's store
// was begun anew: then all events of that one follow.
func (c *Client) FollowEvents(ctx context.Context, after uint64, away func(error)) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for first := true; ; first = false {
			err := c.followEvents(ctx, &after, away, yield)
			if err == nil {
				return
			}
			if first || !errors.Is(err, ErrInvalid) {
				yield(Event{}, err)
				return
			}
			away(fmt.Errorf("the daemon's store was begun anew, and so are its events (%w)", err))
			after = 0
		}
	}
}

func (c *Client) followEvents(ctx context.Context, after *uint64, away func(error), yield func(Event, error) bool) error {
	for change, err := range persist(ctx, away, func() iter.Seq2[Change[Event], error] { return c.WatchEvents(ctx, *after) }) {
		if err != nil {
			return err
		}
		if change.Object == nil {
			continue
		}
		if *after = change.Object.Seq; !yield(*change.Object, nil) {
			return nil
		}
	}
	return nil
}

// persist watches again whenever a watch ends, and whenever nobody is there.
func persist[T any](ctx context.Context, away func(error), again func() iter.Seq2[Change[T], error]) iter.Seq2[Change[T], error] {
	return func(yield func(Change[T], error) bool) {
		for told := false; ; {
			for change, err := range again() {
				switch {
				case err == nil:
					told = false
					if !yield(change, nil) {
						return
					}
				case !errors.Is(err, ErrHungUp) && !errors.Is(err, ErrNoDaemon):
					yield(change, err)
					return
				case !told:
					told = true
					away(err)
				}
			}
			select {
			case <-ctx.Done():
				yield(Change[T]{}, ctx.Err())
				return
			case <-time.After(reconnect):
			}
		}
	}
}

// following makes of what each watch tells what its reader does not know yet.
type following struct {
	known  map[string]Container
	fresh  bool            // the watch tells everything, up to Synced
	told   map[string]bool // meanwhile
	synced bool
}

func (f *following) news(c Change[Container]) (news []Change[Container]) {
	switch c.Type {
	case Restarted:
		f.fresh, f.told = true, map[string]bool{}
	case Synced:
		for _, name := range slices.Sorted(maps.Keys(f.known)) {
			if f.fresh && !f.told[name] {
				news = append(news, f.forget(name, c.Token))
			}
		}
		if !f.synced {
			news = append(news, c)
		}
		f.fresh, f.synced, f.told = false, true, map[string]bool{}
	case Deleted:
		if _, ok := f.known[c.Object.Metadata.Name]; ok {
			news = append(news, f.forget(c.Object.Metadata.Name, c.Token))
		}
	case Added, Modified:
		news = f.object(c)
	}
	return news
}

func (f *following) forget(name, token string) Change[Container] {
	last := f.known[name]
	delete(f.known, name)
	return Change[Container]{Deleted, token, &last}
}

func (f *following) object(c Change[Container]) (news []Change[Container]) {
	name := c.Object.Metadata.Name
	f.told[name] = true
	was, known := f.known[name]
	switch {
	case known && c.Type == Added && !f.fresh:
		news = append(news, f.forget(name, c.Token))
	case known && reflect.DeepEqual(was, *c.Object):
		return nil
	case known:
		c.Type = Modified
	default:
		c.Type = Added
	}
	f.known[name] = *c.Object
	return append(news, c)
}
