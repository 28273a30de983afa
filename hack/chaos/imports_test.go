package main

import (
	"os/exec"
	"strings"
	"testing"
)

// What tries the product from outside must not believe what it says of itself.
func TestKnowsNothingOfTheProduct(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	const module = "reconciler.dev/reconciler/"
	for _, dep := range strings.Fields(string(out)) {
		if ours, ok := strings.CutPrefix(dep, module); ok && !strings.HasPrefix(ours, "hack/") {
			t.Errorf("it imports %s", ours)
		}
	}
}
