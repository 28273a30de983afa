package bundle

import "testing"

// What no runtime can read is one error by field; what may be is left alone.
func TestTypesOfResources(t *testing.T) {
	for resources, want := range map[string]string{
		`[]`:                                           ": must be an object, is a list",
		`{"memory":[]}`:                                ".memory: must be an object, is a list",
		`{"memory":{"limit":"64M"}}`:                   ".memory.limit: must be a whole number, is a string",
		`{"memory":{"limit":1.5}}`:                     ".memory.limit: must be a whole number that fits int64, is 1.5",
		`{"memory":{"limit":1e3}}`:                     ".memory.limit: must be a whole number that fits int64, is 1e3",
		`{"memory":{"Limit":1}}`:                       ".memory.Limit: write it limit: runtimes take it for the same field",
		`{"memory":{"disableOOMKiller":1}}`:            ".memory.disableOOMKiller: must be true or false, is a number",
		`{"cpu":{"shares":-1}}`:                        ".cpu.shares: must be a whole number that fits uint64, is -1",
		`{"cpu":{"cpus":3}}`:                           ".cpu.cpus: must be a string, is a number",
		`{"devices":{}}`:                               ".devices: must be a list, is an object",
		`{"devices":[{},{"allow":"yes"}]}`:             ".devices[1].allow: must be true or false, is a string",
		`{"hugepageLimits":[{"pageSize":2}]}`:          ".hugepageLimits[0].pageSize: must be a string, is a number",
		`{"unified":{"memory.high":5}}`:                ".unified.memory.high: must be a string, is a number",
		`{"rdma":{"mlx5_1":3}}`:                        ".rdma.mlx5_1: must be an object, is a number",
		`{"blockIO":{"weightDevice":[{"major":"8"}]}}`: ".blockIO.weightDevice[0].major: must be a whole number, is a string",

		`{}`:   "",
		`null`: "",
		`{"memory":null,"devices":null,"pids":{"limit":null}}`:                                                 "",
		`{"memory":{"limit":-1,"future":"x"},"future":[1],"cpu":{"cpus":"0-1","shares":18446744073709551615}}`: "",
	} {
		_, err := Inspect([]byte(`{"process":{"args":["a"],"cwd":"/"},"root":{"path":"r"},"linux":{"resources":` + resources + `}}`))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if want != "" {
			want = "config.json: linux.resources" + want
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", resources, got, want)
		}
	}
}
