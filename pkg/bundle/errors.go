package bundle

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// Error is what is wrong with a config.json. Line and Column count from 1, in characters, and are set when it is no JSON
// at all; else Field is a path such as process.args[0].
type Error struct {
	Line    int
	Column  int
	Field   string
	Message string
}

func (e *Error) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("config.json:%d:%d: %s", e.Line, e.Column, e.Message)
	}
	return "config.json: " + e.Field + ": " + e.Message
}

func wrong(field, format string, args ...any) error {
	return &Error{Field: field, Message: fmt.Sprintf(format, args...)}
}

// malformed is an Error about the byte at offset.
func malformed(config []byte, offset int, message string) error {
	before := config[:min(max(offset, 0), len(config))]
	line := bytes.LastIndexByte(before, '\n') + 1
	return &Error{
		Line: bytes.Count(before, []byte("\n")) + 1, Column: utf8.RuneCount(before[line:]) + 1, Message: message,
	}
}
