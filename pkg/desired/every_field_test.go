package desired

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// fields are all fields of a manifest with a good value, as YAML, and values that are out of range.
var fields = map[string]struct {
	good string
	bad  []string
}{
	"apiVersion":                             {APIVersion, []string{"reconciler/v1", "''"}},
	"kind":                                   {Kind, []string{"Pod"}},
	"metadata.name":                          {"web", []string{"UP", "a.b", "''", "5"}},
	"metadata.labels":                        {"{a: b}", []string{"{a: 5}", "{'': x}"}},
	"metadata.annotations":                   {"{a: b}", []string{"{a: true}", "{a/b/c: x}"}},
	"spec.bundle":                            {"b", []string{"''", "5"}},
	"spec.state":                             {"Paused", []string{"paused", "Dead"}},
	"spec.restart.policy":                    {"Never", []string{"never"}},
	"spec.restart.maxRetries":                {"3", []string{"-1", "1000001", "1.5", "'3'"}},
	"spec.restart.backoff.initial":           {"1s", []string{"0s", "-1s", "5", "1y"}},
	"spec.restart.backoff.factor":            {"1.5", []string{"0.9", "1001", "x"}},
	"spec.restart.backoff.max":               {"6m", []string{"0s", "9000h"}},
	"spec.restart.backoff.resetAfter":        {"1m", []string{"0s", "soon"}},
	"spec.stop.signal":                       {"SIGINT", []string{"0", "65", "SIGNO"}},
	"spec.stop.gracePeriod":                  {"0s", []string{"-1s", "10"}},
	"spec.process.args":                      {"[a, b]", []string{"[]", "['']", "[a, 5]"}},
	"spec.process.env":                       {"{A: b, C: null}", []string{"{A: 5}", "{A=B: c}"}},
	"spec.process.cwd":                       {"/srv", []string{"srv", "5"}},
	"spec.process.terminal":                  {"false", []string{"'false'", "no"}},
	"spec.log.maxSize":                       {"10Mi", []string{"1Ki", "2Ti", "10MB"}},
	"spec.log.maxFiles":                      {"3", []string{"0", "1001"}},
	"spec.resources.memory.limit":            {"1", []string{"1Mi", "9223372036854775808", "1.5"}},
	"spec.resources.memory.disableOOMKiller": {"true", []string{"1"}},
	"spec.resources.cpu.shares":              {"1", []string{"-1", "18446744073709551616"}},
	"spec.resources.cpu.cpus":                {"0-1", []string{"0"}},
	"spec.resources.pids.limit":              {"1", []string{"x"}},
	"spec.resources.blockIO.weight":          {"1", []string{"65536"}},
	"spec.resources.unified":                 {"{a: b}", []string{"{a: 5}"}},
	"spec.resources.rdma":                    {"{a: {hcaHandles: 1}}", []string{"{a: 5}", "{a: {hcaHandles: -1}}"}},
	"spec.resources.devices":                 {"[{allow: true}]", []string{"[5]", "[{allow: 5}]"}},
	"spec.resources.hugepageLimits":          {"[{pageSize: a, limit: 1}]", []string{"[{limit: -1}]"}},
	"spec.resources.network.classID":         {"1", []string{"4294967296"}},
	"spec.resources.network.priorities":      {"[{name: a, priority: 1}]", []string{"[{priority: -1}]"}},
}

// manifestWith is a manifest of the required fields and of path with a value, in block style: each field has a line of its
// own. It returns where the key of path stands.
func manifestWith(path, value string, after ...string) (text string, line, column int) {
	values := map[string]string{"apiVersion": APIVersion, "kind": Kind, "metadata.name": "web", "spec.bundle": "b"}
	values[path] = value
	var lines, open []string
	for _, p := range slices.Sorted(maps.Keys(values)) {
		parts := strings.Split(p, ".")
		for i, part := range parts[:len(parts)-1] {
			if prefix := strings.Join(parts[:i+1], "."); !slices.Contains(open, prefix) {
				open = append(open, prefix)
				lines = append(lines, strings.Repeat("  ", i)+part+":")
			}
		}
		indent := strings.Repeat("  ", len(parts)-1)
		if p == path {
			line, column = len(lines)+1, len(indent)+1
		}
		lines = append(lines, indent+parts[len(parts)-1]+": "+values[p])
		if p == path {
			for _, a := range after {
				lines = append(lines, indent+a)
			}
		}
	}
	return strings.Join(lines, "\n") + "\n", line, column
}

// TestEveryField gives each field a good value, and a wrong type, values out of range, an unknown neighbour and a twin:
// each is one error with its place, its field and what to do.
func TestEveryField(t *testing.T) {
	for path, f := range fields {
		key := path[strings.LastIndex(path, ".")+1:]
		text, line, column := manifestWith(path, f.good)
		if _, errs := Parse("f.yaml", []byte(text), base); len(errs) > 0 {
			t.Errorf("%s: %s: %v", path, f.good, errs)
		}
		at := len(key) + 2 + column
		for _, bad := range append(f.bad, "!!binary aGk=", "&a x", "[[]]", "{{}: 5}", "") {
			text, _, _ := manifestWith(path, bad)
			errs := one(t, path, text)
			if errs == nil || errs.Line != line || errs.Column < column || !strings.HasPrefix(errs.Field, path) || errs.Message == "" {
				t.Errorf("%s: %q: got %v, want f.yaml:%d:%d: %s...", path, bad, errs, line, at, path)
			}
		}
		text, line, column = manifestWith(path, f.good, key+": "+f.good)
		if e := one(t, path, text); e == nil || e.Line != line+1 || e.Column != column || !strings.Contains(e.Message, fmt.Sprintf("line %d", line)) {
			t.Errorf("%s twice: %v", path, e)
		}
		text, line, column = manifestWith(path, f.good, "nonsense: 1")
		if e := one(t, path, text); e == nil || e.Line != line+1 || e.Column != column || !strings.Contains(e.Message, "unknown field") {
			t.Errorf("beside %s: %v", path, e)
		}
	}
}

// one is the only error of a manifest; nil if there are more, or none.
func one(t *testing.T, path, text string) *Error {
	t.Helper()
	_, errs := Parse("f.yaml", []byte(text), base)
	if len(errs) != 1 {
		t.Errorf("%s: %d errors: %v in\n%s", path, len(errs), errs, text)
		return nil
	}
	return errs[0].(*Error)
}

// TestNoFieldIsForgotten holds the table against the types.
func TestNoFieldIsForgotten(t *testing.T) {
	var walk func(prefix string, typ reflect.Type)
	walk = func(prefix string, typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			path := prefix + name
			if f.Type.Kind() == reflect.Struct {
				walk(path+".", f.Type)
			} else if _, there := fields[path]; !there && path != "spec.resources" {
				t.Errorf("%s is not in the table", path)
			}
		}
	}
	walk("spec.", reflect.TypeFor[Spec]())
}

// TestErrorsTellNoSecrets: who may read the errors of a manifest may not read the values of variables.
func TestErrorsTellNoSecrets(t *testing.T) {
	const marker = "4711"
	for _, value := range []string{marker, marker + ".5", "[" + marker + "]", "{a: " + marker + "}", "!!int " + marker, "!x " + marker,
		"&a " + marker, "*a" + marker, `"` + marker + `\0"`} {
		text, _, _ := manifestWith("spec.process.env", "{PIN: "+value+"}")
		_, errs := Parse("f.yaml", []byte(text), base)
		if len(errs) == 0 {
			t.Errorf("%s: no error", value)
		}
		for _, err := range errs {
			if strings.Contains(err.Error(), marker) {
				t.Errorf("%s: %v", value, err)
			}
		}
	}
}
