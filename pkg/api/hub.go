package api

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"reconciler.dev/reconciler/pkg/store"
)

const (
	// maxWatchers bounds how many watch at once. Guests have fewer connections than that, so they never keep root out.
	maxWatchers = 4 * maxGuests
	// maxDead bounds how many deleted containers a watcher who comes back can still be told of.
	maxDead = 100
	// floor is how often everything is rendered while somebody watches, whether anybody has said that it has changed.
	floor = 2 * time.Second
)

// Hub renders each container once a change, for all who watch. It keeps the last rendering of each and a version of it,
// and no queue for anybody: a watcher is a number, the version it has seen. A slow one holds up nobody, takes no memory,
// and is told of the latest state where it missed several.
type Hub struct {
	reader  *Reader
	commits *store.Subscription
	epoch   string // of this hub's versions
	ended   chan struct{}
	again   *time.Ticker // runs while somebody watches

	rendering sync.Mutex // one refresh at a time

	mu        sync.Mutex // of all below; held for memory only
	version   uint64     // of the last change
	objects   map[string]*rendered
	changes   []mark        // the last one of each object, oldest first, and some that were overtaken
	dead      []string      // deleted names, the longest dead first
	forgotten uint64        // what was deleted up to this version is not known any more
	moved     chan struct{} // closed and replaced when there is something new
	watchers  int
}

// rendered is a container's JSON as of its last change.
type rendered struct {
	born, version uint64 // when it came to be, and when it last changed
	dead          bool   // deleted by that change
	root, guest   []byte
}

// NewHub makes the hub of a daemon's reader; it begins to render when it is watched. The caller has it Run.
func NewHub(r *Reader) *Hub {
	h := &Hub{
		reader: r, commits: r.DB.Subscribe(), epoch: rand.Text()[:8], ended: make(chan struct{}), again: time.NewTicker(floor),
		objects: map[string]*rendered{}, moved: make(chan struct{}),
	}
	h.again.Stop()
	return h
}

// Run follows commits until ctx ends; with it ends whoever watches.
func (h *Hub) Run(ctx context.Context) error {
	defer close(h.ended)
	defer h.commits.Close()
	defer h.again.Stop()
	for {
		all := false
		select {
		case <-ctx.Done():
			return nil
		case <-h.commits.Ready():
		case <-h.again.C:
			all = true
		}
		if h.watched() {
			h.refresh(all)
		}
	}
}

// Look has a container rendered again, for what can be seen of it has changed, which no commit tells. It never blocks.
func (h *Hub) Look(name string) { h.commits.Add(store.Touched{Names: map[string]bool{name: true}}) }

func (h *Hub) watched() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.watchers > 0
}

// enter lets one more watcher in; leave lets it out.
func (h *Hub) enter() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers >= maxWatchers {
		return &Error{Reason: "TooManyWatchers", Message: "too many watch already", Suggestion: "try again when some have ended"}
	}
	if h.watchers++; h.watchers == 1 {
		h.again.Reset(floor)
	}
	return nil
}

func (h *Hub) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers--; h.watchers == 0 {
		h.again.Stop()
	}
}

// refresh renders what was touched, or all, and wakes the watchers if there is anything new.
func (h *Hub) refresh(all bool) {
	h.rendering.Lock()
	defer h.rendering.Unlock()
	touched := h.commits.Take()
	names := touched.Names
	if all || touched.All {
		names = h.everyName()
	}
	gone, found := h.look(names)
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.version
	for _, name := range gone {
		h.bury(name)
	}
	for _, c := range found {
		h.put(c)
	}
	if h.version != before || touched.Events {
		close(h.moved)
		h.moved = make(chan struct{})
	}
}

func (h *Hub) everyName() map[string]bool {
	names := map[string]bool{}
	for name := range h.reader.wanted() {
		names[name] = true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for name := range h.objects {
		names[name] = true
	}
	return names
}

// look tells what is wanted no more, and what the others are. What cannot be read is neither.
func (h *Hub) look(names map[string]bool) (gone []string, found []Container) {
	if len(names) == 0 {
		return nil, nil
	}
	found, _ = h.reader.render(func(yield func(*store.Desired, error) bool) {
		for _, name := range slices.Sorted(maps.Keys(names)) {
			d, err := h.reader.DB.Desired(name)
			if errors.Is(err, store.ErrNotFound) {
				gone = append(gone, name)
			} else if !yield(d, err) {
				return
			}
		}
	})
	return gone, found
}

func (h *Hub) put(c Container) {
	root, err := json.Marshal(c)
	if err != nil {
		panic(err) // our own types
	}
	o := h.objects[c.Metadata.Name]
	if o != nil && !o.dead && string(o.root) == string(root) {
		return
	}
	if o == nil || o.dead {
		o = &rendered{born: h.version + 1}
		h.objects[c.Metadata.Name] = o
		h.dead = slices.DeleteFunc(h.dead, func(name string) bool { return name == c.Metadata.Name })
	}
	o.root, o.guest = root, root
	h.changed(c.Metadata.Name, o)
	if len(c.Spec.Process.Env) > 0 {
		if o.guest, err = json.Marshal(c.withoutSecrets()); err != nil {
			panic(err)
		}
	}
}

func (h *Hub) bury(name string) {
	o := h.objects[name]
	if o == nil || o.dead {
		return
	}
	o.dead = true
	h.changed(name, o)
	if h.dead = append(h.dead, name); len(h.dead) > maxDead {
		h.forgotten = h.objects[h.dead[0]].version
		delete(h.objects, h.dead[0])
		h.dead = h.dead[1:]
	}
}

// changed notes a change of an object. What was overtaken is dropped in one go now and then.
func (h *Hub) changed(name string, o *rendered) {
	h.version++
	o.version = h.version
	h.changes = append(h.changes, mark{name, h.version})
	if len(h.changes) > 2*len(h.objects)+maxDead {
		h.changes = slices.DeleteFunc(h.changes, h.overtaken)
	}
}

// overtaken: there was a later change of the same object, or it is forgotten.
func (h *Hub) overtaken(m mark) bool {
	o := h.objects[m.name]
	return o == nil || o.version != m.version
}

// token names a version to a watcher, who passes it back and reads nothing in it.
func (h *Hub) token(version uint64) string { return h.epoch + "." + strconv.FormatUint(version, 10) }

// since is the version that a token names. It is false for one that does not tell what its holder has missed: of another
// hub, or too old.
func (h *Hub) since(token string) (uint64, bool) {
	epoch, number, _ := strings.Cut(token, ".")
	version, err := strconv.ParseUint(number, 10, 64)
	h.mu.Lock()
	defer h.mu.Unlock()
	return version, err == nil && epoch == h.epoch && version >= h.forgotten && version <= h.version
}
