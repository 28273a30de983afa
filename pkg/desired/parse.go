package desired

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// MaxFile is the largest manifest file that is read, in bytes.
const MaxFile = 1 << 20

// maxErrors bounds what is told of one file: errors are stored and shown, and a file of another kind is all errors.
const maxErrors = 100

// Parse reads the manifests in data, the content of the file that errors name. Relative bundle paths are taken from base,
// an absolute directory, by text alone: a symlink in base or in the path does not change what ".." means.
//
// A file is good as a whole or not at all: containers come without errors, in the file's order, or every error comes
// without containers. Each error is an *Error.
func Parse(file string, data []byte, base string) ([]Container, []error) {
	p := &parsing{file: file, base: base, lines: map[string]int{}}
	if data = p.text(data); len(p.errs) > 0 {
		return nil, p.errs
	}
	var containers []Container
	next := yamlDocuments(data)
	if filepath.Ext(file) == ".json" {
		next = jsonDocuments(data)
	}
	for {
		doc, at, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil { // what follows a syntax error is anyone's guess
			if end := positionOf(data, len(data)); at.line > end.line {
				at = end // the YAML parser closes an unfinished last line itself
			}
			p.failAt(at, "", "%s", err)
			break
		}
		if !empty(doc) {
			containers = append(containers, p.container(doc))
		}
	}
	if len(containers) == 0 && len(p.errs) == 0 {
		p.failAt(position{1, 1}, "", "there is no %s in this file: remove the file, or write one", Kind)
	}
	if len(p.errs) > 0 {
		return nil, p.errs
	}
	return containers, nil
}

// parsing is what is known of one file while it is read.
type parsing struct {
	file  string
	base  string
	lines map[string]int // of each name so far
	errs  []error
}

// position counts from 1, columns in characters.
type position struct{ line, column int }

func (p *parsing) failAt(at position, field, format string, args ...any) {
	switch len(p.errs) {
	case maxErrors:
		return
	case maxErrors - 1:
		field, format, args = "", "there are more errors than these: is this a manifest?", nil
	}
	message := fmt.Sprintf(format, args...)
	p.errs = append(p.errs, &Error{File: p.file, Line: at.line, Column: at.column, Field: field, Message: message})
}

// text is data without its byte order mark. What is not text is told here: it would pass through the parsers' errors
// without a position.
func (p *parsing) text(data []byte) []byte {
	if len(data) > MaxFile {
		p.errs = append(p.errs, &Error{File: p.file, Message: tooLarge})
		return nil
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	for i := 0; i < len(data); {
		c, size := utf8.DecodeRune(data[i:])
		switch {
		case c == utf8.RuneError && size == 1:
			p.failAt(positionOf(data, i), "", "this is not UTF-8 text: save the file as UTF-8")
			return nil
		case unprintable(c):
			p.failAt(positionOf(data, i), "", "control character %q: a manifest is plain text", c)
			return nil
		}
		i += size
	}
	return data
}

// unprintable holds for what YAML 1.2, chapter 5.1, keeps out of a stream. DEL and a byte order mark go with it.
func unprintable(c rune) bool {
	switch {
	case c == '\t', c == '\n', c == '\r', c == 0x85:
		return false
	}
	return c < 0x20 || 0x7f <= c && c < 0xa0 || c == 0xfeff || c == 0xfffe || c == 0xffff
}

// positionOf is the position of the byte at offset.
func positionOf(data []byte, offset int) position {
	before := data[:min(offset, len(data))]
	line := bytes.LastIndexByte(before, '\n') + 1
	return position{bytes.Count(before, []byte("\n")) + 1, utf8.RuneCount(before[line:]) + 1}
}

// empty holds for null and for nothing at all.
func empty(doc *yaml.Node) bool {
	return doc.Kind == yaml.ScalarNode && doc.Tag == "!!null" && doc.Style&yaml.TaggedStyle == 0 && doc.Anchor == ""
}
