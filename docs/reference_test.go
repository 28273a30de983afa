package docs

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"go.yaml.in/yaml/v3"

	"reconciler.dev/reconciler/pkg/api"
	"reconciler.dev/reconciler/pkg/bundle"
	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/subreaper"
)

func page(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("reference", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// table is the first table below a heading, row by row, without its header.
func table(t *testing.T, page, heading string) (rows [][]string) {
	t.Helper()
	_, section, found := strings.Cut(page, "\n"+heading+"\n")
	if !found {
		t.Fatalf("there is no %q", heading)
	}
	for line := range strings.Lines(section) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "|") {
			var cells []string
			for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
				cells = append(cells, strings.TrimSpace(cell))
			}
			rows = append(rows, cells)
		} else if len(rows) > 0 || strings.HasPrefix(line, "#") {
			break
		}
	}
	if len(rows) < 3 {
		t.Fatalf("there is no table below %q", heading)
	}
	return rows[2:]
}

var code = regexp.MustCompile("`([^`]+)`")

// words are the pieces of code in the first column of a table.
func words(t *testing.T, page, heading string) (words []string) {
	t.Helper()
	for _, row := range table(t, page, heading) {
		for _, m := range code.FindAllStringSubmatch(row[0], -1) {
			words = append(words, m[1])
		}
	}
	return words
}

// same tells what a page lacks and what the code lacks.
func same(t *testing.T, what string, written, real []string) {
	t.Helper()
	for _, w := range real {
		if !slices.Contains(written, w) {
			t.Errorf("%s: the page lacks %s", what, w)
		}
	}
	for i, w := range written {
		if !slices.Contains(real, w) {
			t.Errorf("%s: the code has no %s", what, w)
		}
		if slices.Contains(written[:i], w) {
			t.Errorf("%s: the page has %s twice", what, w)
		}
	}
}

// leaves are the paths of all values in the JSON of a type; those of the types in whole are not taken apart.
func leaves(prefix string, typ reflect.Type, whole ...reflect.Type) (paths []string) {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if typ.Kind() == reflect.Slice && typ.Elem().Kind() == reflect.Struct {
		return leaves(prefix+"[]", typ.Elem(), whole...)
	}
	if typ.Kind() != reflect.Struct || slices.Contains(whole, typ) {
		return []string{prefix}
	}
	if prefix != "" {
		prefix += "."
	}
	for _, f := range reflect.VisibleFields(typ) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			paths = append(paths, leaves(prefix+name, f.Type, whole...)...)
		}
	}
	return paths
}

var moment = reflect.TypeFor[time.Time]()

// manifestWith is a minimal manifest but for one field, given as YAML; without it where the text is empty.
func manifestWith(t *testing.T, path, text string) []byte {
	t.Helper()
	tree := map[string]any{
		"apiVersion": desired.APIVersion, "kind": desired.Kind,
		"metadata": map[string]any{"name": "web"}, "spec": map[string]any{"bundle": "/b"},
	}
	at, parts := tree, strings.Split(path, ".")
	for _, part := range parts[:len(parts)-1] {
		if at[part] == nil {
			at[part] = map[string]any{}
		}
		at = at[part].(map[string]any)
	}
	key := parts[len(parts)-1]
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if at[key] = value; text == "" {
		delete(at, key)
	}
	b, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parsed(t *testing.T, manifest []byte) desired.Container {
	t.Helper()
	found, errs := desired.Parse("web.json", manifest, "/m")
	if len(errs) > 0 {
		t.Fatalf("%s: %v", manifest, errs)
	}
	return found[0]
}

// TestReferenceOfTheManifest holds the table of fields: that it is whole, each default, the ranges that the parser tells, and
// whether a change replaces an instance.
func TestReferenceOfTheManifest(t *testing.T) {
	text := page(t, "manifest.md")
	same(t, "fields", words(t, text, "## Fields"), append(leaves("spec", reflect.TypeFor[desired.Spec]()),
		"apiVersion", "kind", "metadata.name", "metadata.labels", "metadata.annotations"))
	minimal := parsed(t, manifestWith(t, "kind", desired.Kind))
	outside := map[string]string{"word": "nonsense", "duration": "-1s", "size": "1", "number": "-1"}
	for _, row := range table(t, text, "## Fields") {
		field, kind, otherwise := strings.Trim(row[0], "`"), row[1], row[2]
		accepted, example, effect := strings.ReplaceAll(row[3], "`", ""), strings.Trim(row[4], "`"), row[5]
		switch {
		case otherwise == "required":
			if _, errs := desired.Parse("web.json", manifestWith(t, field, ""), "/m"); len(errs) == 0 {
				t.Errorf("%s is not required", field)
			}
		case otherwise != "the bundle's own":
			if with := parsed(t, manifestWith(t, field, strings.Trim(otherwise, "`"))); !reflect.DeepEqual(with, minimal) {
				t.Errorf("%s: %s is not the default", field, otherwise)
			}
		}
		if bad := outside[kind]; bad != "" {
			accepted, _, _ = strings.Cut(accepted, ";")
			_, errs := desired.Parse("web.json", manifestWith(t, field, bad), "/m")
			if len(errs) != 1 || !strings.Contains(errs[0].Error(), "must be "+accepted) {
				t.Errorf("%s: %s: %v", field, row[3], errs)
			}
		}
		changed := parsed(t, manifestWith(t, field, example))
		if is, says := hashOf(t, changed) != hashOf(t, minimal), effect == "replaced"; is != says {
			t.Errorf("%s: a change: %q, and whether it replaces the instance is %v", field, effect, is)
		}
		is := desired.HashResources(changed.Spec.Resources) != desired.HashResources(minimal.Spec.Resources)
		if says := strings.Contains(effect, "else replaced"); is != says {
			t.Errorf("%s: a change: %q, and whether it updates resources is %v", field, effect, is)
		}
	}
}

func hashOf(t *testing.T, c desired.Container) string {
	t.Helper()
	hash, err := desired.Hash(c, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// TestReferenceOfResources holds which of linux.resources are said to be changed in place.
func TestReferenceOfResources(t *testing.T) {
	var updated []string
	try := func(path, resources string) {
		if _, ok := bundle.UpdateResources(json.RawMessage(`{}`), nil, json.RawMessage(resources)); ok {
			updated = append(updated, path)
		}
	}
	for section, typ := range fieldsOf(reflect.TypeFor[specs.LinuxResources]()) {
		if typ.Kind() != reflect.Struct {
			try(section, `{"`+section+`": `+sample(typ)+`}`)
			continue
		}
		for field, typ := range fieldsOf(typ) {
			try(section+"."+field, `{"`+section+`": {"`+field+`": `+sample(typ)+`}}`)
		}
	}
	same(t, "resources", words(t, page(t, "manifest.md"), "### resources"), updated)
}

// fieldsOf are the fields of a struct by their names in JSON.
func fieldsOf(typ reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(typ) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			if fields[name] = f.Type; f.Type.Kind() == reflect.Pointer {
				fields[name] = f.Type.Elem()
			}
		}
	}
	return fields
}

// sample is some value of a type, in JSON.
func sample(typ reflect.Type) string {
	switch typ.Kind() {
	case reflect.String:
		return `"0"`
	case reflect.Bool:
		return `true`
	case reflect.Slice:
		return `[]`
	case reflect.Map:
		return `{"a": "1"}`
	}
	return `1`
}

var block = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?")

// TestManifestsInTheReference parses what the pages show. A block of text right behind a manifest holds its errors.
func TestManifestsInTheReference(t *testing.T) {
	blocks := block.FindAllStringSubmatch(page(t, "manifest.md"), -1)
	if len(blocks) < 3 {
		t.Fatalf("only %d manifests were found", len(blocks))
	}
	for _, b := range blocks {
		_, errs := desired.Parse("web.yaml", []byte(b[1]), "/etc/reconciler/manifests")
		var told strings.Builder
		for _, err := range errs {
			told.WriteString(err.Error() + "\n")
		}
		if told.String() != b[2] {
			t.Errorf("%s\nhas the errors\n%s, and not\n%s", b[1], told.String(), b[2])
		}
	}
}

func TestReferenceOfTheStatus(t *testing.T) {
	text, exit := page(t, "status.md"), reflect.TypeFor[api.Exit]()
	same(t, "a container", words(t, text, "## Fields of a container"),
		leaves("", reflect.TypeFor[api.Container](), reflect.TypeFor[desired.Spec](), exit, moment))
	same(t, "an exit", words(t, text, "## Fields of an exit"), leaves("", exit, moment))
	same(t, "an event", words(t, text, "## Fields of an event"), leaves("", reflect.TypeFor[api.Event](), moment))
}

// TestReferenceOfTheFiles holds what the subreaper says of its own places.
func TestReferenceOfTheFiles(t *testing.T) {
	text := page(t, "files.md")
	var written []string
	for _, place := range []string{"## State", "## Run", "## Logs", "## Elsewhere"} {
		written = append(written, words(t, text, place)...)
	}
	run := reflect.ValueOf(subreaper.RunDir("<run>"))
	paths := []string{subreaper.LockPath("<state>")}
	for i := range run.NumMethod() {
		method := run.Method(i)
		var args []reflect.Value
		for range method.Type().NumIn() {
			args = append(args, reflect.ValueOf("<instance>"))
		}
		paths = append(paths, method.Call(args)[0].String())
	}
	for _, path := range paths {
		if !slices.Contains(written, path) && !slices.Contains(written, path+"/") {
			t.Errorf("files.md lacks %s", path)
		}
	}
}
