package desired

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"
	"time"
)

const full = `# everything at once
apiVersion: reconciler/v1alpha1
kind: Container
metadata:
  name: web-1
  labels: {tier: front, app.kubernetes.io/name: "5", empty: ""}
  annotations:
    example.com/note: |
      two
      lines
    on: yes
    since: 2024-01-02
spec:
  bundle: ../bundles/web/
  state: Stopped
  restart:
    policy: OnFailure
    backoff: {initial: 250ms, factor: 1.5, max: 1h, resetAfter: 2m30s}
    maxRetries: 7
  stop: {signal: usr1, gracePeriod: 0s}
  process:
    args: [/bin/sh, -c, 'echo "$A"', ""]
    env: {A: "8080", GONE: null, ALSO: ~, EMPTY: "", on: no}
    cwd: /srv
    terminal: false
  resources:
    memory: {limit: 67108864, swap: null}
    cpu: {shares: 512, quota: -1, cpus: 0-1}
    pids: {limit: 9223372036854775807}
    unified: {memory.high: "1"}
    blockIO: {weightDevice: [{major: 8, minor: 0, weight: 500}]}
  log: {maxSize: 1G, maxFiles: 5}
---
# nothing
---
apiVersion: reconciler/v1alpha1
kind: Container
metadata: {name: plain}
spec: {bundle: /srv/bundles/../plain}
`

func fullContainers() []Container {
	web := Container{
		Name:        "web-1",
		Labels:      map[string]string{"tier": "front", "app.kubernetes.io/name": "5", "empty": ""},
		Annotations: map[string]string{"example.com/note": "two\nlines\n", "on": "yes", "since": "2024-01-02"},
		Spec: Spec{
			Bundle: "/etc/reconciler/bundles/web",
			State:  Stopped,
			Restart: Restart{Policy: OnFailure, MaxRetries: 7, Backoff: Backoff{
				Initial: Duration(250 * time.Millisecond), Factor: 1.5, Max: Duration(time.Hour), ResetAfter: Duration(150 * time.Second)}},
			Stop: Stop{Signal: "SIGUSR1"},
			Process: Process{
				Args:     []string{"/bin/sh", "-c", `echo "$A"`, ""},
				Env:      map[string]*string{"A": new("8080"), "GONE": nil, "ALSO": nil, "EMPTY": new(""), "on": new("no")},
				Cwd:      "/srv",
				Terminal: new(false),
			},
			Resources: json.RawMessage(`{"blockIO":{"weightDevice":[{"major":8,"minor":0,"weight":500}]},` +
				`"cpu":{"cpus":"0-1","quota":-1,"shares":512},"memory":{"limit":67108864,"swap":null},` +
				`"pids":{"limit":9223372036854775807},"unified":{"memory.high":"1"}}`),
			Log: Log{MaxSize: 1e9, MaxFiles: 5},
		},
	}
	// The defaults of the design, spelt out: a changed one is a changed promise.
	plain := Container{
		Name: "plain", Labels: map[string]string{}, Annotations: map[string]string{},
		Spec: Spec{
			Bundle: "/srv/plain",
			State:  "Running",
			Restart: Restart{Policy: "Always", MaxRetries: 0, Backoff: Backoff{
				Initial: Duration(100 * time.Millisecond), Factor: 2, Max: Duration(5 * time.Minute), ResetAfter: Duration(time.Minute)}},
			Stop: Stop{Signal: "SIGTERM", GracePeriod: Duration(10 * time.Second)},
			Log:  Log{MaxSize: 10 << 20, MaxFiles: 3},
		},
	}
	return []Container{web, plain}
}

const base = "/etc/reconciler/manifests"

func TestParse(t *testing.T) {
	for _, text := range []string{full, "\ufeff" + full} {
		got, errs := Parse("web.yaml", []byte(text), base)
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		if want := fullContainers(); !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
}

func TestParseWindowsLineEnds(t *testing.T) {
	got, errs := Parse("w.yml", []byte("apiVersion: reconciler/v1alpha1\r\nkind: Container\r\nmetadata:\r\n  name: w\r\nspec:\r\n  bundle: b\r\n"), "/m")
	if len(errs) > 0 || len(got) != 1 || got[0].Spec.Bundle != "/m/b" {
		t.Errorf("%+v, %v", got, errs)
	}
}

// A container's JSON, as shown by the API, is a manifest; JSON has escapes that no YAML parser reads.
func TestParseJSON(t *testing.T) {
	for _, want := range fullContainers() {
		got, errs := Parse("x.json", manifest(t, want), "/elsewhere")
		if len(errs) > 0 || len(got) != 1 || !reflect.DeepEqual(got[0], want) {
			t.Errorf("got  %+v, %v\nwant %+v", got, errs, want)
		}
	}
	const head = `{"apiVersion": "reconciler\/v1alpha1", "kind": "Container", "metadata": {"name": "`
	text := head + "a\"},\n\t\"spec\": {\"bundle\": \"\\ud83d\\ude00\"}}\nnull " + head + "b\"}, \"spec\": {\"bundle\": \"x\"}}"
	got, errs := Parse("x.json", []byte(text), "/m")
	if len(errs) > 0 || len(got) != 2 || got[0].Spec.Bundle != "/m/😀" || got[1].Name != "b" {
		t.Errorf("%+v, %v", got, errs)
	}
}

func manifest(t testing.TB, c Container) []byte {
	raw, err := json.Marshal(map[string]any{
		"apiVersion": APIVersion, "kind": Kind, "spec": c.Spec,
		"metadata": map[string]any{"name": c.Name, "labels": c.Labels, "annotations": c.Annotations},
	})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Every container of a file has a label map of its own, defaults included.
func TestParseSharesNothing(t *testing.T) {
	one, _ := Parse("a.yaml", []byte(full), base)
	two, _ := Parse("a.yaml", []byte(full), base)
	one[1].Labels["x"] = "y"
	if len(two[1].Labels) != 0 || len(one[0].Labels) != 3 {
		t.Error("label maps are shared")
	}
}

// The example of the design is a manifest.
func TestParseExample(t *testing.T) {
	text, err := os.ReadFile("testdata/example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, errs := Parse("example.yaml", text, base)
	if len(errs) > 0 || len(got) != 1 || got[0].Spec.Bundle != "/etc/reconciler/bundles/web" {
		t.Errorf("%+v, %v", got, errs)
	}
}
