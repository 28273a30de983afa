// Command testsum reads `go test -json` on stdin and says what was run: a line a package, the whole output of what
// failed, each skip with its reason, and at last the number of tests. It fails if a test failed, if none was run, or,
// with --no-skips, if one was skipped: in a place that promises to run everything a skip would hide a regression.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

func main() {
	noSkips := flag.Bool("no-skips", false, "a skipped test is a failure")
	flag.Parse()
	sum, err := summarize(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
		os.Exit(1)
	}
	if sum.failed > 0 || sum.broken > 0 || sum.passed == 0 || *noSkips && sum.skipped > 0 {
		os.Exit(1)
	}
}

// event is one line of `go test -json`, see `go doc test2json`.
type event struct {
	Action     string
	Package    string
	ImportPath string // of build output
	Test       string
	Elapsed    float64 // seconds
	Output     string
}

type totals struct {
	passed, failed, skipped int // tests and subtests
	broken                  int // packages that failed: a build error or a crash fails no test
}

// summarize copies what matters from in to out and counts. A line that is no JSON, such as a panic of go itself, is
// copied as it is.
func summarize(in io.Reader, out io.Writer) (totals, error) {
	var t totals
	output := map[string][]string{} // by package and test, until it is known to be of interest
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				fmt.Fprint(out, string(line))
			} else {
				t.add(e, output, out)
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return t, fmt.Errorf("read the test output: %w", err)
		}
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", t.passed, max(t.failed, t.broken), t.skipped)
	return t, nil
}

func (t *totals) add(e event, output map[string][]string, out io.Writer) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		fmt.Fprint(out, e.Output)
	case "output":
		output[key] = append(output[key], e.Output)
	case "pass", "fail", "skip":
		if e.Test != "" {
			t.addTest(e, output[key], out)
		} else {
			t.addPackage(e, output[key], out)
			unfinished(e, output, out)
		}
		delete(output, key)
	}
}

// unfinished shows the tests that had no end when their package had: a time limit or a crash struck in one of them, and
// the panic is in its output.
func unfinished(pkg event, output map[string][]string, out io.Writer) {
	for _, key := range slices.Sorted(maps.Keys(output)) {
		if of, test, _ := strings.Cut(key, " "); of == pkg.Package && test != "" {
			fmt.Fprintf(out, "--- UNFINISHED %s\n%s", key, strings.Join(output[key], ""))
			delete(output, key)
		}
	}
}

func (t *totals) addTest(e event, output []string, out io.Writer) {
	switch e.Action {
	case "pass":
		t.passed++
	case "fail":
		t.failed++
		fmt.Fprintf(out, "--- FAIL %s %s\n%s", e.Package, e.Test, strings.Join(output, ""))
	case "skip":
		t.skipped++
		fmt.Fprintf(out, "--- SKIP %s %s\n%s", e.Package, e.Test, strings.Join(output, ""))
	}
}

func (t *totals) addPackage(e event, output []string, out io.Writer) {
	switch e.Action {
	case "fail":
		t.broken++
		fmt.Fprintf(out, "%sFAIL %s %.1fs\n", strings.Join(output, ""), e.Package, e.Elapsed)
	case "pass":
		fmt.Fprintf(out, "ok   %s %.1fs\n", e.Package, e.Elapsed)
	}
}
