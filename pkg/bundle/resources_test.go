package bundle

import (
	"encoding/json"
	"testing"
)

// The examples of RFC 7396, Appendix A, in which both are objects.
func TestMergeIsAJSONMergePatch(t *testing.T) {
	for _, c := range []struct{ original, patch, want string }{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`{"e":null}`, `{"a":1}`, `{"a":1,"e":null}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
	} {
		original, patch := mustParse(t, c.original), mustParse(t, c.patch)
		if err := original.merge(patch); err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(original.m); err != nil || string(got) != c.want {
			t.Errorf("%s with %s: %s, want %s; %v", c.original, c.patch, got, c.want, err)
		}
	}
}

func mustParse(t *testing.T, config string) object {
	t.Helper()
	o, err := parse([]byte(config))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestResourcesErrors(t *testing.T) {
	const mend = " of the bundle: runtimes take both for the same field"
	for _, c := range []struct{ resources, want string }{
		{`{"memory":`, "resources:1:11: truncated: the JSON object does not end"},
		{"{\n \"memory\": x}", "resources:2:12: invalid character 'x' looking for beginning of value"},
		{`[]`, "resources:1:1: must be a JSON object, is a list"},
		{`null`, "resources:1:1: must be a JSON object, is null"},
		{`{} {}`, "resources:1:4: there is more after the end of the JSON object"},
		{`{"Memory":{"limit":1}}`, "resources.Memory: write it memory, as linux.resources.memory" + mend},
		{`{"memory":{"LIMIT":null}}`, "resources.memory.LIMIT: write it limit, as linux.resources.memory.limit" + mend},
		{`{"pids":{"limit":1},"pid\u017f":{"limit":2}}`, "resources.pid\u017f: write it pids, as linux.resources.pids" + mend},
	} {
		p := params()
		p.Resources = json.RawMessage(c.resources)
		derived, _, err := Derive([]byte(`{"process":{"args":["a"],"cwd":"/"},"root":{"path":"r"},"linux":{"resources":{"memory":{"limit":1}}}}`), p)
		if err == nil || err.Error() != c.want || derived != nil {
			t.Errorf("%s: got %v\nwant %s", c.resources, err, c.want)
		}
	}
}
