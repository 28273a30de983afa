package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// program is the source of one package, without its tests.
func program(t *testing.T, dir string) (nodes []ast.Node) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(top, dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no source in %s: %v", dir, err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, f)
	}
	return nodes
}

var reason = regexp.MustCompile("^[A-Z][A-Za-z]+$")

// literal is the text of a node that is a reason written out.
func literal(n ast.Expr) []string {
	if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
		if s, err := strconv.Unquote(lit.Value); err == nil && reason.MatchString(s) {
			return []string{s}
		}
	}
	return nil
}

// find collects what look makes of all nodes, each word once.
func find(nodes []ast.Node, look func(ast.Node) []string) (found []string) {
	for _, n := range nodes {
		ast.Inspect(n, func(n ast.Node) bool {
			if n != nil {
				found = append(found, look(n)...)
			}
			return true
		})
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// arguments are the reasons written out in calls, each function or method with the index of its reason.
func arguments(nodes []ast.Node, index map[string]int) []string {
	return find(nodes, func(n ast.Node) []string {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return nil
		}
		name := ""
		switch f := call.Fun.(type) {
		case *ast.SelectorExpr:
			name = f.Sel.Name
		case *ast.Ident:
			name = f.Name
		}
		if at, ok := index[name]; ok && at < len(call.Args) {
			return literal(call.Args[at])
		}
		return nil
	})
}

// fields are the reasons written out as a field of composite literals that have another one as well.
func fields(nodes []ast.Node, key, beside string) []string {
	return find(nodes, func(n ast.Node) (found []string) {
		c, ok := n.(*ast.CompositeLit)
		if !ok {
			return nil
		}
		has := false
		for _, e := range c.Elts {
			if kv, ok := e.(*ast.KeyValueExpr); ok {
				name, _ := kv.Key.(*ast.Ident)
				has = has || name != nil && name.Name == beside
				if name != nil && name.Name == key {
					found = literal(kv.Value)
				}
			}
		}
		if !has {
			return nil
		}
		return found
	})
}

// within are the functions of a name.
func within(nodes []ast.Node, name string) (found []ast.Node) {
	find(nodes, func(n ast.Node) []string {
		if f, ok := n.(*ast.FuncDecl); ok && f.Name.Name == name {
			found = append(found, f)
		}
		return nil
	})
	return found
}

// returned are the reasons written out in the return statements of a function.
func returned(nodes []ast.Node, name string) []string {
	return find(within(nodes, name), func(n ast.Node) (found []string) {
		if r, ok := n.(*ast.ReturnStmt); ok {
			for _, e := range r.Results {
				found = append(found, literal(e)...)
			}
		}
		return found
	})
}

// constants are the values of constants that are of a type, or whose names begin so.
func constants(nodes []ast.Node, is string) []string {
	return find(nodes, func(n ast.Node) (found []string) {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return nil
		}
		typ, _ := spec.Type.(*ast.Ident)
		for i, v := range spec.Values {
			lit, ok := v.(*ast.BasicLit)
			if ok && (typ != nil && typ.Name == is || strings.HasPrefix(spec.Names[i].Name, is)) {
				found = append(found, strings.Trim(lit.Value, `"`))
			}
		}
		return found
	})
}

func TestReferenceOfReasons(t *testing.T) {
	text := page(t, "status.md")
	core, api, subreaper := program(t, "pkg/reconcile"), program(t, "pkg/api"), program(t, "pkg/subreaper")
	stops := append(arguments(core, map[string]int{"stop": 0}), returned(core, "unwanted")...)
	phases := constants(core, "Phase")
	same(t, "phases", words(t, text, "## Phases"), phases)
	same(t, "conditions", words(t, text, "## Conditions"), fields(core, "Type", "LastTransitionTime"))

	reasons := slices.Concat(stops, returned(core, "reason"), []string{"BundleInvalid", "ManifestsUnread"})
	for _, p := range phases {
		if p != "Unknown" { // its reason is ObservationFailed
			reasons = append(reasons, p)
		}
	}
	same(t, "reasons of a condition", words(t, text, "## Reasons of a condition"), reasons)

	exits := find(within(core, "exit"), func(n ast.Node) (found []string) {
		if a, ok := n.(*ast.AssignStmt); ok && len(a.Lhs) == len(a.Rhs) {
			for i, to := range a.Lhs {
				if s, ok := to.(*ast.SelectorExpr); ok && s.Sel.Name == "Reason" {
					found = append(found, literal(a.Rhs[i])...)
				}
			}
		}
		return found
	})
	same(t, "reasons of an exit", words(t, text, "## Reasons of an exit"), slices.Concat(exits, stops, []string{"HostRebooted"}))
	same(t, "sources of an exit", words(t, text, "## Sources of an exit"), constants(subreaper, "Source"))
	same(t, "why an exit is unknown", words(t, text, "## Why an exit is unknown"),
		append(constants(subreaper, "Reason"), constants(program(t, "pkg/observed"), "Reason")...))

	noted := arguments(core, map[string]int{"event": 1, "at": 1, "adopt": 0, "claim": 0, "discard": 0})
	asked := arguments(api, map[string]int{"event": 1, "verb": 2, "hold": 2})
	written := fields(slices.Concat(core, api, program(t, "pkg/store")), "Reason", "Object")
	same(t, "reasons of an event", words(t, text, "## Reasons of an event"), slices.Concat(noted, asked, written))

	acts := map[string]int{
		"adopt": 0, "claim": 0, "clamp": 0, "clean": 0, "create": 0, "discard": 0, "forget": 0, "intent": 1, "kill": 0,
		"launch": 0, "resume": 0, "start": 0, "stop": 0, "update": 0,
	}
	same(t, "reasons of a plan line", words(t, text, "## Reasons of a plan line"), append(arguments(core, acts), stops...))
	same(t, "waits", words(t, text, "## Waits"), arguments(core, map[string]int{"wait": 0}))
}
