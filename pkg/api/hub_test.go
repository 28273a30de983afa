package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/store"
)

// What a watcher can have missed is known, or it begins anew: never a silent gap.
func TestTheDeadAreForgottenLoudly(t *testing.T) {
	w := newWorld(t)
	c := client(t, serve(t, w))
	first := watching(t, c.Watch(t.Context(), ""))
	told(first, "synced")
	early := first.token
	for i := range maxDead + 1 {
		name := fmt.Sprint("c", i)
		w.want(name, nil)
		told(first, "added "+name+" Pending")
		w.commit(store.Change{Removed: []string{name}})
		told(first, "deleted "+name+" Pending")
	}
	told(watching(t, c.Watch(t.Context(), early)), "restarted", "synced")
	late := watching(t, c.Watch(t.Context(), first.token))
	told(late, "synced")
	if n := len(w.Hub.objects); n != maxDead {
		t.Errorf("%d dead are kept", n)
	}
}

// Synced is a promise: whatever was there has been told, were it changed in the middle of the telling.
func TestSyncedComesAfterWhatWasOvertaken(t *testing.T) {
	w := newWorld(t)
	w.want("a", nil)
	w.want("b", nil)
	var got []string
	for l, err := range w.Hub.Containers(t.Context(), "", true) {
		var c Change[Container]
		if err != nil || json.Unmarshal(l, &c) != nil {
			t.Fatalf("%s, %v", l, err)
		}
		got = append(got, string(c.Type))
		if c.Type == Synced {
			break
		}
		if got = append(got, c.Object.Metadata.Name); len(got) == 2 {
			w.want("b", func(s *desired.Spec) { s.State = desired.Stopped })
			w.Hub.refresh(true)
		}
	}
	if want := []string{"added", "a", "added", "b", "synced"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// What a hub keeps grows with the containers, not with their changes, and is no less for that.
func TestChangesDoNotPileUp(t *testing.T) {
	h := newWorld(t).Hub
	h.put(Container{Metadata: Metadata{Name: "steady"}})
	for n := range int64(10_000) {
		h.put(Container{Metadata: Metadata{Name: "busy", Generation: n}})
	}
	if len(h.changes) > 2*len(h.objects)+maxDead {
		t.Errorf("%d changes are kept of %d containers", len(h.changes), len(h.objects))
	}
	marks, now, _ := h.after(0)
	if want := []mark{{"steady", 1}, {"busy", 10_001}}; !slices.Equal(marks, want) || now != 10_001 {
		t.Errorf("got %v at %d", marks, now)
	}
}

// What is seen changes without a commit, as when a process dies or is frozen.
func TestWatchTellsWhatIsOnlySeen(t *testing.T) {
	w := newWorld(t)
	w.want("web", nil)
	w.ran("web", 1, -1, "")
	watch := watching(t, client(t, serve(t, w)).Watch(t.Context(), ""))
	told(watch, "added web Running", "synced")
	w.Hub.again.Stop() // the floor would tell it, too
	w.Hub.rendering.Lock()
	w.alive["web.1"] = false
	w.Hub.rendering.Unlock()
	w.Hub.Look("web")
	told(watch, "modified web Stopping")
}
