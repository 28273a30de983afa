package desired

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// container reads one document.
func (p *parsing) container(doc *yaml.Node) Container {
	c := defaults()
	v := value{doc, "", p}
	if !v.ofOurKind() {
		return c
	}
	v.fields(
		field{"apiVersion", func(value) {}, "write " + APIVersion},
		field{"kind", func(value) {}, "write " + Kind},
		field{"metadata", func(v value) { v.metadata(&c) }, "name the container with metadata: {name: ...}"},
		field{"spec", func(v value) { v.spec(&c.Spec) }, "a container needs at least spec: {bundle: ...}"},
	)
	return c
}

// ofOurKind reports whether a document claims to be a container. Of one that claims to be something else nothing more is
// told: all of it would be wrong.
func (v value) ofOurKind() bool {
	if v.Kind != yaml.MappingNode && v.Kind != yaml.AliasNode {
		v.fail("a document must be a mapping that starts with apiVersion: %s", APIVersion)
		return false
	}
	if !v.plain() {
		return false
	}
	ours := true
	for pair := range slices.Chunk(v.Content, 2) {
		item := v.child(pair[0].Value, pair[1])
		switch pair[0].Value {
		case "apiVersion":
			ours = item.only(APIVersion) && ours
		case "kind":
			ours = item.only(Kind) && ours
		}
	}
	return ours
}

func (v value) only(word string) bool {
	s, ok := v.text()
	if ok && s != word {
		v.fail("must be %s, not %s", word, quote(s))
	}
	return ok && s == word
}

func (v value) metadata(c *Container) {
	v.fields(
		field{"name", func(v value) { c.Name = v.name() }, "write a name such as web"},
		field{"labels", func(v value) { c.Labels = v.strings() }, ""},
		field{"annotations", func(v value) { c.Annotations = v.strings() }, ""},
	)
}

func (v value) name() string {
	name, ok := v.text()
	if !ok {
		return ""
	}
	if !ValidName(name) {
		const rule = "must be 1 to 63 of a-z, 0-9 and dash, with no dash at either end"
		if near := nameLike(name); near != "" {
			v.fail("%s, not %s: write %s", rule, quote(name), near)
		} else {
			v.fail("%s, not %s", rule, quote(name))
		}
		return ""
	}
	if line, twice := v.p.lines[name]; twice {
		v.fail("%s is the name of the container on line %d already: choose another one", quote(name), line)
		return ""
	}
	v.p.lines[name] = v.Line
	return name
}

// strings reads labels or annotations.
func (v value) strings() map[string]string {
	m := map[string]string{}
	if !v.is(yaml.MappingNode) {
		return m
	}
	for key, item := range v.pairs() {
		if !validKey(key.Value) {
			key.fail("a key must be at most 63 letters, digits and ._- with a letter or digit at both ends; a DNS name " +
				"and a slash may stand before it: write one such as example.com/tier")
			continue
		}
		m[key.Value], _ = item.text()
	}
	return m
}

func (v value) spec(s *Spec) {
	v.fields(
		field{"bundle", func(v value) { s.Bundle = v.bundle() }, "write the path of an OCI bundle directory"},
		field{"state", func(v value) { v.state(&s.State) }, ""},
		field{"restart", func(v value) { v.restart(&s.Restart) }, ""},
		field{"stop", func(v value) { v.stop(&s.Stop) }, ""},
		field{"process", func(v value) { v.process(&s.Process) }, ""},
		field{"resources", func(v value) { s.Resources = v.resources() }, ""},
		field{"log", func(v value) { v.log(&s.Log) }, ""},
	)
}

func (v value) bundle() string {
	path, ok := v.text()
	switch {
	case !ok:
	case path == "":
		v.fail("must not be empty: write the path of an OCI bundle directory")
	case filepath.IsAbs(path):
		return v.checked(filepath.Clean(path))
	default:
		return v.checked(filepath.Join(v.p.base, path))
	}
	return ""
}

// checked refuses what no system call would take (path_resolution(7)), and what JSON cannot carry. A manifest is UTF-8, the
// directory it lies in need not be.
func (v value) checked(path string) string {
	const pathMax = 4096 // with its NUL
	switch {
	case len(path) >= pathMax:
		v.fail("is too long: a path has at most %d bytes", pathMax-1)
	case !utf8.ValidString(path):
		v.fail("%s is not UTF-8 text: rename that directory", quote(path))
	}
	return path
}

func (v value) state(s *State) { set(s)(enum(v, Running, Stopped, Paused)) }

func (v value) restart(r *Restart) {
	const retries = 1_000_000 // nine years of the longest default backoff
	v.fields(
		field{"policy", func(v value) { set(&r.Policy)(enum(v, Always, OnFailure, Never)) }, ""},
		field{"backoff", func(v value) { v.backoff(&r.Backoff) }, ""},
		field{"maxRetries", func(v value) { set(&r.MaxRetries)(v.integer(0, retries)) }, ""},
	)
}

// The least wait between two restarts keeps a crash loop from taking the whole machine. A factor beyond the greatest one is
// a slip of the pen: it would reach any max in the second step.
const (
	leastBackoff = time.Millisecond
	mostFactor   = 1000
)

func (v value) backoff(b *Backoff) {
	failed := len(v.p.errs)
	initial := v
	v.fields(
		field{"initial", func(v value) { initial = v; set(&b.Initial)(v.duration(leastBackoff)) }, ""},
		field{"factor", func(v value) { set(&b.Factor)(v.float(1, mostFactor)) }, ""},
		field{"max", func(v value) { set(&b.Max)(v.duration(leastBackoff)) }, ""},
		field{"resetAfter", func(v value) { set(&b.ResetAfter)(v.duration(leastBackoff)) }, ""},
	)
	if b.Max < b.Initial && len(v.p.errs) == failed {
		initial.fail("initial is %s and max is %s: max must not be the shorter one",
			brief(time.Duration(b.Initial)), brief(time.Duration(b.Max)))
	}
}

func (v value) stop(s *Stop) {
	v.fields(
		field{"signal", func(v value) { set(&s.Signal)(v.signal()) }, ""},
		field{"gracePeriod", func(v value) { set(&s.GracePeriod)(v.duration(0)) }, ""},
	)
}

// A log file holds at least some of the longest lines that are kept whole (16 KiB, as in Kubernetes), and the number of
// files at most what a person would look through.
const (
	leastLog     Size = 64 << 10
	mostLog      Size = 1 << 40
	mostLogFiles      = 1000
)

func (v value) log(l *Log) {
	v.fields(
		field{"maxSize", func(v value) { set(&l.MaxSize)(v.size(leastLog, mostLog)) }, ""},
		field{"maxFiles", func(v value) { set(&l.MaxFiles)(v.integer(1, mostLogFiles)) }, ""},
	)
}

func (v value) process(p *Process) {
	v.fields(
		field{"args", func(v value) { p.Args = v.args() }, ""},
		field{"env", func(v value) { p.Env = v.env() }, ""},
		field{"cwd", func(v value) { p.Cwd = v.cwd() }, ""},
		field{"terminal", func(v value) {
			if b, ok := v.boolean(); ok {
				p.Terminal = &b
			}
		}, ""},
	)
}

func (v value) args() []string {
	if !v.is(yaml.SequenceNode) {
		return nil
	}
	if len(v.Content) == 0 {
		v.fail("must not be empty: give the command, or remove the line to run the bundle's own")
	}
	var args []string
	for i, n := range v.Content {
		item := value{n, v.path + "[" + strconv.Itoa(i) + "]", v.p}
		arg, ok := item.text()
		if ok && i == 0 && arg == "" {
			item.fail("must not be empty: this is the command")
		}
		args = append(args, arg)
	}
	return args
}

// env reads variables; null is a value here and removes one.
func (v value) env() map[string]*string {
	if !v.is(yaml.MappingNode) {
		return nil
	}
	m := map[string]*string{}
	for key, item := range v.pairs() {
		if key.Value == "" || strings.ContainsAny(key.Value, "=\x00") {
			key.fail("the name of a variable must not be empty, and hold no = and no NUL character")
			continue
		}
		m[key.Value] = nil
		if empty(item.Node) {
			continue
		}
		if s, ok := item.text(); ok {
			m[key.Value] = &s
		}
	}
	return m
}

func (v value) cwd() string {
	path, ok := v.text()
	if ok && path != "" && !filepath.IsAbs(path) {
		v.fail("must be an absolute path inside the container, not %s: write /%s", quote(path), printable(short(path)))
	}
	return path
}

// set returns a setter of *to, so that what could not be read leaves the default alone.
func set[T any](to *T) func(T, bool) {
	return func(v T, ok bool) {
		if ok {
			*to = v
		}
	}
}
