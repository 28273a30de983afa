// Package weave puts a crash point before and after each effect of a program, in copies of its source files that the go
// command's -overlay takes in place of the files themselves: the program as it ships has none.
//
// What is an effect is read from the code: every call into the packages that change the world, but for those known to be
// harmless, and every call of what commits to the store or carries out an action. A new effect so has its points from the
// moment that it is written.
package weave

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// world are the packages of which every call is an effect unless it is harmless.
var world = regexp.MustCompile(`^(os|unix|syscall|net|api)\.[A-Z]`)

var harmless = regexp.MustCompile(`^(` +
	`os\.(DirFS|Environ|Executable|Exit|Get\w+|Is\w+|Lstat|NewFile|Open|OpenRoot|ReadDir|ReadFile|SameFile|Stat)` +
	`|unix\.(ByteSliceToString|Close|Connect|Epoll\w+|Eventfd|GetsockoptUcred|Ioctl\w+|Lstat|Open|Openat2|PidfdOpen|Poll|Prctl|Read\w*|SetNonblock|Signal\w+|Socket|Stat\w*|Waitid)` +
	`|syscall\.(Signal|Umask|WaitStatus)` +
	`|api\.(Build|New\w+|ParseGoal)` + // Listen remains
	`)$`)

// ours are the calls that reach the world through an interface, a file or the store.
var ours = regexp.MustCompile(`(^x\.Effects\.\w+|^cmd\.(Run|Start)|^(f|aside|conn|dir|lock)\.(Write|WriteAt|WriteString|Chmod|Sync|Truncate)` +
	`|\.(Commit|UpdateVerbs|Sweep|Update|Prune|Launch|Listen))$`)

func isEffect(callee, call string) bool {
	if callee == "os.OpenFile" && !strings.Contains(call, "O_CREATE") {
		return false
	}
	return world.MatchString(callee) && !harmless.MatchString(callee) || ours.MatchString(callee)
}

// File returns the source of a Go file with crash points and their names, in order: nil if there is no effect in it. The
// names begin with the file's as given, the lines stay what they were.
func File(name string, source []byte) (woven []byte, points []string, err error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, nil, err
	}
	w := weaver{name: name, source: source, fset: fset, insert: map[int][]string{}, used: map[string]int{}}
	for _, d := range file.Decls {
		w.function = functionName(d)
		ast.PreorderStack(d, nil, w.visit)
	}
	if len(w.points) == 0 {
		return nil, nil, nil
	}
	w.at(file.Name.End(), `; import "reconciler.dev/reconciler/internal/crashpoint"`)
	return w.bytes(), w.points, nil
}

type weaver struct {
	name     string
	source   []byte
	fset     *token.FileSet
	function string
	call     string           // of a point, by its name
	failed   bool             // the list of statements is for when something went wrong
	insert   map[int][]string // text by offset
	used     map[string]int
	points   []string
}

func functionName(d ast.Decl) string {
	f, ok := d.(*ast.FuncDecl)
	if !ok {
		return "var"
	}
	if f.Recv == nil {
		return f.Name.Name
	}
	receiver := f.Recv.List[0].Type
	if pointer, ok := receiver.(*ast.StarExpr); ok {
		receiver = pointer.X
	}
	if named, ok := receiver.(*ast.Ident); ok {
		return named.Name + "." + f.Name.Name
	}
	return f.Name.Name
}

// visit weaves lists of statements, wherever they are.
func (w *weaver) visit(n ast.Node, stack []ast.Node) bool {
	w.failed = len(stack) > 0 && w.onFailure(stack[len(stack)-1])
	w.call = "crashpoint.At(%q)"
	if inLoop(stack) {
		w.call = "crashpoint.InLoop(%q)"
	}
	switch n := n.(type) {
	case *ast.BlockStmt:
		w.list(n.List)
	case *ast.CaseClause:
		w.list(n.Body)
	case *ast.CommClause:
		w.list(n.Body)
	}
	return true
}

// inLoop: the innermost function around comes here again and again.
func inLoop(stack []ast.Node) bool {
	for _, n := range slices.Backward(stack) {
		switch n.(type) {
		case *ast.ForStmt, *ast.RangeStmt:
			return true
		case *ast.FuncLit:
			return false
		}
	}
	return false
}

// onFailure: an if that asks whether err is set.
func (w *weaver) onFailure(n ast.Node) bool {
	branch, ok := n.(*ast.IfStmt)
	return ok && strings.Contains(w.text(branch.Cond), "err != nil")
}

// tidies: a return that tells an error, and what came of clearing away behind it. No crash there is another one than a
// crash before it.
func (w *weaver) tidies(s ast.Stmt) bool {
	_, returns := s.(*ast.ReturnStmt)
	return returns && w.failed && strings.Contains(w.text(s), "errors.Join(err, ")
}

func (w *weaver) list(list []ast.Stmt) {
	for _, s := range list {
		if effects := w.effects(s); len(effects) > 0 && !w.tidies(s) {
			w.statement(s, strings.Join(effects, "+"))
		}
	}
}

// effects are the calls that a statement makes itself, not those of the statements in it.
func (w *weaver) effects(s ast.Stmt) (effects []string) {
	ast.Inspect(s, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BlockStmt:
			return n == s
		case *ast.FuncLit, *ast.GoStmt:
			return false
		case *ast.CaseClause:
			for _, e := range n.List {
				effects = append(effects, w.effects(&ast.ExprStmt{X: e})...)
			}
			return false
		case *ast.CommClause:
			return false
		case *ast.CallExpr:
			if callee := w.text(n.Fun); isEffect(callee, w.text(n)) {
				effects = append(effects, callee)
			}
		}
		return true
	})
	if _, block := s.(*ast.BlockStmt); block {
		return nil // its statements are a list of their own
	}
	return effects
}

func (w *weaver) text(n ast.Node) string {
	return string(w.source[w.offset(n.Pos()):w.offset(n.End())])
}

func (w *weaver) offset(p token.Pos) int { return w.fset.Position(p).Offset }

func (w *weaver) at(p token.Pos, text string) {
	w.insert[w.offset(p)] = append(w.insert[w.offset(p)], text)
}

// statement puts a point before the statement, and one after it on every way on from there.
func (w *weaver) statement(s ast.Stmt, effects string) {
	name := fmt.Sprintf("%s:%s:%s", w.name, w.function, effects)
	if w.used[name]++; w.used[name] > 1 {
		name += fmt.Sprintf("#%d", w.used[name])
	}
	before, after := fmt.Sprintf(w.call, name+" before"), fmt.Sprintf(w.call, name+" after")
	w.points = append(w.points, name+" before", name+" after")
	switch s := s.(type) {
	case *ast.ReturnStmt:
		w.at(s.Pos(), before+"; defer "+after+"; ")
		return
	case *ast.DeferStmt: // the last deferred is the first to run
		w.at(s.Pos(), "defer "+after+"; ")
		w.at(s.End(), "; defer "+before)
		return
	}
	w.at(s.Pos(), before+"; ")
	for _, branch := range branches(s) {
		w.at(branch, " "+after+"; ")
	}
	if !mayTerminate(s) {
		w.at(s.End(), "; "+after)
	}
}

// branches are where the ways through a statement begin.
func branches(s ast.Stmt) (begin []token.Pos) {
	clauses := func(b *ast.BlockStmt) {
		for _, c := range b.List {
			begin = append(begin, c.(*ast.CaseClause).Colon+1)
		}
	}
	switch s := s.(type) {
	case *ast.IfStmt:
		begin = append(begin, s.Body.Lbrace+1)
		switch e := s.Else.(type) {
		case *ast.BlockStmt:
			begin = append(begin, e.Lbrace+1)
		case *ast.IfStmt:
			begin = append(begin, branches(e)...)
		}
	case *ast.SwitchStmt:
		clauses(s.Body)
	case *ast.TypeSwitchStmt:
		clauses(s.Body)
	}
	return begin
}

// mayTerminate: a function may end with the statement and need no return behind it, which one more would change.
func mayTerminate(s ast.Stmt) bool {
	hasDefault := func(b *ast.BlockStmt) bool {
		return slices.ContainsFunc(b.List, func(c ast.Stmt) bool { return c.(*ast.CaseClause).List == nil })
	}
	switch s := s.(type) {
	case *ast.IfStmt:
		return s.Else != nil
	case *ast.SwitchStmt:
		return hasDefault(s.Body)
	case *ast.TypeSwitchStmt:
		return hasDefault(s.Body)
	case *ast.ForStmt:
		return s.Cond == nil
	case *ast.SelectStmt, *ast.LabeledStmt:
		return true
	}
	return false
}

func (w *weaver) bytes() []byte {
	var out []byte
	for i := range len(w.source) + 1 {
		for _, text := range w.insert[i] {
			out = append(out, text...)
		}
		if i < len(w.source) {
			out = append(out, w.source[i])
		}
	}
	return out
}

// Overlay weaves all Go files of packages, given by their directories, into dir, and writes the file for -overlay there. It
// returns that file's path and the points, named by the files' paths below root.
func Overlay(root string, packages []string, dir string) (overlay string, points []string, err error) {
	replace := map[string]string{}
	for _, pkg := range packages {
		files, err := filepath.Glob(filepath.Join(pkg, "*.go"))
		if err != nil {
			return "", nil, err
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				return "", nil, err
			}
			source, err := os.ReadFile(path)
			if err != nil {
				return "", nil, err
			}
			woven, found, err := File(name, source)
			if err != nil {
				return "", nil, err
			}
			if found == nil {
				continue
			}
			points = append(points, found...)
			replace[path] = filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
			if err := os.WriteFile(replace[path], woven, 0o600); err != nil {
				return "", nil, err
			}
		}
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", nil, err
	}
	overlay = filepath.Join(dir, "overlay.json")
	return overlay, points, os.WriteFile(overlay, b, 0o600)
}
