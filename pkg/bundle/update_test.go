package bundle

import (
	"encoding/json"
	"testing"
)

func TestUpdateResources(t *testing.T) {
	const config = `{"linux": {"resources": {"memory": {"limit": 100, "swap": 9223372036854771712}, "cpu": {"shares": 10},
		"devices": [{"allow": false, "access": "rwm"}]}}}`
	for _, c := range []struct{ name, from, to, want string }{
		{"a bound set", ``, `{"pids": {"limit": 7}}`, `{"pids":{"limit":7}}`},
		{"one changed", `{"pids": {"limit": 7}}`, `{"pids": {"limit": 8}, "cpu": {"cpus": "0-1"}}`, `{"cpu":{"cpus":"0-1"},"pids":{"limit":8}}`},
		{"the bundle's own comes back", `{"memory": {"limit": 7}}`, ``, `{"memory":{"limit":100,"swap":9223372036854771712}}`},
		{"nothing differs", `{"memory": {"limit": 100}}`, ``, `{}`},
		{"period goes with quota", `{"cpu": {"quota": 1, "period": 2}}`, `{"cpu": {"quota": 1, "period": 3}}`, `{"cpu":{"period":3,"quota":1}}`},
		{"big numbers", ``, `{"memory": {"limit": 9223372036854771712}}`, `{"memory":{"limit":9223372036854771712,"swap":9223372036854771712}}`},
		{"unified", `{"unified": {"memory.high": "1"}}`, `{"unified": {"memory.high": "2"}}`, `{"unified":{"memory.high":"2"}}`},
		{"a bound goes", `{"pids": {"limit": 7}}`, ``, ""},
		{"the bundle's own bound goes", ``, `{"memory": {"limit": null}}`, ""},
		{"no runtime sets it", ``, `{"network": {"classID": 1}}`, ""},
		{"devices", ``, `{"devices": []}`, ""},
		{"zero is to leave alone", ``, `{"cpu": {"shares": 0}}`, ""},
		{"another bound goes with it", `{"pids": {"limit": 7}}`, `{"memory": {"limit": 8}}`, ""},
	} {
		got, ok := UpdateResources(json.RawMessage(config), raw(c.from), raw(c.to))
		if ok != (c.want != "") || ok && string(got) != c.want {
			t.Errorf("%s: got %s, %v", c.name, got, ok)
		}
	}
	if _, ok := UpdateResources(json.RawMessage(`{"linux": 3}`), nil, raw(`{"pids": {"limit": 7}}`)); ok {
		t.Error("of a config.json that cannot be read")
	}
}

func raw(s string) json.RawMessage {
	if s == "" {
		return nil
	}
	return json.RawMessage(s)
}
