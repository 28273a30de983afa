// Package layout holds the direction in which packages may import each other.
package layout

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "reconciler.dev/reconciler/"

// allowed are the packages of ours that each may reach, directly or not.
var allowed = map[string][]string{
	"pkg/desired":              {},
	"pkg/bundle":               {},
	"pkg/runc":                 {},
	"pkg/cgroup":               {},
	"pkg/subreaper":            {},
	"pkg/subreaper/pair":       {"pkg/subreaper"},
	"pkg/subreaper/relay":      {"pkg/subreaper", "pkg/logs/cri"},
	"pkg/logs":                 {"pkg/logs/cri"},
	"pkg/logs/cri":             {},
	"pkg/observed":             {"pkg/runc", "pkg/subreaper", "pkg/cgroup"},
	"pkg/store":                {"pkg/desired", "pkg/subreaper"},
	"pkg/reconcile":            {"pkg/desired", "pkg/bundle", "pkg/runc", "pkg/cgroup", "pkg/subreaper", "pkg/observed", "pkg/store"},
	"pkg/api":                  {"pkg/desired", "pkg/bundle", "pkg/runc", "pkg/cgroup", "pkg/subreaper", "pkg/observed", "pkg/store", "pkg/reconcile"},
	"cmd/reconciler-subreaper": {"pkg/subreaper", "pkg/subreaper/pair"},
}

// kept away: what a package must not link whatever it imports.
var forbidden = map[string][]string{
	"pkg/subreaper/relay":      {"net", "net/http", "os/exec", "log/slog", "go.etcd.io/bbolt"},
	"cmd/reconciler-subreaper": {"net", "net/http", "os/exec", "log/slog", "go.etcd.io/bbolt"},
	"pkg/desired":              {"go.etcd.io/bbolt", "os/exec"},
	"pkg/bundle":               {"os/exec"},
}

func TestTypesFlowOneWay(t *testing.T) {
	for pkg, may := range allowed {
		deps := dependencies(t, module+pkg)
		for _, dep := range deps {
			ours, isOurs := strings.CutPrefix(dep, module)
			ours, _, _ = strings.Cut(ours, "/internal/") // what is internal to a package is that package
			if isOurs && ours != pkg && !slices.Contains(may, ours) {
				t.Errorf("%s must not reach %s", pkg, ours)
			}
			if slices.Contains(forbidden[pkg], dep) {
				t.Errorf("%s must not link %s", pkg, dep)
			}
		}
	}
}

func dependencies(t *testing.T, pkg string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", pkg).Output()
	if err != nil {
		t.Fatalf("go list %s: %v", pkg, err)
	}
	return strings.Fields(string(out))
}
