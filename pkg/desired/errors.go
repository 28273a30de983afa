package desired

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// Error is one thing wrong with a manifest. Line and Column count from 1, in characters; both are 0 when the file as a
// whole is meant. Field is a path such as spec.stop.signal, empty when no single field is to blame.
type Error struct {
	File    string
	Line    int
	Column  int
	Field   string
	Message string // what is wrong, and the mend
}

// Error is `file:line:col: field: what, and the mend`, one line without control characters whatever the file holds.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(printable(e.File))
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
	}
	b.WriteString(": ")
	if e.Field != "" {
		b.WriteString(e.Field + ": ")
	}
	b.WriteString(e.Message)
	return b.String()
}

// printable is s, quoted if a terminal would not show it as it is.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// quote shows a piece of user input inside a message.
func quote(s string) string { return strconv.Quote(short(s)) }

// short bounds what a message repeats of its cause: a single scalar may fill the whole file.
func short(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

const tooLarge = "is larger than 1 MiB: a manifest holds containers, not data"
