package api

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// TestReference holds docs/reference/api.md: its routes and who may call them, errors, types of changes, fields of objects,
// and that each example asks for a route there is.
func TestReference(t *testing.T) {
	b, err := os.ReadFile("../../docs/reference/api.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	rows := func(pattern string) int { return len(regexp.MustCompile("(?m)^"+pattern).FindAllString(page, -1)) }
	has := func(row string) {
		if !strings.Contains(page, "\n"+row) {
			t.Errorf("the page lacks %s", row)
		}
	}

	mux := http.NewServeMux()
	for _, r := range routes {
		has(fmt.Sprintf("| `%s` | `%s` | %s |", r.method, r.path, r.who))
		mux.Handle(r.method+" "+r.path, http.NotFoundHandler())
	}
	if n := rows("\\| `[A-Z]+` \\| `/"); n != len(routes) {
		t.Errorf("the page has %d routes, the code %d", n, len(routes))
	}

	for _, k := range kinds {
		has(fmt.Sprintf("| `%s` | %d |", k.reason, k.status))
	}
	has(fmt.Sprintf("| `Internal` | %d |", http.StatusInternalServerError))
	if n := rows("\\| `[A-Za-z]+` \\| [0-9]+ \\|"); n != len(kinds)+1 {
		t.Errorf("the page has %d errors, the code %d", n, len(kinds)+1)
	}
	has(fmt.Sprintf("| `TooManyWatchers` | %d | %d watch", http.StatusTooManyRequests, maxWatchers))

	changes := []ChangeType{Restarted, Added, Modified, Deleted, Synced}
	for _, c := range changes {
		has(fmt.Sprintf("| `%s` | ", c))
	}

	for name, typ := range map[string]reflect.Type{
		"List": reflect.TypeFor[List[Event]](), "Version": reflect.TypeFor[Version](), "Confirmed": reflect.TypeFor[Confirmed](), "Applied": reflect.TypeFor[Applied](),
		"Source": reflect.TypeFor[Source](), "PlanLine": reflect.TypeFor[PlanLine](), "NodeState": reflect.TypeFor[NodeState](),
		"Down": reflect.TypeFor[Down](), "Restored": reflect.TypeFor[Restored](), "Change": reflect.TypeFor[Change[Event]](), "Error": reflect.TypeFor[Error](),
	} {
		row := regexp.MustCompile("(?m)^\\| " + name + " \\|.*").FindString(page)
		for i := range typ.NumField() {
			if field := typ.Field(i).Tag.Get("json"); !strings.Contains(row, "`"+field+"`") {
				t.Errorf("%s: the page lacks %s", name, field)
			}
		}
		if n := strings.Count(row, "`") / 2; n != typ.NumField() {
			t.Errorf("%s: the page has %d fields, the code %d", name, n, typ.NumField())
		}
	}

	examples := regexp.MustCompile(`(?m)^api (?:.*--request ([A-Z]+))?.*http://localhost(/[^' \n]*)`).FindAllStringSubmatch(page, -1)
	if len(examples) == 0 {
		t.Error("the page has no examples")
	}
	for _, e := range examples {
		method := e[1]
		if method == "" {
			method = http.MethodGet
		}
		if _, pattern := mux.Handler(httptest.NewRequest(method, e[2], nil)); pattern == "" {
			t.Errorf("no route for %s", e[0])
		}
	}
}
