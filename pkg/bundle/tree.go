package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// object is a JSON object and the path of its field.
type object struct {
	m    map[string]any
	path string
}

// parse reads config.json into a tree in which numbers keep their text.
func parse(config []byte) (object, error) {
	if len(config) > MaxConfig {
		return object{}, malformed(config, 0, errTooLarge.Error())
	}
	if i := badUTF8(config); i >= 0 { // else it would silently become U+FFFD, in paths too
		return object{}, malformed(config, i, "not UTF-8 text")
	}
	d := json.NewDecoder(bytes.NewReader(config))
	d.UseNumber()
	var tree any
	err := d.Decode(&tree)
	if err == nil {
		end := d.InputOffset()
		if _, more := d.Token(); more != io.EOF {
			end += int64(len(config[end:]) - len(bytes.TrimLeft(config[end:], " \t\r\n")))
			return object{}, malformed(config, int(end), "there is more after the end of the JSON object")
		}
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return object{}, malformed(config, int(syntax.Offset)-1, syntax.Error())
	}
	if err != nil { // io.EOF and io.ErrUnexpectedEOF
		return object{}, malformed(config, len(config), "truncated: the JSON object does not end")
	}
	m, ok := tree.(map[string]any)
	if !ok {
		return object{}, malformed(config, 0, "must be a JSON object, is "+kind(tree))
	}
	return object{m, ""}, nil
}

// badUTF8 is the offset of the first byte that is no UTF-8, or -1.
func badUTF8(b []byte) int {
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// format does not indent: a small hostile config.json, deeply nested, would become gigabytes.
func (o object) format() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(o.m); err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	return b.Bytes(), nil
}

func (o object) field(key string) string {
	if o.path == "" {
		return key
	}
	return o.path + "." + key
}

// get is the value of a key, nil if it is absent or null. A key that differs by case only is refused: encoding/json, and
// so runc, would take it for the same field.
func (o object) get(key string) (any, error) {
	if twin, found := o.twin(key); found {
		return nil, wrong(o.field(twin), "write it %s: runtimes take it for the same field", key)
	}
	return o.m[key], nil
}

// twin is a key that differs from this one by case only.
func (o object) twin(key string) (twin string, found bool) {
	for other := range o.m {
		if other != key && strings.EqualFold(other, key) {
			return other, true
		}
	}
	return "", false
}

// as is get for a value of one type; the zero value if it is absent or null.
func as[T any](o object, key, want string) (v T, there bool, err error) {
	raw, err := o.get(key)
	if err != nil || raw == nil {
		return v, false, err
	}
	v, ok := raw.(T)
	if !ok {
		return v, false, wrong(o.field(key), "must be %s, is %s", want, kind(raw))
	}
	return v, true, nil
}

func (o object) object(key string) (object, bool, error) {
	m, there, err := as[map[string]any](o, key, "an object")
	return object{m, o.field(key)}, there, err
}

// child is object for a key that must be there after a patch.
func (o object) child(key string) (object, error) {
	child, there, err := o.object(key)
	if err == nil && !there {
		child.m = map[string]any{}
		o.m[key] = child.m
	}
	return child, err
}

func (o object) text(key string) (string, error) {
	s, _, err := as[string](o, key, "a string")
	if err == nil && strings.Contains(s, "\x00") {
		err = wrong(o.field(key), "must not hold a NUL character")
	}
	return s, err
}

// texts reads a list of strings.
func (o object) texts(key string) ([]string, error) {
	list, _, err := as[[]any](o, key, "a list")
	var texts []string
	for i, raw := range list {
		s, ok := raw.(string)
		switch {
		case !ok:
			return nil, wrong(fmt.Sprintf("%s[%d]", o.field(key), i), "must be a string, is %s", kind(raw))
		case strings.Contains(s, "\x00"):
			return nil, wrong(fmt.Sprintf("%s[%d]", o.field(key), i), "must not hold a NUL character")
		}
		texts = append(texts, s)
	}
	return texts, err
}

// objects reads a list of objects.
func (o object) objects(key string) ([]object, error) {
	list, _, err := as[[]any](o, key, "a list")
	var objects []object
	for i, raw := range list {
		path := fmt.Sprintf("%s[%d]", o.field(key), i)
		m, ok := raw.(map[string]any)
		if !ok {
			return nil, wrong(path, "must be an object, is %s", kind(raw))
		}
		objects = append(objects, object{m, path})
	}
	return objects, err
}

func (o object) setTexts(key string, texts []string) {
	list := make([]any, len(texts))
	for i, s := range texts {
		list[i] = s
	}
	o.m[key] = list
}

func kind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "true or false"
	case json.Number:
		return "a number"
	case string:
		return "a string"
	case []any:
		return "a list"
	}
	return "an object"
}
