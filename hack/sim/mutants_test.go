package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// mutants reads the list, with the root of the tree as the working directory.
func mutants(t *testing.T) []mutant {
	t.Chdir(filepath.Join("..", ".."))
	text, err := os.ReadFile("hack/sim/mutants.txt")
	if err != nil {
		t.Fatal(err)
	}
	all, err := parseMutants(string(text))
	if err != nil || len(all) == 0 {
		t.Fatal("no mutants", err)
	}
	return all
}

// TestMutantsFit: each names a text that the code still has, once.
func TestMutantsFit(t *testing.T) {
	for _, m := range mutants(t) {
		source, err := os.ReadFile(m.file)
		if err != nil {
			t.Error(err)
		}
		if n := strings.Count(string(source), m.old); n != 1 || m.old == m.new {
			t.Errorf("%s: %s has its text %d times", m.name, m.file, n)
		}
	}
}

// TestAMutantIsFound: the simulation is not blind. The others are tried by hand, since each is a build.
func TestAMutantIsFound(t *testing.T) {
	const name = "an instance is started before that is on record"
	for _, m := range mutants(t) {
		if m.name != name {
			continue
		}
		found, err := m.try(t.TempDir(), 500)
		if err != nil || found == "" {
			t.Errorf("%s: %q %v", name, found, err)
		}
		return
	}
	t.Errorf("%s is not on the list", name)
}
