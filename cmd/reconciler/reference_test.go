package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write docs/reference/cli.md anew")

// TestReferenceOfTheCommandLine holds docs/reference/cli.md, which is made from what --help says.
func TestReferenceOfTheCommandLine(t *testing.T) {
	const file = "../../docs/reference/cli.md"
	page := cliPage(newRootCommand())
	if *update {
		if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(written) != page {
		t.Errorf("%s is not what --help says: run go test ./cmd/reconciler -run %s -update", file, t.Name())
	}
}

func TestHelpTellsEveryExitStatus(t *testing.T) {
	statuses := []int{
		exitOK, exitFailure, exitUsage, exitTimedOut, exitBrokenPipe, 128 + int(syscall.SIGINT), 128 + int(syscall.SIGTERM),
	}
	for _, status := range statuses {
		if !regexp.MustCompile(fmt.Sprintf(`\b%d\b`, status)).MatchString(newRootCommand().Long) {
			t.Errorf("the help does not tell exit status %d", status)
		}
	}
}

func cliPage(root *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Command line\n\nMade from `--help` by a test in `cmd/reconciler`; not to be edited by hand.\n\n")
	fmt.Fprintf(&b, "%s\n\nFlags of every verb, before it or after it, with their defaults and environment variables:\n\n", root.Long)
	b.WriteString(fenced("text", root.PersistentFlags().FlagUsagesWrapped(wide)))
	for _, verb := range root.Commands() {
		writeVerb(&b, "##", verb)
	}
	return b.String()
}

// wide is how far a line of flags may go, in characters.
const wide = 118

func writeVerb(b *strings.Builder, level string, verb *cobra.Command) {
	about := verb.Long
	if about == "" {
		about = verb.Short + "."
	}
	usage := strings.TrimSuffix(verb.UseLine(), " [flags]")
	if flags := verb.NonInheritedFlags(); flags.HasAvailableFlags() {
		usage += "\n\n" + flags.FlagUsagesWrapped(wide)
	}
	fmt.Fprintf(b, "\n%s %s\n\n%s\n\n%s", level, verb.CommandPath(), about, fenced("text", usage))
	if verb.Example != "" {
		example := strings.ReplaceAll("\n"+verb.Example, "\n  ", "\n") // the indent of a help text
		fmt.Fprintf(b, "\n%s", fenced("sh", strings.TrimPrefix(example, "\n")))
	}
	for _, below := range verb.Commands() {
		writeVerb(b, level+"#", below)
	}
}

func fenced(language, text string) string {
	return "```" + language + "\n" + strings.TrimRight(text, "\n") + "\n```\n"
}
