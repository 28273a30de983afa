package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"

	"reconciler.dev/reconciler/pkg/desired"
)

// maxEvents is the most events in one answer. Who wants more asks again after the last one.
const maxEvents = 1000

// instanceHeader tells which instance wrote the log that is sent.
const instanceHeader = "Reconciler-Instance"

func getVersion(b Backend, w http.ResponseWriter, _ *http.Request) error {
	return send(w, http.StatusOK, b.Version())
}

func listContainers(b Backend, w http.ResponseWriter, r *http.Request) error {
	full := peerOf(r.Context()).root()
	if r.FormValue("watch") == "true" {
		return stream(w, b.WatchContainers(r.Context(), r.FormValue("token"), full))
	}
	list, err := b.Containers(r.Context())
	if err != nil {
		return err
	}
	if r.FormValue("brief") == "true" {
		return send(w, http.StatusOK, briefly(list))
	}
	if !full {
		for i := range list.Items {
			list.Items[i] = list.Items[i].withoutSecrets()
		}
	}
	return send(w, http.StatusOK, list)
}

func getContainer(b Backend, name string, w http.ResponseWriter, r *http.Request) error {
	c, err := b.Container(r.Context(), name)
	if err != nil {
		return err
	}
	if !peerOf(r.Context()).root() {
		return send(w, http.StatusOK, c.withoutSecrets())
	}
	return send(w, http.StatusOK, c)
}

func listExits(b Backend, name string, w http.ResponseWriter, r *http.Request) error {
	exits, err := b.Exits(r.Context(), name)
	if err != nil {
		return err
	}
	return send(w, http.StatusOK, exits)
}

func getLogs(b Backend, name string, w http.ResponseWriter, r *http.Request) error {
	attempt, err := queryInt(r, "attempt", 0)
	if err != nil {
		return err
	}
	tail, err := queryInt(r, "tail", 0)
	if err != nil {
		return err
	}
	log, err := b.Logs(r.Context(), name, LogOptions{
		Attempt:  attempt,
		Previous: r.FormValue("previous") == "true",
		Tail:     tail,
	})
	if err != nil {
		return err
	}
	defer log.Close()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set(instanceHeader, log.Instance)
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // a pager stops reading for as long as it likes
	if _, err := io.Copy(w, log); err != nil {
		panic(http.ErrAbortHandler) // the status is sent: a cut connection is what can still tell the caller
	}
	return nil
}

func listEvents(b Backend, w http.ResponseWriter, r *http.Request) error {
	after, err := queryInt(r, "after", 0)
	if err != nil {
		return err
	}
	if r.FormValue("watch") == "true" {
		return stream(w, b.WatchEvents(r.Context(), uint64(after)))
	}
	limit, err := queryInt(r, "limit", maxEvents)
	if err != nil {
		return err
	}
	if limit == 0 {
		limit = maxEvents
	}
	events, err := b.Events(r.Context(), uint64(after), min(limit, maxEvents))
	if err != nil {
		return err
	}
	return send(w, http.StatusOK, events)
}

func listSources(b Backend, w http.ResponseWriter, r *http.Request) error {
	sources, err := listOf(b.Sources(r.Context()))
	if err != nil {
		return err
	}
	return send(w, http.StatusOK, sources)
}

func confirmSources(b Backend, w http.ResponseWriter, r *http.Request) error {
	confirmed, err := b.ConfirmSources(r.Context(), peerOf(r.Context()).String())
	if err != nil {
		return err
	}
	return send(w, http.StatusOK, confirmed)
}

func getPlan(b Backend, w http.ResponseWriter, r *http.Request) error {
	lines, err := listOf(b.Plan(r.Context()))
	if err != nil {
		return err
	}
	return send(w, http.StatusOK, lines)
}

func getNodeState(b Backend, w http.ResponseWriter, r *http.Request) error {
	state, err := b.NodeState(r.Context())
	if err != nil {
		return err
	}
	return send(w, http.StatusOK, state)
}

func down(b Backend, w http.ResponseWriter, r *http.Request) error {
	held, err := b.Down(r.Context(), r.FormValue("reason"), peerOf(r.Context()).String())
	if err != nil {
		return err
	}
	return send(w, http.StatusOK, held)
}

func up(b Backend, w http.ResponseWriter, r *http.Request) error {
	if err := b.Up(r.Context(), r.FormValue("reason"), peerOf(r.Context()).String()); err != nil {
		return err
	}
	return send(w, http.StatusOK, struct{}{})
}

func exit(b Backend, w http.ResponseWriter, r *http.Request) error {
	if err := b.Exit(r.Context()); err != nil {
		return err
	}
	return send(w, http.StatusAccepted, struct{}{})
}

func kill(b Backend, name string, w http.ResponseWriter, r *http.Request) error {
	if err := b.Kill(r.Context(), name, r.FormValue("signal"), peerOf(r.Context()).String()); err != nil {
		return err
	}
	return send(w, http.StatusOK, struct{}{})
}

// verb is the handler of a verb on one container.
func verb(do func(b Backend, ctx context.Context, name, by string) error) handler {
	return named(func(b Backend, name string, w http.ResponseWriter, r *http.Request) error {
		if err := do(b, r.Context(), name, peerOf(r.Context()).String()); err != nil {
			return err
		}
		return send(w, http.StatusAccepted, struct{}{})
	})
}

// named is the handler of a question about the container in the path. A name that no manifest could give is refused
// here, so that none reaches a file name.
func named(do func(b Backend, name string, w http.ResponseWriter, r *http.Request) error) handler {
	return func(b Backend, w http.ResponseWriter, r *http.Request) error {
		name := r.PathValue("name")
		if !desired.ValidName(name) {
			return invalid("%q is not a container's name", name)
		}
		return do(b, name, w, r)
	}
}

// queryInt is a query parameter that is a number from 0, or otherwise if it is not given.
func queryInt(r *http.Request, key string, otherwise int) (int, error) {
	text := r.FormValue(key)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, invalid("%s=%q is not a number from 0", key, text)
	}
	return n, nil
}

func send(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // who has gone away is told nothing
	return nil
}
