package bundle

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// updatable are the fields of linux.resources that every runtime's update sets: runc from 1.1 and crun. All others are
// silently passed over by one or the other (runc's update.go, crun's linux.c). A name that ends in a dot stands for all
// below it.
var updatable = []string{
	"memory.limit", "memory.reservation", "memory.swap",
	"cpu.shares", "cpu.quota", "cpu.period", "cpu.realtimeRuntime", "cpu.realtimePeriod", "cpu.cpus", "cpu.mems",
	"pids.limit", "blockIO.weight", "unified.",
}

// UpdateResources is what a runtime's update needs to bring a running instance from one set of overrides of
// linux.resources to another, config being the config.json that both override. ok is false where an update cannot do it:
// a field differs that none sets, a bound is to go, or the zero is wanted that stands for "leave it alone" there.
func UpdateResources(config, from, to json.RawMessage) (request json.RawMessage, ok bool) {
	before, err1 := effective(config, from)
	after, err2 := effective(config, to)
	if err1 != nil || err2 != nil {
		return nil, false
	}
	changed := map[string]any{}
	was, is := leaves("", before), leaves("", after)
	for path := range was {
		if _, there := is[path]; !there {
			return nil, false
		}
	}
	for _, path := range slices.Sorted(maps.Keys(is)) {
		if reflect.DeepEqual(was[path], is[path]) {
			continue
		}
		can := slices.ContainsFunc(updatable, func(f string) bool {
			return path == f || strings.HasSuffix(f, ".") && strings.HasPrefix(path, f)
		})
		if n, number := is[path].(json.Number); !can || number && n == "0" {
			return nil, false
		}
		put(changed, path, is[path])
		if other := together[path]; is[other] != nil {
			put(changed, other, is[other])
		}
	}
	request, err := json.Marshal(changed)
	return request, err == nil
}

// together are fields of one file of cgroup v2: crun writes both when it is given one, the other as if it were not bound.
var together = map[string]string{
	"cpu.quota": "cpu.period", "cpu.period": "cpu.quota", "memory.limit": "memory.swap", "memory.swap": "memory.limit",
}

func put(changed map[string]any, path string, v any) {
	section, field, _ := strings.Cut(path, ".")
	inner, _ := changed[section].(map[string]any)
	if inner == nil {
		inner = map[string]any{}
		changed[section] = inner
	}
	inner[field] = v
}

// leaves are the values below a tree that are no objects, by section.field: deeper ones are one leaf.
func leaves(section string, tree map[string]any) map[string]any {
	all := map[string]any{}
	for key, v := range tree {
		if inner, ok := v.(map[string]any); ok && section == "" {
			maps.Copy(all, leaves(key+".", inner))
		} else {
			all[section+key] = v
		}
	}
	return all
}

// effective is linux.resources of a config.json with overrides laid over it.
func effective(config, overrides json.RawMessage) (map[string]any, error) {
	tree, err := parse(config)
	if err != nil {
		return nil, err
	}
	if err := tree.resources(overrides); err != nil {
		return nil, err
	}
	linux, _, err := tree.object("linux")
	if err != nil {
		return nil, err
	}
	resources, _, err := linux.object("resources")
	return resources.m, err
}
