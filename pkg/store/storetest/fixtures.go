package storetest

import (
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"testing"
	"time"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// now is when things happen in the suite.
var now = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

func want(name string) store.Desired {
	return store.Desired{
		Container:  desired.Container{Name: name, Spec: desired.Spec{Bundle: "/b", State: desired.Running}},
		Source:     "manifests/" + name + ".yaml",
		Generation: 1,
	}
}

func process(pid int) subreaper.Process {
	return subreaper.Process{PID: pid, StartTime: uint64(pid) * 10, BootID: "boot"}
}

// started is an attempt whose start is committed, of the process with pid 1000 + n.
func started(name string, n int) store.Attempt {
	return store.Attempt{
		Number:         n,
		Instance:       instance(name, n),
		IntentAt:       now,
		Process:        new(process(1000 + n)),
		StartCommitted: now,
	}
}

// record is a record whose current attempt is n, started.
func record(name string, n int) *store.Record {
	return &store.Record{Name: name, LastAttempt: n, Attempts: []store.Attempt{started(name, n)}}
}

// exit is how started(name, n) ended.
func exit(name string, n, code int) *store.Exit {
	return &store.Exit{
		Instance: instance(name, n), Attempt: n, Process: process(1000 + n),
		ExitCode: new(code), Signal: new(0), Reason: "Exited", Source: subreaper.SourceWaitid,
		StartedAt: now, FinishedAt: now,
	}
}

// unknown is exit when nobody saw it.
func unknown(name string, n int) *store.Exit {
	e := exit(name, n, 0)
	e.ExitCode, e.Signal, e.Reason, e.Source = nil, nil, "HostRebooted", subreaper.SourceUnknown
	return e
}

func instance(name string, n int) string { return name + "." + strconv.Itoa(n) }

func commit(t testing.TB, db *store.DB, c store.Change) {
	t.Helper()
	if err := db.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// refuse commits what must fail with target.
func refuse(t testing.TB, db *store.DB, c store.Change, target error) {
	t.Helper()
	if err := db.Commit(t.Context(), c); !errors.Is(err, target) {
		t.Errorf("commit returned %v, want %v", err, target)
	}
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		g, _ := json.Marshal(got)
		w, _ := json.Marshal(want)
		t.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}

// must is the value of a call that must not fail.
func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
