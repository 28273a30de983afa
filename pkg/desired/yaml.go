package desired

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// yamlDocuments returns a function that gives the root node of the next document, and io.EOF after the last one.
func yamlDocuments(data []byte) func() (*yaml.Node, position, error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	return func() (*yaml.Node, position, error) {
		var doc yaml.Node
		if err := decode(d, &doc); err != nil {
			at, err := syntaxError(d, err)
			return nil, at, err
		}
		if len(doc.Content) != 1 {
			return nil, position{1, 1}, fmt.Errorf("not a document")
		}
		return doc.Content[0], position{}, nil
	}
}

// decode turns a panic into an error. The library panics with "please report" on states that it believes impossible; a
// manifest that reaches one may not end the daemon.
func decode(d *yaml.Decoder, doc *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: the parser gave up: %v", r)
		}
	}()
	return d.Decode(doc)
}

// syntaxError finds where a syntax error stands and says how it is mended. The library knows the exact place and tells a
// line, the wrong one for half of its errors: hence the look into its decoder. Should a later release be built
// otherwise, positions degrade to line 1, and a test says so.
func syntaxError(d *yaml.Decoder, err error) (position, error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		_, text, _ = strings.Cut(rest, ": ")
	}
	switch {
	case text == "EOF":
		return position{}, err // the end
	case strings.HasPrefix(text, "unknown anchor"):
		return mark(d, "event", "start_mark"), fmt.Errorf("%s", noAliases)
	}
	for _, known := range syntaxMends {
		if strings.HasPrefix(text, known.text) {
			return mark(d, "parser", known.at), fmt.Errorf("%s: %s", text, known.mend)
		}
	}
	return mark(d, "parser", "problem_mark"), fmt.Errorf("%s", text)
}

// syntaxMends is how the commonest mistakes read. Where the library notices a mistake long after it was made (an open
// quote at the end of the file), the start of the thing is the place to look at.
var syntaxMends = []struct{ text, at, mend string }{
	{"mapping values are not allowed", "problem_mark", `quote a value that holds ": ", or mend the indentation`},
	{"found a tab character", "problem_mark", "indent with spaces"},
	{"found character that cannot start any token", "problem_mark",
		"indent with spaces, and quote a value that starts with @, ` or %"},
	{"found unexpected end of stream", "context_mark", "the quote opened here is not closed"},
	{"could not find expected ':'", "context_mark", `a field is "name: value"`},
	{"did not find expected key", "problem_mark", "mend the indentation of this line"},
	{"did not find expected '-' indicator", "problem_mark", "mend the indentation of this line"},
	{"did not find expected ',' or", "context_mark", "close what is opened here, and put commas between its items"},
	{"found unknown escape character", "problem_mark", "double the backslash, or use single quotes"},
}

// mark reads a mark of the library's parser: the decoder's parser.event.<name> or parser.parser.<name>.
func mark(d *yaml.Decoder, of, name string) position {
	v := reflect.ValueOf(d)
	for _, field := range []string{"parser", of, name} {
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct {
			return position{1, 1}
		}
		v = v.FieldByName(field)
	}
	if v.Kind() != reflect.Struct {
		return position{1, 1}
	}
	line, column := v.FieldByName("line"), v.FieldByName("column")
	if !line.IsValid() || !line.CanInt() || !column.IsValid() || !column.CanInt() {
		return position{1, 1}
	}
	return position{int(line.Int()) + 1, int(column.Int()) + 1}
}
