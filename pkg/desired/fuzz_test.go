package desired

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode"
)

// Whatever a file holds: one line an error, with a position; or containers that are valid and survive being written as a
// manifest.
func FuzzParse(f *testing.F) {
	f.Add(full, false)
	for _, c := range parseErrors {
		if len(c.text) <= 4096 { // the rest only slows the fuzzer down
			f.Add(c.text, false)
		}
	}
	for _, c := range fullContainers() {
		f.Add(string(manifest(f, c)), true)
	}
	examples, err := filepath.Glob("../../examples/manifests/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range append(examples, "testdata/example.yaml") {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text), false)
	}
	f.Fuzz(func(t *testing.T, text string, asJSON bool) {
		file := "m.yaml"
		if asJSON {
			file = "m.json"
		}
		containers, errs := Parse(file, []byte(text), base)
		if (len(containers) > 0) == (len(errs) > 0) {
			t.Fatalf("%d containers, errors %v", len(containers), errs)
		}
		lines := strings.Count(text, "\n") + strings.Count(text, "\r") + strings.Count(text, "\u0085") +
			strings.Count(text, "\u2028") + strings.Count(text, "\u2029") + 1
		for _, err := range errs {
			e := err.(*Error)
			if e.Line < 1 && len(text) <= MaxFile || e.Line > lines || e.Column < 1 || e.Message == "" {
				t.Errorf("%+v in %d lines", e, lines)
			}
			if strings.ContainsFunc(e.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%q", e.Error())
			}
		}
		names := map[string]bool{}
		for _, c := range containers {
			if !ValidName(c.Name) || names[c.Name] || !filepath.IsAbs(c.Spec.Bundle) {
				t.Errorf("%+v", c)
			}
			names[c.Name] = true
			back, errs := Parse("m.json", manifest(t, c), "/elsewhere")
			if len(errs) > 0 || !reflect.DeepEqual(normal(back[0]), normal(c)) {
				t.Errorf("%+v\ncame back as %+v, %v", c, back, errs)
			}
			if _, err := Hash(c, []byte("{}")); err != nil {
				t.Error(err)
			}
		}
	})
}

// normal has no empty map where JSON leaves the field out.
func normal(c Container) Container {
	if len(c.Spec.Process.Env) == 0 {
		c.Spec.Process.Env = nil
	}
	return c
}
