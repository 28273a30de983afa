package desired

import (
	"iter"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

const noAliases = "anchors, aliases and merge keys are not supported: write the value out"

// value is a node of a manifest, and the path of the field that it stands for.
type value struct {
	*yaml.Node
	path string
	p    *parsing
}

func (v value) fail(format string, args ...any) {
	v.p.failAt(position{v.Line, v.Column}, v.path, format, args...)
}

// child is the value of one key; path quotes a key that would make a path ambiguous.
func (v value) child(key string, n *yaml.Node) value {
	path := key
	if key == "" || strings.ContainsFunc(key, func(c rune) bool { return !letterOrDigit(c) && c != '-' && c != '_' }) ||
		key != short(key) {
		path = "[" + quote(key) + "]"
	} else if v.path != "" {
		path = "." + key
	}
	return value{n, v.path + path, v.p}
}

// plain reports whether v means what stands there and nothing else, and tells it if not.
func (v value) plain() bool {
	switch {
	case v.Kind == yaml.AliasNode, v.Anchor != "":
		v.fail("%s", noAliases)
	case v.Style&yaml.TaggedStyle != 0:
		v.fail("tags such as %s are not supported: write a plain value", quote(v.Tag))
	default:
		return true
	}
	return false
}

// is reports whether v is plain and of that kind, and tells it if not.
func (v value) is(kind yaml.Kind) bool {
	switch {
	case !v.plain():
	case v.Kind == kind:
		return true
	case v.Tag == "!!null":
		v.fail("has no value: give it one, or remove the line")
	default:
		v.fail("must be %s, not %s", kindName(kind), kindName(v.Kind))
	}
	return false
}

func kindName(kind yaml.Kind) string {
	switch kind {
	case yaml.MappingNode:
		return "a mapping (key: value)"
	case yaml.SequenceNode:
		return "a list"
	}
	return "a single value"
}

// pairs yields the keys and values of v, a mapping. A key has the path of its value. What is no string, and what was there
// before, is told and left out.
func (v value) pairs() iter.Seq2[value, value] {
	return func(yield func(key, item value) bool) {
		lines := map[string]int{}
		for pair := range slices.Chunk(v.Content, 2) {
			key := v.child(pair[0].Value, pair[0])
			if !key.usable() {
				continue
			}
			if line, twice := lines[key.Value]; twice {
				key.fail("given twice, first on line %d: remove one", line)
				continue
			}
			lines[key.Value] = key.Line
			if !yield(key, v.child(key.Value, pair[1])) {
				return
			}
		}
	}
}

// usable reports whether v can be a key.
func (v value) usable() bool {
	switch {
	case v.Kind != yaml.ScalarNode:
		v.path = strings.TrimSuffix(v.path, `[""]`)
		v.fail("a key must be a single value: put braces and brackets in quotes")
	case v.Tag == "!!merge":
		v.fail("%s", noAliases)
	case !v.plain():
	case v.Tag != "!!str" && v.Tag != "!!timestamp":
		v.fail("a key must be a string: write %s", quote(v.Value))
	default:
		return true
	}
	return false
}

// field is one field of a mapping that has a fixed set of them.
type field struct {
	name string
	read func(value)
	need string // what to write when the field is missing; empty if it may be
}

// fields reads a mapping of known fields.
func (v value) fields(known ...field) {
	if !v.is(yaml.MappingNode) {
		return
	}
	var names []string
	for _, f := range known {
		names = append(names, f.name)
	}
	given := map[string]bool{}
	for key, item := range v.pairs() {
		i := slices.Index(names, key.Value)
		if i < 0 {
			given[key.unknown(names)] = true
			continue
		}
		given[key.Value] = true
		known[i].read(item)
	}
	for _, f := range known {
		if f.need != "" && !given[f.name] {
			v.child(f.name, v.Node).fail("is missing: %s", f.need)
		}
	}
}

// unknown tells an unknown field, and returns the one that was probably meant: it is not missing as well.
func (v value) unknown(names []string) string {
	near := suggest(v.Value, names)
	if near != "" {
		v.fail("unknown field: did you mean %s?", near)
	} else {
		v.fail("unknown field: there are %s", strings.Join(names, ", "))
	}
	return near
}
