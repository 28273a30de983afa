package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"reconciler.dev/reconciler/pkg/api"
	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/reconcile"
	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/subreaper"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// fillStore makes a store with three containers: `web` was killed twice and is about to come back, `job` is completed,
// `idle` never ran. `old` was removed. One manifest never was good.
func fillStore(dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, "state"), 0o700); err != nil {
		return err
	}
	db, err := openStore(dir)
	if err != nil {
		return err
	}
	web := exits("web", exit{nil, new(9), "Killed", "killed by SIGKILL"}, exit{nil, new(9), "Killed", "killed by SIGKILL"})
	job := exits("job", exit{new(0), new(0), "Exited", "exit code 0"})
	old := exits("old", exit{new(7), new(0), "Exited", "exit code 7"})
	changes := []store.Change{{
		Desired: []store.Desired{wish("web", desired.Always), wish("job", desired.OnFailure), wish("idle", desired.Always)},
		Source:  &store.Source{Name: reconcile.SourceName, Files: map[string]string{"bad.yaml": "bad.yaml:4:8: spec.bundel: unknown\nbad.yaml:5:1: more"}},
		Events: []store.Event{
			{Time: t0, Type: store.Normal, Reason: "Started", Object: "web", Message: "web.1 started"},
			{Time: t0.Add(time.Second), Type: store.Warning, Reason: "ManifestInvalid", Object: "bad.yaml", Message: "un\x1b[31mknown\nfield"},
		},
	}}
	changes = append(changes, web...)
	changes = append(changes, job...)
	changes = append(changes, old...)
	var errs []error
	for _, c := range changes {
		errs = append(errs, db.Commit(context.Background(), c))
	}
	logs := filepath.Join(dir, "logs", "web")
	return errors.Join(append(errs, db.Close(), os.MkdirAll(logs, 0o700),
		os.WriteFile(filepath.Join(logs, "1.log"), []byte("first\n"), 0o600),
		os.WriteFile(filepath.Join(logs, "2.log"), []byte("one\ntwo\n\x1b[31mred\n"), 0o600))...)
}

func openStore(dir string) (*store.DB, error) {
	return store.Open(filepath.Join(dir, "state", "reconciler.db"), store.Options{NoSync: true})
}

func wish(name string, policy desired.Policy) store.Desired {
	spec := desired.Spec{
		Bundle: "/bundles/" + name, State: desired.Running,
		Restart: desired.Restart{Policy: policy, Backoff: desired.Backoff{
			Initial: desired.Duration(100 * time.Millisecond), Factor: 2,
			Max: desired.Duration(5 * time.Minute), ResetAfter: desired.Duration(time.Minute)}},
		Stop: desired.Stop{Signal: "SIGTERM", GracePeriod: desired.Duration(10 * time.Second)},
	}
	return store.Desired{
		Container: desired.Container{Name: name, Labels: map[string]string{"tier": "front"}, Spec: spec},
		Source:    "manifests/" + name + ".yaml", Generation: 3, Config: []byte("{}"), InputHash: name,
	}
}

type exit struct {
	code, signal    *int
	reason, message string
}

// exits are the changes that put ended attempts on record, the first one being number 1. They belong to no boot that is.
func exits(name string, list ...exit) []store.Change {
	var changes []store.Change
	rec := store.Record{Name: name, SpecHash: name, ObservedGeneration: 3}
	for i, e := range list {
		n := i + 1
		p := subreaper.Process{PID: 100 + n, StartTime: 7, BootID: "an-earlier-boot"}
		a := store.Attempt{Number: n, Instance: observed.InstanceID(name, n), SpecHash: name, IntentAt: t0, Process: &p, StartCommitted: t0, Started: true}
		begun := rec
		begun.LastAttempt, begun.Starts, begun.Attempts = n, n, []store.Attempt{a}
		a.Over = true
		rec.LastAttempt, rec.Starts, rec.Failures, rec.ChangedAt = n, n, n, t0
		rec.End = store.EndFailed
		if e.code != nil && *e.code == 0 {
			rec.End = store.EndSucceeded
		}
		rec.Backoff = store.Wait{Until: t0.Add(time.Minute), Length: time.Minute}
		rec.LastExit = &store.Exit{Instance: a.Instance, Attempt: n, Process: p, ExitCode: e.code, Signal: e.signal, Reason: e.reason,
			Message: e.message, Source: subreaper.SourceWaitid, StartedAt: t0, FinishedAt: t0.Add(1500 * time.Millisecond)}
		over := rec
		changes = append(changes, store.Change{Record: &begun, Attempt: &a}, store.Change{Record: &over, Attempt: &a, Exit: over.LastExit})
	}
	return changes
}

// answers waits until somebody answers on the socket of dir.
func answers(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	client := api.NewClient(filepath.Join(dir, "run", "reconciler.sock"))
	defer client.Close()
	for {
		_, err := client.Version(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
}
