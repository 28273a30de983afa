package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

func (o object) resources(overrides json.RawMessage) error {
	if len(overrides) == 0 {
		return nil
	}
	patch, err := parse(overrides)
	if bad, ok := errors.AsType[*Error](err); ok { // it is about Params, and no Error of the config.json
		return fmt.Errorf("resources:%d:%d: %s", bad.Line, bad.Column, bad.Message)
	}
	linux, err := o.child("linux")
	if err != nil {
		return err
	}
	resources, err := linux.child("resources")
	if err != nil {
		return err
	}
	return resources.merge(object{patch.m, "resources"})
}

// merge applies a JSON Merge Patch, but refuses to make a twin, of which the runtime would take either.
func (o object) merge(patch object) error {
	for _, key := range slices.Sorted(maps.Keys(patch.m)) {
		if twin, found := o.twin(key); found {
			return fmt.Errorf("%s: write it %s, as %s of the bundle: runtimes take both for the same field",
				patch.field(key), twin, o.field(twin))
		}
		switch value := patch.m[key].(type) {
		case nil:
			delete(o.m, key)
		case map[string]any:
			own, ok := o.m[key].(map[string]any)
			if !ok { // merged all the same: its own nulls remove nothing, and must not stay
				own = map[string]any{}
				o.m[key] = own
			}
			if err := (object{own, o.field(key)}).merge(object{value, patch.field(key)}); err != nil {
				return err
			}
		default:
			o.m[key] = value
		}
	}
	return nil
}
