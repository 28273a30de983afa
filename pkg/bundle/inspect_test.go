package bundle

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestInspect(t *testing.T) {
	for name, want := range map[string]Facts{
		"runc-spec":  {PIDNamespace: Private, Root: "rootfs", Cwd: "/", Args: []string{"sh"}, Terminal: true},
		"host-pid":   {PIDNamespace: Shared, Root: "/srv/rootfs", Cwd: "/srv", Args: []string{"/bin/a", "b <&> c"}},
		"joined-pid": {PIDNamespace: Joined, PIDPath: "/proc/1/ns/pid", Root: "../shared/rootfs", Cwd: "/", Args: []string{"a"}},
		"hooks":      {PIDNamespace: Private, Hooks: true, Root: "rootfs", Cwd: "/", Args: []string{"a"}},
		"no-linux":   {PIDNamespace: Shared, Root: "rootfs", Cwd: "/", Args: []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := os.ReadFile(filepath.Join("testdata/derive", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			got, err := Inspect(config)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
			}
		})
	}
}

func TestInspectErrors(t *testing.T) {
	const root, process = `"root":{"path":"r"}`, `"process":{"args":["a"],"cwd":"/"}`
	namespaces := func(list string) string {
		return `{` + root + `,` + process + `,"linux":{"namespaces":[` + list + `]}}`
	}
	for _, c := range []struct{ name, config, want string }{
		{"nothing", "", "1:1: truncated: the JSON object does not end"},
		{"truncated", "{\n  \"root\": {\n    \"pa", "3:8: truncated: the JSON object does not end"},
		{"truncated in a number", `{"a": 1`, "1:8: truncated: the JSON object does not end"},
		{"syntax", "{\n \"é\": 1,\n \"b\": ]}", "3:7: invalid character ']' looking for beginning of value"},
		{"more", "{}\n x", "2:2: there is more after the end of the JSON object"},
		{"not UTF-8", "{\"\ufffd\": \"\xff\"}", "1:8: not UTF-8 text"},
		{"no object", "[]", "1:1: must be a JSON object, is a list"},
		{"null", "null", "1:1: must be a JSON object, is null"},
		{"too deep", strings.Repeat("[", 20_000), "1:10001: invalid character '[' exceeded max depth"},
		{"no process", `{` + root + `}`, " process: is missing: there is nothing to run"},
		{"process null", `{` + root + `,"process":null}`, " process: is missing: there is nothing to run"},
		{"process no object", `{` + root + `,"process":[]}`, " process: must be an object, is a list"},
		{"no root", `{` + process + `}`, " root.path: is missing: name the root file system, such as rootfs"},
		{"no root path", `{` + process + `,"root":{}}`, " root.path: is missing: name the root file system, such as rootfs"},
		{"root path", `{` + process + `,"root":{"path":3}}`, " root.path: must be a string, is a number"},
		{"root NUL", `{` + process + `,"root":{"path":"a\u0000"}}`, " root.path: must not hold a NUL character"},
		{"no args", `{` + root + `,"process":{"cwd":"/"}}`, " process.args: must not be empty: give the command to run"},
		{"args empty", `{` + root + `,"process":{"args":[],"cwd":"/"}}`, " process.args: must not be empty: give the command to run"},
		{"first arg empty", `{` + root + `,"process":{"args":[""],"cwd":"/"}}`, " process.args: must not be empty: give the command to run"},
		{"arg", `{` + root + `,"process":{"args":["a",1],"cwd":"/"}}`, " process.args[1]: must be a string, is a number"},
		{"arg NUL", `{` + root + `,"process":{"args":["a","\u0000"],"cwd":"/"}}`, " process.args[1]: must not hold a NUL character"},
		{"env", `{` + root + `,"process":{"args":["a"],"cwd":"/","env":[null]}}`, " process.env[0]: must be a string, is null"},
		{"cwd relative", `{` + root + `,"process":{"args":["a"],"cwd":"srv"}}`,
			` process.cwd: must be an absolute path in the container, is "srv"`},
		{"no cwd", `{` + root + `,"process":{"args":["a"]}}`, ` process.cwd: must be an absolute path in the container, is ""`},
		{"terminal", `{` + root + `,"process":{"args":["a"],"cwd":"/","terminal":"yes"}}`,
			" process.terminal: must be true or false, is a string"},
		{"two pid namespaces", namespaces(`{"type":"pid"},{"type":"pid","path":"/x"}`),
			" linux.namespaces[1]: is a second pid namespace: remove one"},
		{"namespace type", namespaces(`{"type":1}`), " linux.namespaces[0].type: must be a string, is a number"},
		{"hidden path", namespaces(`{"type":"pid","PATH":"/x"}`),
			" linux.namespaces[0].PATH: write it path: runtimes take it for the same field"},
		{"hidden hooks", `{` + root + `,` + process + `,"HOOKS":{"poststop":[1]}}`,
			" HOOKS: write it hooks: runtimes take it for the same field"},
		{"hooks no object", `{` + root + `,` + process + `,"hooks":[]}`, " hooks: must be an object, is a list"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Inspect([]byte(c.config))
			if err == nil || err.Error() != "config.json:"+c.want {
				t.Fatalf("got  %v\nwant config.json:%s", err, c.want)
			}
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Errorf("%T, not an *Error", err)
			}
		})
	}
}

// A kind of hooks that is damaged, or not known today, counts: a false "no hooks" would let two instances overlap.
func TestInspectHooks(t *testing.T) {
	for hooks, want := range map[string]bool{
		`{}`: false, `null`: false, `{"prestart":[]}`: false, `{"prestart":null}`: false,
		`{"prestart":[{}]}`: true, `{"future":[1]}`: true, `{"prestart":{}}`: true,
	} {
		f, err := Inspect([]byte(`{"root":{"path":"r"},"process":{"args":["a"],"cwd":"/"},"hooks":` + hooks + `}`))
		if err != nil || f.Hooks != want {
			t.Errorf("hooks %s: %v, %v", hooks, f.Hooks, err)
		}
	}
}
