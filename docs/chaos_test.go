package docs

import (
	"go/ast"
	"os"
	"strings"
	"testing"
)

// faultNames are those that the code of chaos names: the first word of each element of a []fault.
func faultNames(t *testing.T) []string {
	t.Helper()
	return find(program(t, "hack/chaos"), func(n ast.Node) (names []string) {
		list, ok := n.(*ast.CompositeLit)
		if !ok {
			return nil
		}
		array, ok := list.Type.(*ast.ArrayType)
		if !ok {
			return nil
		}
		if of, ok := array.Elt.(*ast.Ident); !ok || of.Name != "fault" {
			return nil
		}
		for _, element := range list.Elts {
			if fault, ok := element.(*ast.CompositeLit); ok && len(fault.Elts) > 0 {
				if name, ok := fault.Elts[0].(*ast.BasicLit); ok {
					names = append(names, strings.Trim(name.Value, `"`))
				}
			}
		}
		return names
	})
}

// TestEachFaultIsInTheTables: what chaos deals out is what docs/reliability.md shows for both runtimes, and nothing was
// broken.
func TestEachFaultIsInTheTables(t *testing.T) {
	names := faultNames(t)
	if len(names) < 50 {
		t.Fatalf("only %d faults were found in the code: %q", len(names), names)
	}
	b, err := os.ReadFile("reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, runtime := range []string{"### runc", "### crun"} {
		var shown []string
		for _, row := range table(t, string(b), runtime) {
			if row[0] == "all" {
				continue
			}
			shown = append(shown, row[0])
			if row[1] == "0" || row[1] != row[2] {
				t.Errorf("%s: %s: %s injected, %s survived", runtime, row[0], row[1], row[2])
			}
		}
		same(t, "faults of "+runtime, shown, names)
	}
}
