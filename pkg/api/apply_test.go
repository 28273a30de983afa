package api

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/reconcile"
)

// full is a manifest with every field that has a form of its own.
const full = `
apiVersion: reconciler/v1alpha1
kind: Container
metadata: {name: app, labels: {tier: front}, annotations: {example.com/x: "1"}}
spec:
  bundle: /bundles/app
  state: Paused
  restart: {policy: OnFailure, backoff: {initial: 250ms, factor: 1.5, max: 1m30s, resetAfter: 2h}, maxRetries: 7}
  stop: {signal: RTMIN+3, gracePeriod: 0s}
  process: {args: [sh, -c, "a\tb"], env: {A: "1", B: null}, cwd: /tmp, terminal: false}
  resources: {memory: {limit: 123456789012345678}}
  log: {maxSize: 1Mi, maxFiles: 2}
`

func parsed(t *testing.T, manifest string) desired.Container {
	t.Helper()
	found, errs := desired.Parse("app.yaml", []byte(manifest), "/")
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return found[0]
}

// What is sent is what was written, to the last field.
func TestAManifestSurvivesTheWire(t *testing.T) {
	c := parsed(t, full)
	body, err := manifestJSON(c)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := parseManifest("app", body); err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("got %+v, %v\nwant %+v\nby %s", got, err, c, body)
	}
}

func TestApplyAndDelete(t *testing.T) {
	w := newWorld(t)
	w.want("web", nil)
	c := client(t, serve(t, w))
	app := parsed(t, full)
	for _, want := range []reconcile.Applied{reconcile.Created, reconcile.Unchanged} {
		if got, err := c.Apply(t.Context(), app); err != nil || got != (Applied{Result: want}) {
			t.Errorf("got %+v, %v, want %s", got, err, want)
		}
	}
	app.Spec.Bundle = "/bundles/broken"
	got, err := c.Apply(t.Context(), app)
	if err != nil || got.Result != reconcile.Configured || got.Problem != "config.json: broken" {
		t.Errorf("got %+v, %v", got, err)
	}
	if o, err := c.Container(t.Context(), "app"); err != nil || o.Metadata.Source != reconcile.APISource {
		t.Errorf("got %+v, %v", o, err)
	}
	if err := c.Delete(t.Context(), "app"); err != nil {
		t.Error(err)
	}
	if err := c.Delete(t.Context(), "app"); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted again: %v", err)
	}

	const owner = "belongs to the file web.yaml of the manifests directory: "
	app.Name = "web"
	if _, err := c.Apply(t.Context(), app); !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), owner+"edit that file") {
		t.Errorf("apply of a file's name: %v", err)
	}
	if err := c.Delete(t.Context(), "web"); !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), owner+"remove that file") {
		t.Errorf("delete of a file's name: %v", err)
	}
}

func TestApplyIsAsStrictAsAFile(t *testing.T) {
	w := newWorld(t)
	c := client(t, serve(t, w))
	const head = `{"apiVersion": "reconciler/v1alpha1", "kind": "Container", "metadata": {"name": "app"}, `
	for body, says := range map[string]string{
		head + `"spec": {"bundle": "b"}}`:                                                                          `spec.bundle: must be an absolute path, not "b"`,
		head + `"spec": {"bundle": "/b", "stat": "Running"}}`:                                                      "app.json:1:",
		head + `"spec": {"bundle": "/b"}} ` + head + `"spec": {}}`:                                                 "app.json:1:",
		strings.Replace(head, "app", "web", 1) + `"spec": {"bundle": "/b"}}`:                                       `the manifest is of "web", the path of "app"`,
		head + `"spec": {"bundle": "/b"}} ` + strings.Replace(head, "app", "web", 1) + `"spec": {"bundle": "/b"}}`: "one container a request",
		"":  "there is no Container in this file",
		"{": "app.json:1:",
		head + `"spec": {"bundle": "/` + strings.Repeat("x", desired.MaxFile) + `"}}`: "too large",
	} {
		_, err := askWith[Applied](t.Context(), c, http.MethodPut, "/v1/containers/app", []byte(body))
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%.200s: got %v, want %q", body, err, says)
		}
	}
	if list, err := c.Containers(t.Context()); err != nil || len(list.Items) > 0 {
		t.Errorf("it left %v, %v", list.Items, err)
	}
}
