package scratch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"time"
)

// ErrNotFound is the answer about a name that is not known.
var ErrNotFound = errors.New("not found")

// Ask makes a request of the controller's API, which costs a hundredth of a verb of the command line.
func (w *World) Ask(ctx context.Context, method, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(w.Run, "reconciler.sock"))
	}
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	switch {
	case err != nil:
		return err
	case answer.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s %s: %w: %s", method, path, ErrNotFound, body)
	case answer.StatusCode >= http.StatusBadRequest:
		return fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// list is the form of what has several items.
type list[T any] struct{ Items []T }

// Containers is what `get` shows, by name.
func (w *World) Containers(ctx context.Context) (map[string]Container, error) {
	var all list[Container]
	err := w.Ask(ctx, http.MethodGet, "/v1/containers?brief=true", &all)
	byName := map[string]Container{}
	for _, c := range all.Items {
		byName[c.Metadata.Name] = c
	}
	return byName, err
}

// Exits is what `exits` shows of one name, oldest first.
func (w *World) Exits(ctx context.Context, name string) ([]Exit, error) {
	var all list[Exit]
	err := w.Ask(ctx, http.MethodGet, "/v1/containers/"+name+"/exits", &all)
	return all.Items, err
}

// Problems are what the controller cannot read of its store: of the node, and of each of the names.
func (w *World) Problems(ctx context.Context, names []string) (found []string, err error) {
	var node struct{ Problems []string }
	if err := w.Ask(ctx, http.MethodGet, "/v1/node", &node); err != nil {
		return nil, err
	}
	for _, name := range names {
		err := w.Ask(ctx, http.MethodGet, "/v1/containers/"+name, new(Container))
		if err != nil && !errors.Is(err, ErrNotFound) {
			found = append(found, err.Error())
		}
	}
	return append(found, node.Problems...), nil
}

// Planned is one action that would be taken now.
type Planned struct{ Name, Line string }

// Plan is what `plan` shows: nothing when all is settled.
func (w *World) Plan(ctx context.Context) ([]Planned, error) {
	var all list[Planned]
	err := w.Ask(ctx, http.MethodGet, "/v1/plan", &all)
	return all.Items, err
}

// Settled says nil when nothing is left to do.
func (w *World) Settled(ctx context.Context) error {
	planned, err := w.Plan(ctx)
	if err == nil && len(planned) > 0 {
		err = fmt.Errorf("still planned: %v", planned)
	}
	return err
}
