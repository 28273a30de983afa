package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// Whatever a bundle's config.json and a manifest's resources are: an error of one line about one of the two, or a config.json
// that passes Inspect, comes out of itself, and has lost no field of the user's.
func FuzzDerive(f *testing.F) {
	inputs, err := filepath.Glob("testdata/derive/*.json")
	if err != nil || len(inputs) == 0 {
		f.Fatal(inputs, err)
	}
	for _, input := range inputs {
		config, err := os.ReadFile(input)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(config, "KEEP", "v", "data", []byte(`{"memory":{"limit":1},"unified":null}`))
	}
	f.Add([]byte(`{"process":{"args":[]},"root":null}`), "A=B", "", "", []byte{})
	f.Add([]byte(`{"process":{"args":["a"],"cwd":"/"},"root":{"path":"r"}}`), "\xff", "", "", []byte("{}"))
	f.Add([]byte(`{"process":{"ARGS":["x"]}`), "", "\x00", "/", []byte(`{"a":{"b":[null]}}`))
	f.Add([]byte(`{"process":{"args":["x"],"cwd":"/"},"root":{"path":"r"},"PROCESS":null}`), "", "", "", []byte(`{"Memory":1}`))
	f.Add([]byte(`{"process":{"args":["x"],"cwd":"/"},"root":{"path":"r"},"n":1e999,"linux":{"resources":[]}}`), "", "", "", []byte(`[]`))
	f.Fuzz(func(t *testing.T, config []byte, key, value, arg string, resources []byte) {
		p := params()
		p.Resources = resources
		if key != "" && !strings.Contains(key, "=") { // no manifest names a variable so
			p.Process.Env = map[string]*string{key: &value}
		}
		if arg != "" {
			p.Process.Args = []string{arg}
		}
		derived, _, err := Derive(config, p)
		if err != nil {
			if strings.ContainsFunc(strings.ReplaceAll(err.Error(), "\n", ""), func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%q", err.Error())
			}
			if e, ok := errors.AsType[*Error](err); ok && e.Message == "" {
				t.Errorf("%+v", e)
			}
			return
		}
		if facts, err := Inspect(derived); err != nil || !filepath.IsAbs(facts.Root) {
			t.Errorf("inspected: %+v, %v", facts, err)
		}
		again, notices, err := Derive(derived, p)
		if err != nil || !bytes.Equal(again, derived) || len(notices) > 0 {
			t.Errorf("derived again: %v, notices %q:\n%s\n%s", err, notices, derived, again)
		}
		was, is := fields(t, config), fields(t, derived)
		for key, value := range was {
			switch key {
			case "process", "root", "mounts", "linux", "annotations", "hooks":
				if _, there := is[key]; !there && string(value) != "null" {
					t.Errorf("%s is lost", key)
				}
			default:
				if !bytes.Equal(compact(t, value), compact(t, is[key])) {
					t.Errorf("%s: %s became %s", key, value, is[key])
				}
			}
		}
	})
}

func fields(t *testing.T, config []byte) (m map[string]json.RawMessage) {
	t.Helper()
	if err := json.Unmarshal(config, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// compact is a value as one text: keys sorted, numbers as they are written.
func compact(t *testing.T, value []byte) []byte {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%q: %v", value, err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
