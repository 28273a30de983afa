// Package docs holds documents; its tests keep what they show true.
package docs

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const top = ".."

// world is a directory with bin/reconciler and the example bundles as a fresh clone has them, but for the root file
// systems, which nothing here looks into.
func world(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "bin", "reconciler"), "./cmd/reconciler")
	build.Dir = top
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	configs, err := filepath.Glob(filepath.Join(top, "examples", "bundles", "*", "config.json"))
	if err != nil || len(configs) == 0 {
		t.Fatalf("no example bundles: %v", err)
	}
	for _, config := range configs {
		bundle := filepath.Join(dir, "bundles", filepath.Base(filepath.Dir(config)))
		if err := os.MkdirAll(filepath.Join(bundle, "rootfs"), 0o755); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(config)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(bundle, "config.json"), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "manifests"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// validate checks one manifest as a user would.
func validate(t *testing.T, dir, name, manifest string) {
	t.Helper()
	file := filepath.Join(dir, "manifests", name)
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(filepath.Join(dir, "bin", "reconciler"), "validate", "-f", file).CombinedOutput()
	if err != nil || string(out) != "1 container valid\n" {
		t.Errorf("validate %s: %v\n%s", name, err, out)
	}
}

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

func TestManifestsAreValid(t *testing.T) {
	dir := world(t)
	readme, err := os.ReadFile(filepath.Join(top, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := yamlBlock.FindAllSubmatch(readme, -1)
	if len(blocks) == 0 {
		t.Error("README.md shows no manifest")
	}
	for _, b := range blocks {
		validate(t, dir, "readme.yaml", string(b[1]))
	}
	examples, err := filepath.Glob(filepath.Join(top, "examples", "manifests", "*.yaml"))
	if err != nil || len(examples) == 0 {
		t.Fatalf("no example manifests: %v", err)
	}
	for _, e := range examples {
		b, err := os.ReadFile(e)
		if err != nil {
			t.Fatal(err)
		}
		validate(t, dir, filepath.Base(e), string(b))
	}
}

var link = regexp.MustCompile(`\]\(([^)#:]+)\)`)

func TestLinksLeadSomewhere(t *testing.T) {
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".md" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range link.FindAllSubmatch(b, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), string(m[1]))); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The README's list of verbs is the program's.
func TestReadmeKnowsEveryVerb(t *testing.T) {
	dir := world(t)
	help, err := exec.Command(filepath.Join(dir, "bin", "reconciler"), "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, verbs, _ := strings.Cut(string(help), "Available Commands:\n")
	verbs, _, _ = strings.Cut(verbs, "\n\n")
	readme, err := os.ReadFile(filepath.Join(top, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var n int
	for line := range strings.Lines(verbs) {
		verb, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if verb == "completion" || verb == "help" {
			continue // the CLI library's own
		}
		n++
		if !strings.Contains(string(readme), "`"+verb) {
			t.Errorf("README.md does not tell of %s", verb)
		}
	}
	if n == 0 {
		t.Errorf("no verbs in the help:\n%s", help)
	}
}

// Every path of the tree and every target of make that the README speaks of is there.
func TestReadmeSpeaksOfWhatIsThere(t *testing.T) {
	readme, err1 := os.ReadFile(filepath.Join(top, "README.md"))
	makefile, err2 := os.ReadFile(filepath.Join(top, "Makefile"))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	paths := regexp.MustCompile("[` ]((?:cmd|docs|examples|hack|internal|pkg|tools)/[^` ]*)").FindAllSubmatch(readme, -1)
	targets := regexp.MustCompile("(?m)(?:^|`)make ([a-z-]+)").FindAllSubmatch(readme, -1)
	if len(paths) < 5 || len(targets) < 5 {
		t.Errorf("it is said to speak of %d paths and %d targets", len(paths), len(targets))
	}
	for _, p := range paths {
		if found, err := filepath.Glob(filepath.Join(top, string(p[1]))); err != nil || len(found) == 0 {
			t.Errorf("README.md speaks of %s: %v", p[1], err)
		}
	}
	for _, target := range targets {
		if !regexp.MustCompile(`(?m)^` + string(target[1]) + `:`).Match(makefile) {
			t.Errorf("README.md speaks of make %s", target[1])
		}
	}
}
