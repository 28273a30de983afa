package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// mutant is a bug to be planted: in a file of the product one text is put in the place of another.
type mutant struct{ name, file, old, new string }

// parseMutants reads "== name", "-- file", the old text, "++", the new text.
func parseMutants(text string) (all []mutant, err error) {
	for _, part := range strings.Split("\n"+text, "\n== ")[1:] {
		name, rest, _ := strings.Cut(part, "\n-- ")
		file, change, _ := strings.Cut(rest, "\n")
		before, after, found := strings.Cut("\n"+change, "\n++")
		if !found {
			return nil, fmt.Errorf("mutant %q has no ++", name)
		}
		all = append(all, mutant{strings.TrimSpace(name), file, strings.Trim(before, "\n"), strings.Trim(after, "\n")})
	}
	return all, nil
}

// tryMutants builds this program anew with each bug planted, which touches no file of the tree, and runs it.
func tryMutants(list string, seeds uint64) error {
	text, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	mutants, err := parseMutants(string(text))
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "sim-mutants-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	missed := 0
	for _, m := range mutants {
		found, err := m.try(dir, seeds)
		switch {
		case err != nil:
			missed++
			found = err.Error()
		case found == "":
			missed++
			found = fmt.Sprintf("not found in %d runs", seeds)
		}
		fmt.Printf("| %s | %s |\n", m.name, found)
	}
	if missed > 0 {
		return fmt.Errorf("%d of %d planted bugs were not found", missed, len(mutants))
	}
	return nil
}

var finding = regexp.MustCompile(`\(run (\d+)\) breaks a promise: (\w+)`)

// try says after how many runs the bug was found, and which promise it broke; empty if it was not.
func (m mutant) try(dir string, seeds uint64) (found string, err error) {
	source, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	if strings.Count(string(source), m.old) != 1 {
		return "", fmt.Errorf("%s does not hold its text exactly once", m.file)
	}
	changed := filepath.Join(dir, "changed.go")
	if err := os.WriteFile(changed, []byte(strings.Replace(string(source), m.old, m.new, 1)), 0o600); err != nil {
		return "", err
	}
	original, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}})
	if err != nil {
		return "", err
	}
	overlaid, program := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "sim")
	if err := os.WriteFile(overlaid, overlay, 0o600); err != nil {
		return "", err
	}
	if out, err := exec.Command("go", "build", "-overlay", overlaid, "-o", program, "./hack/sim").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	out, err := exec.Command(program, "--seeds", fmt.Sprint(seeds)).CombinedOutput()
	if err == nil {
		return "", nil
	}
	if f := finding.FindSubmatch(out); f != nil {
		return fmt.Sprintf("after %s runs (%s)", f[1], f[2]), nil
	}
	return "", fmt.Errorf("%w\n%s", err, out)
}
