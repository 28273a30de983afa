package bundle

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

var update = flag.Bool("update", false, "write the golden files anew")

func params() Params {
	return Params{
		Bundle: "/srv/bundles/web", Instance: "web.3", Name: "web", CgroupPath: "/reconciler/web.3",
		Annotations: map[string]string{AnnotationGeneration: "2", AnnotationSpecHash: "abc"},
	}
}

// shapes are the files in testdata/derive that need more than params.
var shapes = map[string]func(*Params){
	"process": func(p *Params) {
		p.Process = Process{
			Args: []string{"new", ""}, Cwd: "/new", Terminal: new(false),
			Env: map[string]*string{"GONE": nil, "CHANGED": new("c=d"), "ZZ": new("z"), "ADDED": new(""), "ABSENT": nil},
		}
	},
	"resources": func(p *Params) {
		p.Resources = json.RawMessage(`{"memory": {"limit": 9007199254740993, "swap": null, "reservation": 1000000},
			"cpu": {"quota": 50000, "absent": null}, "devices": [{"allow": true, "access": "r"}], "pids": null,
			"hugepageLimits": [], "future": {"deep": {"gone": null, "exact": [1.10, 1e6]}}, "network": {"classID": 2}, "blockIO": {"weight": 10}}`)
	},
	"no-linux-resources": func(p *Params) { p.Resources = json.RawMessage(`{"memory": {"limit": 67108864}}`) },
	"host-pid":           func(p *Params) { p.OOMScoreAdj = 500 },
	"hooks":              func(p *Params) { p.OOMScoreAdj = 500 },
}

func TestDeriveGolden(t *testing.T) {
	inputs, err := filepath.Glob("testdata/derive/*.json")
	if err != nil || len(inputs) < 18 {
		t.Fatalf("inputs %v: %v", inputs, err)
	}
	for _, input := range inputs {
		name := strings.TrimSuffix(filepath.Base(input), ".json")
		t.Run(name, func(t *testing.T) {
			config, err := os.ReadFile(input)
			if err != nil {
				t.Fatal(err)
			}
			p := params()
			if adapt := shapes[name]; adapt != nil {
				adapt(&p)
			}
			derived, notices, err := Derive(config, p)
			if err != nil {
				t.Fatal(err)
			}
			var readable bytes.Buffer
			if err := json.Indent(&readable, derived, "", "  "); err != nil {
				t.Fatal(err)
			}
			readable.WriteString(strings.Join(notices, "\n"))
			golden(t, strings.TrimSuffix(input, ".json")+".golden", readable.Bytes())
			again, notices, err := Derive(derived, p)
			if err != nil || !bytes.Equal(again, derived) || len(notices) > 0 {
				t.Errorf("derived again: %v, notices %q:\n%s", err, notices, again)
			}
			if facts, err := Inspect(derived); err != nil || !filepath.IsAbs(facts.Root) {
				t.Errorf("inspected: %+v, %v", facts, err)
			}
			var spec specs.Spec
			if err := json.Unmarshal(derived, &spec); err != nil {
				t.Errorf("as a runtime reads it: %v", err)
			} else if spec.Linux.CgroupsPath != p.CgroupPath || spec.Process.OOMScoreAdj == nil {
				t.Errorf("as a runtime reads it: cgroup %q, oomScoreAdj %v", spec.Linux.CgroupsPath, spec.Process.OOMScoreAdj)
			}
		})
	}
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}

func TestDeriveErrors(t *testing.T) {
	const rest = `"process":{"args":["a"],"cwd":"/"},"root":{"path":"r"}`
	for _, c := range []struct{ name, config, want string }{
		{"bind without option", `{` + rest + `,"mounts":[{"type":"bind","source":"data","options":["ro"]}]}`,
			"config.json: mounts[0].options: must have bind or rbind: runtimes refuse a mount of type bind without one"},
		{"bind without source", `{` + rest + `,"mounts":[{"type":"bind","options":["bind"]}]}`, "config.json: mounts[0].source: is missing: a bind mount needs one"},
		{"mounts no list", `{` + rest + `,"mounts":{}}`, "config.json: mounts: must be a list, is an object"},
		{"mount no object", `{` + rest + `,"mounts":[3]}`, "config.json: mounts[0]: must be an object, is a number"},
		{"annotations", `{` + rest + `,"annotations":[]}`, "config.json: annotations: must be an object, is a list"},
		{"evil twin", `{` + rest + `,"linux":{"cgroupspath":"/x"}}`,
			"config.json: linux.cgroupspath: write it cgroupsPath: runtimes take it for the same field"},
		{"evil twin by Unicode folding", `{` + rest + `,"linux":{"cgroup\u017fPath":"/x"}}`,
			"config.json: linux.cgroupſPath: write it cgroupsPath: runtimes take it for the same field"},
		{"evil section", `{` + rest + `,"Linux":{}}`, "config.json: Linux: write it linux: runtimes take it for the same field"},
		{"evil source", `{` + rest + `,"mounts":[{"options":["bind"],"source":"/a","Source":"b"}]}`,
			"config.json: mounts[0].Source: write it source: runtimes take it for the same field"},
		{"oomScoreAdj", `{"process":{"args":["a"],"cwd":"/","oomScoreAdj":"1"},"root":{"path":"r"}}`,
			"config.json: process.oomScoreAdj: must be a number, is a string"},
	} {
		t.Run(c.name, func(t *testing.T) {
			derived, _, err := Derive([]byte(c.config), params())
			if err == nil || err.Error() != c.want || derived != nil {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
	for _, p := range []Params{
		{Bundle: "/x", CgroupPath: "/x", Resources: json.RawMessage("\xff")},
		{Bundle: "rel", CgroupPath: "/x"}, {Bundle: "/x", CgroupPath: "rel"}, {Bundle: "/\xff", CgroupPath: "/x"},
		{Bundle: "/x", CgroupPath: "/x", Process: Process{Env: map[string]*string{"A": new("\xff")}}},
	} {
		if _, _, err := Derive([]byte(`{`+rest+`}`), p); err == nil {
			t.Errorf("accepted: %+v", p)
		}
	}
}

// An override may be what makes a bundle runnable.
func TestDeriveCompletesTheProcess(t *testing.T) {
	p := params()
	p.Process = Process{Args: []string{"x"}, Cwd: "/"}
	derived, _, err := Derive([]byte(`{"process":{},"root":{"path":"r"}}`), p)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Inspect(derived)
	if err != nil || f.Root != "/srv/bundles/web/r" || f.Cwd != "/" || !slices.Equal(f.Args, []string{"x"}) {
		t.Errorf("%+v, %v", f, err)
	}
}

// A derived file that is larger than what is read would be no config.json: a hostile one must not grow beyond measure.
func TestDeriveDoesNotGrow(t *testing.T) {
	const core = `{"process":{"args":["a"],"cwd":"/"},"root":{"path":"r"},"x":`
	deep := core + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}"
	if derived, _, err := Derive([]byte(deep), params()); err != nil || len(derived) > 2*len(deep) {
		t.Errorf("%d bytes of %d, %v", len(derived), len(deep), err)
	}
	longer := core + `"` + strings.Repeat("\u2028", MaxConfig/4) + `"}` // which encoding/json writes as \u2028
	want := "config.json:1:1: is larger than 4 MiB with what an instance adds"
	if derived, _, err := Derive([]byte(longer), params()); err == nil || err.Error() != want || derived != nil {
		t.Errorf("%d bytes, got %v\nwant %s", len(derived), err, want)
	}
}
