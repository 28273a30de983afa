package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// columns prints rows that come one by one, three blanks apart. They are as wide as the first rows need, and wider from
// the first later one that needs more.
type columns struct {
	w      io.Writer
	widths []int
}

func newColumns(w io.Writer, first ...[]string) *columns {
	c := &columns{w: w}
	for _, row := range first {
		c.fit(row)
	}
	return c
}

func (c *columns) fit(row []string) {
	for i, cell := range row {
		if i == len(c.widths) {
			c.widths = append(c.widths, 0)
		}
		c.widths[i] = max(c.widths[i], utf8.RuneCountInString(presentable(cell)))
	}
}

func (c *columns) print(row []string) error {
	c.fit(row)
	var b strings.Builder
	for i, cell := range row {
		cell = presentable(cell)
		b.WriteString(cell)
		if i < len(row)-1 {
			b.WriteString(strings.Repeat(" ", c.widths[i]-utf8.RuneCountInString(cell)+3))
		}
	}
	_, err := fmt.Fprintln(c.w, b.String())
	return err
}

// awayTeller tells on stderr, one line, that the daemon was lost, for verbs that wait until it is back.
func awayTeller(cmd *cobra.Command) func(error) {
	return func(err error) { complain(cmd.ErrOrStderr(), fmt.Errorf("%w; waiting for it to answer", err)) }
}
