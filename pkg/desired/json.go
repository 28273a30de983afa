package desired

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxDepth bounds the nesting of a JSON document; a manifest needs five levels.
const maxDepth = 100

// jsonDocuments is yamlDocuments for a file that is JSON. A YAML parser would do for most of them, but it knows neither
// "\/" nor surrogate pairs, which common encoders write.
func jsonDocuments(data []byte) func() (*yaml.Node, position, error) {
	j := &jsonReader{data: data, d: json.NewDecoder(bytes.NewReader(data))}
	j.d.UseNumber()
	return func() (*yaml.Node, position, error) {
		token, at, err := j.token()
		if err != nil {
			return nil, at, err // io.EOF here is the end of the file
		}
		doc, at, err := j.node(token, at, 0)
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return doc, at, err
	}
}

type jsonReader struct {
	data   []byte
	d      *json.Decoder
	offset int64 // the end of the token before
	where  cursor
}

// token is the next token and where it starts, or an error and where that stands.
func (j *jsonReader) token() (json.Token, position, error) {
	token, err := j.d.Token()
	if err != nil {
		return nil, positionOf(j.data, j.wrongByte(err)), err
	}
	start := j.offset
	for start < int64(len(j.data)) && strings.IndexByte(" \t\r\n,:", j.data[start]) >= 0 {
		start++
	}
	j.offset = j.d.InputOffset()
	return token, j.where.to(j.data, int(start)), nil
}

// wrongByte is the offset of the byte that an error is about. encoding/json counts it in for some errors and not for
// others, but names it.
func (j *jsonReader) wrongByte(err error) int {
	syntax, ok := errors.AsType[*json.SyntaxError](err)
	if !ok { // the end came too early
		return len(j.data)
	}
	at := int(syntax.Offset)
	if at > 0 && at <= len(j.data) && strings.Contains(err.Error(), strconv.QuoteRune(rune(j.data[at-1]))) {
		return at - 1
	}
	return at
}

// node makes the node that starts with a token: what the YAML parser would make of it.
func (j *jsonReader) node(token json.Token, at position, depth int) (*yaml.Node, position, error) {
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: at.line, Column: at.column}
	switch token := token.(type) {
	case json.Delim:
		if depth == maxDepth {
			return nil, at, errors.New("nested too deeply")
		}
		n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		if token == '{' {
			n.Kind, n.Tag = yaml.MappingNode, "!!map"
		}
		at, err := j.children(n, depth+1)
		return n, at, err
	case nil:
		n.Tag, n.Value = "!!null", "null"
	case bool:
		n.Tag, n.Value = "!!bool", fmt.Sprint(token)
	case json.Number:
		n.Tag, n.Value = "!!int", token.String()
		if strings.ContainsAny(n.Value, ".eE") {
			n.Tag = "!!float"
		}
	case string:
		n.Tag, n.Value, n.Style = "!!str", token, yaml.DoubleQuotedStyle
	}
	return n, at, nil
}

func (j *jsonReader) children(parent *yaml.Node, depth int) (position, error) {
	for {
		token, at, err := j.token()
		if err != nil {
			return at, err
		}
		if end, ok := token.(json.Delim); ok && (end == '}' || end == ']') {
			return at, nil
		}
		child, at, err := j.node(token, at, depth)
		if err != nil {
			return at, err
		}
		parent.Content = append(parent.Content, child)
	}
}

// cursor turns growing offsets into positions without counting the lines from the start each time.
type cursor struct {
	offset int
	lines  int // before offset
	start  int // of the line that offset is in
}

func (c *cursor) to(data []byte, offset int) position {
	passed := data[c.offset:offset]
	if n := bytes.Count(passed, []byte("\n")); n > 0 {
		c.lines, c.start = c.lines+n, c.offset+bytes.LastIndexByte(passed, '\n')+1
	}
	c.offset = offset
	at := positionOf(data[c.start:], offset-c.start)
	return position{c.lines + at.line, at.column}
}
