package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"reconciler.dev/reconciler/hack/internal/scratch"
)

// world is a controller whose containers are all wanted Stopped.
type world struct {
	*scratch.World
	own bool // a bundle for each
	api http.Client
}

func newWorld(s *scratch.World, own bool) (*world, error) {
	w := &world{World: s, own: own}
	socket := s.Path("run", "reconciler.sock")
	w.api.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	return w, s.Bundle("shared", scratch.BundleOptions{}, "x")
}

func name(i int) string { return fmt.Sprintf("c%05d", i) }

// put renames a manifest into place.
func (w *world) put(i, edit int) error {
	bundle := "shared"
	if w.own {
		bundle = name(i)
	}
	text := fmt.Sprintf("apiVersion: reconciler/v1alpha1\nkind: Container\nmetadata: {name: %s}\nspec:\n"+
		"  bundle: ../bundles/%s\n  state: Stopped\n  process: {env: {EDIT: \"%d\"}}\n", name(i), bundle, edit)
	aside, file := w.Path("manifests", "."+name(i)), w.Path("manifests", name(i)+".yaml")
	if err := os.WriteFile(aside, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(aside, file)
}

// drop puts manifests from..to into place at once, and returns the controller's CPU time for each, all that it does until
// it is quiet included.
func (w *world) drop(ctx context.Context, from, to int) (each time.Duration, err error) {
	if w.own {
		for i := from; i < to; i++ {
			if err := w.Bundle(name(i), scratch.BundleOptions{}, "x"); err != nil {
				return 0, err
			}
		}
	}
	if err := w.quiet(ctx); err != nil {
		return 0, err
	}
	before, err := w.cpu()
	if err != nil {
		return 0, err
	}
	for i := from; i < to; i++ {
		if err := w.put(i, 0); err != nil {
			return 0, err
		}
	}
	if err := w.quiet(ctx); err != nil {
		return 0, err
	}
	after, err := w.cpu()
	if err != nil {
		return 0, err
	}
	for _, i := range []int{from, (from + to) / 2, to - 1} {
		if c, err := w.container(ctx, i); err != nil || !c.planned(1) {
			return 0, fmt.Errorf("%s is not planned when all is quiet: %+v, %v", name(i), c, err)
		}
	}
	all, err := w.Containers(ctx)
	if err == nil && len(all) != to {
		err = fmt.Errorf("there are %d containers, not %d", len(all), to)
	}
	return (after - before) / time.Duration(to-from), err
}

// container is what the API says of one.
type container struct {
	Metadata struct{ Generation int64 }
	Status   struct{ ObservedGeneration int64 }
}

func (c container) planned(generation int64) bool {
	return c.Metadata.Generation >= generation && c.Status.ObservedGeneration == c.Metadata.Generation
}

func (w *world) container(ctx context.Context, i int) (c container, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://daemon/v1/containers/"+name(i), nil)
	if err != nil {
		return c, err
	}
	answer, err := w.api.Do(req)
	if err != nil {
		return c, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return c, fmt.Errorf("%s: %s", req.URL, answer.Status)
	}
	return c, json.NewDecoder(answer.Body).Decode(&c)
}

// rounds of what is timed by the clock.
const rounds = 25

// edit times an edit from renaming the manifest into place until it is planned.
func (w *world) edit(ctx context.Context, i int, took *[]time.Duration) error {
	c, err := w.container(ctx, i)
	if err != nil {
		return err
	}
	from := time.Now()
	if err := w.put(i, int(c.Metadata.Generation)); err != nil {
		return err
	}
	for now := c; !now.planned(c.Metadata.Generation + 1); {
		if now, err = w.container(ctx, i); err != nil {
			return err
		}
		if time.Since(from) > time.Minute {
			return fmt.Errorf("%s is not planned: %+v", name(i), now)
		}
	}
	*took = append(*took, time.Since(from))
	return nil
}

// get times `reconciler get`.
func (w *world) get(ctx context.Context, took *[]time.Duration) error {
	from := time.Now()
	_, err := w.CLI(ctx, "get")
	*took = append(*took, time.Since(from))
	return err
}

// quiet waits until the controller has used next to no CPU for a while: it looks at its directory once more a second after
// a change.
func (w *world) quiet(ctx context.Context) error {
	was, err := w.cpu()
	if err != nil {
		return err
	}
	for since := time.Now(); time.Since(since) < 1500*time.Millisecond; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
		is, err := w.cpu()
		if err != nil {
			return err
		}
		if is-was > 2*time.Millisecond {
			was, since = is, time.Now()
		}
	}
	return nil
}

// cpu is the time that the controller has run so far, by the scheduler's own count of nanoseconds.
func (w *world) cpu() (sum time.Duration, err error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", w.Controller().PID))
	if err != nil || len(tasks) == 0 {
		return 0, fmt.Errorf("the controller has no schedstat: %v", err)
	}
	for _, task := range tasks {
		b, err := os.ReadFile(task)
		if os.IsNotExist(err) { // the thread has ended
			continue
		}
		var run int64
		if _, err := fmt.Sscan(string(b), &run); err != nil {
			return 0, fmt.Errorf("%s: %w", task, err)
		}
		sum += time.Duration(run)
	}
	return sum, nil
}
