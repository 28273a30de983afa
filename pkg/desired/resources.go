package desired

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"go.yaml.in/yaml/v3"
)

// resources reads overrides of linux.resources. What may stand there is the runtime spec's own Go type, so that a newer
// runtime-spec module is a newer manifest; null takes a field of the bundle's away. The result is canonical JSON, nil for
// an empty mapping, which overrides nothing.
func (v value) resources() json.RawMessage {
	if !v.is(yaml.MappingNode) {
		return nil
	}
	failed := len(v.p.errs)
	tree := v.as(reflect.TypeFor[specs.LinuxResources]())
	if len(v.p.errs) > failed || len(v.Content) == 0 {
		return nil
	}
	raw, err := json.Marshal(tree) // sorts keys
	if err != nil {
		v.fail("%s", err)
	}
	return raw
}

// as reads what encoding/json would decode into a value of type t, strictly.
func (v value) as(t reflect.Type) any {
	switch t.Kind() {
	case reflect.Pointer:
		return v.as(t.Elem())
	case reflect.Struct:
		return v.object(jsonFields(t))
	case reflect.Map:
		m := map[string]any{}
		if v.is(yaml.MappingNode) {
			for key, item := range v.pairs() {
				m[key.Value] = item.orNull(t.Elem())
			}
		}
		return m
	case reflect.Slice:
		list := []any{}
		if v.is(yaml.SequenceNode) {
			for i, n := range v.Content {
				list = append(list, value{n, v.path + "[" + strconv.Itoa(i) + "]", v.p}.as(t.Elem()))
			}
		}
		return list
	case reflect.Bool:
		b, _ := v.boolean()
		return b
	case reflect.String:
		s, _ := v.text()
		return s
	}
	return v.number(t)
}

func (v value) object(types map[string]reflect.Type, names []string) any {
	m := map[string]any{}
	var known []field
	for _, name := range names {
		known = append(known, field{name, func(v value) { m[name] = v.orNull(types[name]) }, ""})
	}
	v.fields(known...)
	return m
}

func (v value) orNull(t reflect.Type) any {
	if !empty(v.Node) {
		return v.as(t)
	}
	if v.Value == "" { // forgotten, most likely: it must not lift a bound
		v.fail("has no value: give it one, remove the line, or write null to take the bundle's own away")
	}
	return nil
}

// number reads a whole number that fits t. Sizes are bytes here, as in config.json.
func (v value) number(t reflect.Type) any {
	if !v.is(yaml.ScalarNode) {
		return nil
	}
	quoted := v.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0
	if !quoted && decimal(strings.TrimPrefix(v.Value, "-")) {
		x := reflect.New(t)
		if err := json.Unmarshal([]byte(v.Value), x.Interface()); err == nil && v.Value != "-0" {
			return json.Number(v.Value)
		}
		v.fail("%s is out of range (%s)", short(v.Value), t.Kind())
		return nil
	}
	if n, ok := parseSize(v.Value); ok {
		v.fail("must be a plain whole number, as in config.json: write %d", n)
		return nil
	}
	v.fail("must be a whole number in plain decimal, without quotes and leading zeros, not %s", quote(v.Value))
	return nil
}

// jsonFields are the fields of a struct as encoding/json sees them, those of embedded structs included, in order.
func jsonFields(t reflect.Type) (types map[string]reflect.Type, names []string) {
	types = map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		if f.Anonymous {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		types[name] = f.Type
		names = append(names, name)
	}
	return types, names
}
