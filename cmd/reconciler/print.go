package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

// format is the -o flag of a verb.
type format struct {
	value   string
	allowed []string
}

func (f *format) String() string { return f.value }
func (f *format) Type() string   { return "format" }

func (f *format) Set(s string) error {
	if !slices.Contains(f.allowed, s) {
		return fmt.Errorf("must be one of %s", strings.Join(f.allowed, ", "))
	}
	f.value = s
	return nil
}

// addFormat adds -o to a verb.
func addFormat(cmd *cobra.Command, allowed ...string) *format {
	f := &format{allowed: allowed}
	cmd.Flags().VarP(f, "output", "o", "instead of a table: "+strings.Join(allowed, ", "))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(allowed, cobra.ShellCompDirectiveNoFileComp))
	return f
}

// whole: what is printed is all there is to an object.
func (f *format) whole() bool { return f.value == "json" || f.value == "yaml" }

// object prints v whole, if that is what the user wants.
func (f *format) object(w io.Writer, v any) (printed bool, err error) {
	switch f.value {
	case "json":
		return true, printJSON(w, v)
	case "yaml":
		return true, printYAML(w, v)
	}
	return false, nil
}

// items is the form of several objects. Problems that came with them are told on stderr.
func items[T any](list []T) any {
	if list == nil {
		list = []T{}
	}
	return struct {
		Items []T `json:"items"`
	}{list}
}

func printJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, escapeDeceptive(b.String()))
	return err
}

// printLine prints v as one line of JSON.
func printLine(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, escapeDeceptive(b.String()))
	return err
}

// escapeDeceptive escapes what encoding/json leaves as it is and terminals may obey. In JSON it only occurs in strings.
func escapeDeceptive(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && deceptive(r) }) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if deceptive(r) && r != '\n' {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// printYAML prints the JSON of v as YAML, so that the two say the same in the same order.
func printYAML(w io.Writer, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var n yaml.Node
	if err := yaml.Unmarshal(text, &n); err != nil { // JSON is YAML
		return err
	}
	plain(&n)
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(&n); err != nil {
		return err
	}
	return e.Close()
}

// plain takes away the style of JSON: braces, quotes where none are needed.
func plain(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		plain(c)
	}
}
