package desired

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

const config = `{"ociVersion":"1.0.2","process":{"args":["a"]},"n":[1,1.0,18446744073709551617,null,true,"x"]}`

func hashed(t *testing.T, edit func(*Container), config string) string {
	t.Helper()
	c := defaults()
	c.Name, c.Spec.Bundle = "web", "/srv/bundles/web"
	if edit != nil {
		edit(&c)
	}
	h, err := Hash(c, []byte(config))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// A hash that changes with a version of this program would replace every running container at an upgrade. Never edit a
// line of the golden file; add some.
func TestHashGolden(t *testing.T) {
	plain := hashed(t, nil, config)
	lines := []string{
		"plain " + plain,
		"args " + hashed(t, func(c *Container) { c.Spec.Process.Args = []string{"a", "b c", "é<&>\u2028\b"} }, config),
		"env " + hashed(t, func(c *Container) { c.Spec.Process.Env = map[string]*string{"A": new("1"), "B": nil, "C": new("")} }, config),
		"cwd " + hashed(t, func(c *Container) { c.Spec.Process.Cwd = "/srv" }, config),
		"terminal " + hashed(t, func(c *Container) { c.Spec.Process.Terminal = new(false) }, config),
		"bundle " + hashed(t, func(c *Container) { c.Spec.Bundle = "/other" }, config),
		"empty " + hashed(t, nil, "{}"),
		"restarts=0 " + WithRestarts(plain, 0),
		"restarts=1 " + WithRestarts(plain, 1),
		"restarts=2 " + WithRestarts(plain, 2),
	}
	got := strings.Join(lines, "\n") + "\n"
	const file = "testdata/hash.golden"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	seen := map[string]string{}
	for _, line := range lines {
		what, h, _ := strings.Cut(line, " ")
		if other, twice := seen[h]; twice && what != "restarts=0" {
			t.Errorf("%s and %s have one hash", what, other)
		}
		seen[h] = what
	}
}

func TestHashIgnores(t *testing.T) {
	plain := hashed(t, nil, config)
	for name, got := range map[string]string{
		"defaults and what is in force at once": hashed(t, func(c *Container) {
			c.Name, c.Labels, c.Spec.Restart, c.Spec.Stop, c.Spec.State = "x", map[string]string{"a": "b"}, Restart{}, Stop{}, Stopped
		}, config),
		"an empty map":  hashed(t, func(c *Container) { c.Spec.Process.Env = map[string]*string{} }, config),
		"an empty list": hashed(t, func(c *Container) { c.Spec.Process.Args = []string{} }, config),
		"layout and order": hashed(t, nil,
			"{\"n\": [1, 1.0, 18446744073709551617, null, true, \"\\u0078\"],\n\t\"process\": {\"args\": [\"a\"]}, \"ociVersion\": \"1.0.2\"}\n"),
	} {
		if got != plain {
			t.Errorf("%s changes the hash", name)
		}
	}
}

func TestHashTells(t *testing.T) {
	seen := map[string]string{}
	for _, c := range []string{
		`{}`, `[]`, `null`, `{"a":1}`, `{"a":1.0}`, `{"a":"1"}`, `{"a":18446744073709551617}`, `{"a":18446744073709551616}`,
		`{"a":null}`, `{"a":[]}`, `{"a":{}}`, `{"a":""}`, `{"a":"b","c":"d"}`, `{"a":"bc","":"d"}`, `{"a":["b"],"c":[]}`, `{"a":["b",{"c":[]}]}`,
		`{"A":1}`, `{"a":true}`, `{"a":false}`,
	} {
		h := hashed(t, nil, c)
		if other := seen[h]; other != "" {
			t.Errorf("%s and %s have one hash", c, other)
		}
		seen[h] = c
	}
}

// What the store gives back must hash as what was put in.
func TestHashSurvivesJSON(t *testing.T) {
	c := Container{Name: "x", Spec: Spec{Bundle: "/b", Process: Process{
		Args: []string{"a"}, Env: map[string]*string{"A": nil, "B": new("")}, Terminal: new(true)}}}
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back Container
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	one, err1 := Hash(c, []byte(config))
	two, err2 := Hash(back, []byte(config))
	if one != two || err1 != nil || err2 != nil {
		t.Errorf("%s, %v; %s, %v", one, err1, two, err2)
	}
}

func TestHashErrors(t *testing.T) {
	for _, config := range []string{"", "{", "{} {}", "{}x", "nul"} {
		if h, err := Hash(Container{}, []byte(config)); err == nil || h != "" || !strings.HasPrefix(err.Error(), "config.json: ") {
			t.Errorf("%q: %q, %v", config, h, err)
		}
	}
}

func ExampleWithRestarts() {
	fmt.Println(WithRestarts("abc", 0))
	// Output: abc
}
