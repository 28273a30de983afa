package bundle

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What Derive does not own stays as it was, down to the digits: in the shapes of testdata, and in random trees.
func TestDeriveKeepsTheRest(t *testing.T) {
	inputs, err := filepath.Glob("testdata/derive/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, input := range inputs {
		config, err := os.ReadFile(input)
		if err != nil {
			t.Fatal(err)
		}
		checkKept(t, config)
	}
	rapid.Check(t, func(t *rapid.T) {
		config, err := json.Marshal(drawConfig(t))
		if err != nil {
			t.Fatal(err)
		}
		checkKept(t, config)
	})
}

func checkKept(t rapid.TB, config []byte) {
	derived, _, err := Derive(config, params())
	if err != nil {
		t.Fatalf("%v of\n%s", err, config)
	}
	if _, err := Inspect(derived); err != nil {
		t.Fatalf("%v of\n%s", err, derived)
	}
	before, err := parse(config)
	if err != nil {
		t.Fatal(err)
	}
	after, err := parse(derived)
	if err != nil {
		t.Fatal(err)
	}
	if owned(before.m, after.m); !reflect.DeepEqual(before.m, after.m) {
		t.Fatalf("before %v\nafter  %v", before.m, after.m)
	}
}

// owned removes from both what Derive sets, after a look that an instance has it; golden files hold the values.
func owned(before, after map[string]any) {
	process := func(m map[string]any) map[string]any { return m["process"].(map[string]any) }
	if process(before)["oomScoreAdj"] == nil {
		delete(process(before), "oomScoreAdj")
		delete(process(after), "oomScoreAdj")
	}
	for _, m := range []map[string]any{before, after} {
		delete(m["root"].(map[string]any), "path")
		mounts, _ := m["mounts"].([]any)
		for _, mount := range mounts {
			if mount := mount.(map[string]any); bound(mount) {
				delete(mount, "source")
			}
		}
		hooks, _ := m["hooks"].(map[string]any)
		for _, kind := range []string{"prestart", "createRuntime", "createContainer", "poststart", "poststop"} {
			list, _ := hooks[kind].([]any)
			for _, hook := range list {
				delete(hook.(map[string]any), "path")
			}
		}
		if linux, ok := m["linux"].(map[string]any); ok {
			delete(linux, "cgroupsPath")
			if seccomp, ok := linux["seccomp"].(map[string]any); ok {
				delete(seccomp, "listenerPath")
			}
		}
		annotations, _ := m["annotations"].(map[string]any)
		maps.DeleteFunc(annotations, func(key string, _ any) bool { return strings.HasPrefix(key, "dev.reconciler.") })
		for _, made := range []string{"linux", "annotations"} {
			if object, ok := m[made].(map[string]any); m[made] == nil || ok && len(object) == 0 {
				delete(m, made)
			}
		}
	}
}

func bound(mount map[string]any) bool {
	options, _ := mount["options"].([]any)
	return slices.Contains(options, any("bind")) || slices.Contains(options, any("rbind"))
}

// drawConfig is a valid core, with whatever else at every level of it.
func drawConfig(t *rapid.T) map[string]any {
	path := rapid.SampledFrom([]any{"rel", "./a", "../b", "/abs", "/abs/../c/", "ü 文"})
	maybe := func(m map[string]any, key string, value func() any) {
		if rapid.Bool().Draw(t, key) {
			m[key] = value()
		}
	}
	process := drawObject(t, map[string]any{"args": []any{"a", strings.ReplaceAll(drawText(t), "\x00", "")}, "cwd": "/"})
	maybe(process, "oomScoreAdj", func() any { return rapid.SampledFrom([]any{nil, json.Number("-5")}).Draw(t, "oomScoreAdj") })
	config := drawObject(t, map[string]any{
		"process": process,
		"root":    drawObject(t, map[string]any{"path": path.Draw(t, "root")}),
	})
	maybe(config, "mounts", func() any {
		return drawList(t, func() any {
			mount := drawObject(t, map[string]any{"source": path.Draw(t, "source")})
			maybe(mount, "type", func() any { return rapid.SampledFrom([]any{nil, "bind", "none", "tmpfs"}).Draw(t, "mount type") })
			maybe(mount, "options", func() any {
				return rapid.SampledFrom([]any{nil, []any{"ro", "rbind"}, []any{"bind"}, []any{}}).Draw(t, "list")
			})
			if mount["type"] == "bind" && !bound(mount) {
				mount["options"] = []any{"bind"} // else it is refused
			}
			return mount
		})
	})
	maybe(config, "hooks", func() any {
		hooks := drawObject(t, nil)
		for _, kind := range []string{"prestart", "createRuntime", "startContainer", "poststop"} {
			maybe(hooks, kind, func() any {
				return drawList(t, func() any { return drawObject(t, map[string]any{"path": path.Draw(t, "hook")}) })
			})
		}
		return hooks
	})
	maybe(config, "annotations", func() any { return drawObject(t, map[string]any{"dev.reconciler.name": "copied"}) })
	maybe(config, "linux", func() any {
		return drawObject(t, map[string]any{
			"namespaces": []any{drawObject(t, map[string]any{"type": "pid"})},
			"resources":  drawObject(t, map[string]any{"memory": drawObject(t, nil)}),
			"seccomp":    drawObject(t, nil),
		})
	})
	return config
}

// drawObject adds unknown fields to known ones. None can be a twin of a known one: no field of the runtime spec begins so.
func drawObject(t *rapid.T, known map[string]any) map[string]any {
	object := map[string]any{}
	for range rapid.IntRange(0, 2).Draw(t, "unknown fields") {
		object["~"+drawText(t)] = drawValue(t, 3)
	}
	maps.Copy(object, known)
	return object
}

func drawList(t *rapid.T, draw func() any) []any {
	list := []any{}
	for range rapid.IntRange(0, 3).Draw(t, "length") {
		list = append(list, draw())
	}
	return list
}

func drawValue(t *rapid.T, depth int) any {
	switch kind := rapid.IntRange(0, 5).Draw(t, "kind"); {
	case kind == 0:
		return nil
	case kind == 1:
		return rapid.Bool().Draw(t, "bool")
	case kind == 2:
		return drawText(t)
	case kind == 3 && depth > 0:
		return drawList(t, func() any { return drawValue(t, depth-1) })
	case kind == 4 && depth > 0:
		return map[string]any{drawText(t): drawValue(t, depth-1)}
	}
	number := rapid.StringMatching(`-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,10})?([eE][+-]?[0-9]{1,3})?`)
	return json.Number(number.Draw(t, "number"))
}

func drawText(t *rapid.T) string { return rapid.String().Draw(t, "text") }
