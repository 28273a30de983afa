package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The tutorial is true, line by line, in a fresh clone.
func TestTutorial(t *testing.T) {
	w := newWorld(t)
	document, err := os.ReadFile("../../docs/tutorial.md")
	w.must(err)
	steps := transcript(string(document))
	if len(steps) < 40 {
		t.Fatalf("only %d commands are read from the tutorial", len(steps))
	}
	clone := t.TempDir()
	for _, part := range []string{"Makefile", "go.mod", "go.sum", "cmd", "examples", "hack", "internal", "pkg"} {
		w.must(exec.Command("cp", "-R", filepath.Join("../..", part), clone).Run())
	}
	scratch := t.TempDir()
	t.Cleanup(func() { // the tutorial's root, which it has removed if all went well
		if made, _ := filepath.Glob(filepath.Join(scratch, "*", "state")); len(made) > 0 {
			w.root = filepath.Dir(made[0])
		}
	})
	for _, path := range []string{"RECONCILER_SOCKET", "RECONCILER_MANIFESTS", "RECONCILER_STATE", "RECONCILER_RUN", "RECONCILER_LOGS"} {
		t.Setenv(path, "")
	}
	reader := newShell(t, clone, "TMPDIR="+scratch, "RECONCILER_RUNTIME="+w.oci, "RECONCILER_CGROUP_PARENT="+w.cgroup)
	reader.follow(steps)
	root, _ := reader.run(`echo "$RECONCILER_ROOT"`)
	w.root = root[0] // it is gone; nothing that belongs to it may be left
	w.must(os.MkdirAll(w.root, 0o700))
}
