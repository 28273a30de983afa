package bundle

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// checkResources refuses values of linux.resources that runtimes cannot read, which they would tell at each create anew,
// by the runtime spec's own Go types. Keys that those do not know are the runtime's business.
func (o object) checkResources() error {
	linux, _, err := o.object("linux")
	if err != nil {
		return err
	}
	resources, there, err := linux.object("resources")
	if err != nil || !there {
		return err
	}
	return checkType(resources.path, resources.m, reflect.TypeFor[specs.LinuxResources]())
}

// checkType holds a value against what encoding/json would decode it into.
func checkType(path string, v any, t reflect.Type) error {
	if v == nil {
		return nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return checkType(path, v, t.Elem())
	case reflect.Struct:
		m, ok := v.(map[string]any)
		if !ok {
			return wrong(path, "must be an object, is %s", kind(v))
		}
		return object{m, path}.checkFields(t)
	case reflect.Map:
		m, ok := v.(map[string]any)
		if !ok {
			return wrong(path, "must be an object, is %s", kind(v))
		}
		for key, item := range m {
			if err := checkType(path+"."+key, item, t.Elem()); err != nil {
				return err
			}
		}
		return nil
	case reflect.Slice:
		list, ok := v.([]any)
		if !ok {
			return wrong(path, "must be a list, is %s", kind(v))
		}
		for i, item := range list {
			if err := checkType(fmt.Sprintf("%s[%d]", path, i), item, t.Elem()); err != nil {
				return err
			}
		}
		return nil
	}
	return checkScalar(path, v, t)
}

func (o object) checkFields(t reflect.Type) error {
	for _, f := range reflect.VisibleFields(t) {
		if f.Anonymous {
			continue
		}
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		v, err := o.get(key)
		if err != nil {
			return err
		}
		if err := checkType(o.field(key), v, f.Type); err != nil {
			return err
		}
	}
	return nil
}

func checkScalar(path string, v any, t reflect.Type) error {
	want := "a whole number"
	switch t.Kind() {
	case reflect.Bool:
		want = "true or false"
	case reflect.String:
		want = "a string"
	}
	if n, ok := v.(json.Number); ok && want == "a whole number" {
		if json.Unmarshal([]byte(n), reflect.New(t).Interface()) != nil {
			return wrong(path, "must be a whole number that fits %s, is %.40s", t.Kind(), n)
		}
		return nil
	}
	if want != kind(v) {
		return wrong(path, "must be %s, is %s", want, kind(v))
	}
	return nil
}
