package weave

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Each kind of statement has its points where the effect is still to come, and where it has been, whichever way the
// program goes on; lines stay what they were.
func TestFile(t *testing.T) {
	for _, c := range []struct{ name, source, want string }{
		{"a statement", "os.Remove(p) // why", `crashpoint.At("B"); os.Remove(p); crashpoint.At("A") // why`},
		{"an assignment", "err := unix.Rmdir(p)", `crashpoint.At("B"); err := unix.Rmdir(p); crashpoint.At("A")`},
		{"a return", "return os.Remove(p)", `crashpoint.At("B"); defer crashpoint.At("A"); return os.Remove(p)`},
		{"a defer", "defer os.Remove(p)", `defer crashpoint.At("A"); defer os.Remove(p); defer crashpoint.At("B")`},
		{"an if", "if err := os.Remove(p); err != nil { return err }",
			`crashpoint.At("B"); if err := os.Remove(p); err != nil { crashpoint.At("A");  return err }; crashpoint.At("A")`},
		{"an if with an else", "if os.Remove(p) == nil { f() } else { g() }",
			`crashpoint.At("B"); if os.Remove(p) == nil { crashpoint.At("A");  f() } else { crashpoint.At("A");  g() }`},
		{"a switch", "switch err := os.Remove(p); { case err != nil: f() }",
			`crashpoint.At("B"); switch err := os.Remove(p); { case err != nil: crashpoint.At("A");  f() }; crashpoint.At("A")`},
		{"in a block", "for { os.Remove(p) }", `for { crashpoint.InLoop("B"); os.Remove(p); crashpoint.InLoop("A") }`},
		{"in a function in a loop", "for range n { f(func() { os.Remove(p) }) }", `for range n { f(func() { crashpoint.At("B"); os.Remove(p); crashpoint.At("A") }) }`},
		{"in a function", "f(func() { os.Remove(p) })", `f(func() { crashpoint.At("B"); os.Remove(p); crashpoint.At("A") })`},
		{"made if missing", "os.OpenFile(p, os.O_CREATE, 0)", `crashpoint.At("B"); os.OpenFile(p, os.O_CREATE, 0); crashpoint.At("A")`},
		{"opened to be read", "os.OpenFile(p, os.O_RDONLY, 0)", ""},
		{"cleared away", "if err != nil { return errors.Join(err, os.Remove(p)) }", ""},
		{"only looked at", "os.ReadFile(p)", ""},
		{"in a goroutine", "go os.Remove(p)", ""},
	} {
		got, points, err := File("x.go", []byte("package p\n\nfunc (r *T) f() {\n\t"+c.source+"\n}\n"))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if c.want == "" {
			if got != nil || points != nil {
				t.Errorf("%s: %s", c.name, got)
			}
			continue
		}
		if len(points) != 2 || !strings.HasPrefix(points[0], "x.go:T.f:") || strings.TrimSuffix(points[0], " before") != strings.TrimSuffix(points[1], " after") {
			t.Errorf("%s: points %q", c.name, points)
			continue
		}
		want := strings.NewReplacer(`"B"`, `"`+points[0]+`"`, `"A"`, `"`+points[1]+`"`).Replace(c.want)
		if want = "package p; import \"reconciler.dev/reconciler/internal/crashpoint\"\n\nfunc (r *T) f() {\n\t" + want + "\n}\n"; string(got) != want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, want)
		}
	}
}

func TestPointsOfOneFunctionAreToldApart(t *testing.T) {
	_, points, err := File("x.go", []byte("package p\nfunc f() { os.Remove(a); os.Remove(b) }\nvar g = func() { os.Remove(c) }\n"))
	want := []string{
		"x.go:f:os.Remove before", "x.go:f:os.Remove after", "x.go:f:os.Remove#2 before", "x.go:f:os.Remove#2 after",
		"x.go:var:os.Remove before", "x.go:var:os.Remove after",
	}
	if err != nil || !slices.Equal(points, want) {
		t.Errorf("%q, %v", points, err)
	}
}

// looked are the packages beyond the standard library that the controller imports: effects are looked for in the calls of
// some, the others change nothing outside of the process.
var looked = []string{
	"golang.org/x/sys/unix", "go.etcd.io/bbolt", "go.etcd.io/bbolt/errors", "github.com/fsnotify/fsnotify", "github.com/go-logr/logr",
	"github.com/go-logr/zapr", "github.com/opencontainers/runtime-spec/specs-go", "github.com/spf13/cobra", "github.com/spf13/pflag",
	"go.uber.org/zap", "go.uber.org/zap/zapcore", "go.yaml.in/yaml/v3",
}

// unlooked are those of the standard library whose effects nobody looks for.
var unlooked = []string{"io/ioutil", "log/syslog", "net/rpc", "net/smtp", "plugin"}

// A package that is imported for the first time may bring effects that nobody looks for.
func TestImportsAreKnown(t *testing.T) {
	const form = `{{with .Module}}{{if .Main}}{{range $.Imports}}{{.}}{{"\n"}}{{end}}{{end}}{{end}}`
	out, err := exec.Command("go", "list", "-deps", "-f", form, "reconciler.dev/reconciler/cmd/reconciler").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range strings.Fields(string(out)) {
		host, _, _ := strings.Cut(pkg, "/")
		foreign := strings.Contains(host, ".") && host != "reconciler.dev"
		if foreign && !slices.Contains(looked, pkg) || slices.Contains(unlooked, pkg) {
			t.Errorf("%s is imported: are there effects among its calls? Say so in this package, and in this test", pkg)
		}
	}
}
