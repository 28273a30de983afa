package e2e

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"reconciler.dev/reconciler/pkg/api"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// witness has a payload tell each of its starts by the instance it is.
func witness(payload string) string {
	return `read -r line </proc/self/cgroup; id=${line##*/}
echo "$id" >>/out/starts
` + payload
}

const quickStop = "  stop: {gracePeriod: 1s}\n  restart: {backoff: {initial: 1ms, max: 1ms}}\n"

const sleeper = "trap 'exit 0' TERM; while :; do sleep 100000 & wait; done"

// balance holds exits against what the containers saw: each instance that ran has ended once and is on record once, or
// lives; nothing was seen twice, nothing is left of what has ended.
func (w *world) balance() {
	w.t.Helper()
	w.settled()
	ended := map[string]bool{}
	for _, name := range w.everStarted() {
		exits := w.history(name)
		for i, e := range exits {
			if i > 0 && e.StartedAt.Before(exits[i-1].FinishedAt) {
				w.t.Errorf("%s was started before %s had ended", e.Instance, exits[i-1].Instance)
			}
			if ended[e.Instance] {
				w.t.Errorf("%s ended twice", e.Instance)
			}
			ended[e.Instance] = true
			if e.Source != subreaper.SourceWaitid {
				w.t.Errorf("%s: known by %s: %s", e.Instance, e.Source, e.Reason)
			}
			if name == "job" && (e.ExitCode == nil || *e.ExitCode != 7) {
				w.t.Errorf("%+v", e)
			}
		}
	}
	started := map[string]bool{}
	for _, id := range w.lines("starts") {
		if started[id] {
			w.t.Errorf("%s was started twice", id)
		}
		started[id] = true
		if name, _, _ := strings.Cut(id, "."); !ended[id] && w.instance(name) != id {
			w.t.Errorf("%s was started, has no exit and is not what lives", id)
		}
	}
	if w.t.Failed() {
		w.t.FailNow()
	}
}

// history is exits, asked of a daemon that may be killed meanwhile.
func (w *world) history(name string) []api.Exit {
	w.t.Helper()
	var list api.List[api.Exit]
	w.until("exits are told", func() bool {
		out, err := w.try("exits", name, "-o", "json")
		return err == nil && json.Unmarshal([]byte(out), &list) == nil
	})
	return list.Items
}

// everStarted are all names that ever ran anything.
func (w *world) everStarted() (names []string) {
	for _, id := range w.lines("starts") {
		name, _, _ := strings.Cut(id, ".")
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// instance is the one that a name's status is about.
func (w *world) instance(name string) (id string) {
	w.t.Helper()
	w.until(name+" is told", func() bool {
		o := w.get(name)
		if o == nil || o.Status.Instance == nil {
			return false
		}
		id = *o.Status.Instance
		return true
	})
	return id
}

// gone: nobody wants the name any more, and nothing is left of it.
func (w *world) gone(name string) func() bool {
	return func() bool {
		out, err := w.try("get", "-o", "name")
		remains, _ := filepath.Glob(filepath.Join(w.root, "run/*", name+".*"))
		return err == nil && !slices.Contains(strings.Fields(out), name) && remains == nil
	}
}

func (w *world) up(name string) func() bool {
	return func() bool {
		o := w.get(name)
		return o != nil && o.Status.Phase == "Running" && slices.Contains(w.lines("starts"), *o.Status.Instance)
	}
}

func (w *world) is(name, phase string) func() bool {
	return func() bool { o := w.get(name); return o != nil && string(o.Status.Phase) == phase }
}

// killed ends what runs in a name and waits for what comes next.
func (w *world) killed(name string) {
	w.t.Helper()
	pid := w.running(name, 0)
	w.until(name+" has begun", w.up(name))
	signalPID(w.t, pid, syscall.SIGKILL)
	w.running(name, pid)
	w.until(name+" has begun again", w.up(name))
}
