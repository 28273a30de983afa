package docs

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

var testName = regexp.MustCompile("`(Test[A-Za-z0-9]+)`")

// Every test that a promise names is there, and every row of what survives what names one.
func TestReliabilityNamesItsTests(t *testing.T) {
	b, err := os.ReadFile("reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("grep", "-rhoE", "--include=*_test.go", `^func Test[A-Za-z0-9]+\(`, top).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range testName.FindAllStringSubmatch(string(b), -1) {
		if !strings.Contains(string(out), "func "+m[1]+"(") {
			t.Errorf("reliability.md names %s, which is nowhere", m[1])
		}
	}
	_, table, _ := strings.Cut(string(b), "## What survives what\n")
	table, _, _ = strings.Cut(table, "\n## ")
	rows := 0
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| what happens") {
			continue
		}
		rows++
		if !testName.MatchString(line) {
			t.Errorf("no test proves: %s", line)
		}
	}
	if rows < 12 {
		t.Errorf("%d rows", rows)
	}
	for name := range strings.Lines(string(out)) {
		name = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(name), "func "), "(")
		if strings.HasPrefix(name, "TestSurvives") && !strings.Contains(table, "`"+name+"`") {
			t.Errorf("%s proves something that reliability.md does not tell", name)
		}
	}
}
