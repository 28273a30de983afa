package desired

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

const head = "apiVersion: reconciler/v1alpha1\nkind: Container\n"

// of makes a manifest of lines that start on line 3.
func of(lines ...string) string { return head + strings.Join(lines, "\n") + "\n" }

// spec makes a manifest whose spec's lines, besides bundle, start on line 6.
func spec(lines ...string) string {
	return of("metadata: {name: web}", "spec:", "  bundle: b\n  "+strings.Join(lines, "\n  "))
}

const (
	keyRule = "a key must be at most 63 letters, digits and ._- with a letter or digit at both ends; " +
		"a DNS name and a slash may stand before it: write one such as example.com/tier"
	nameRule  = "must be 1 to 63 of a-z, 0-9 and dash, with no dash at either end, not "
	wholeNum  = "must be a whole number in plain decimal, without quotes and leading zeros, not "
	aNumber   = "must be a number in plain decimal such as 1.5, without quotes and leading zeros, not "
	durUnits  = " is no duration: write numbers with units (ms, s, m, h), such as 500ms or 1m30s"
	sizeUnits = " is no size: write a whole number with a unit (Ki, Mi, Gi; k, M, G) such as 10Mi, or of bytes"
	tagged    = " are not supported: write a plain value"
)

var parseErrors = []struct {
	name, text string
	want       []string // without the file's name
}{
	// What is no manifest.
	{"empty", "", []string{"1:1: there is no Container in this file: remove the file, or write one"}},
	{"comments", "# a\n---\n# b\n---\nnull\n", []string{"1:1: there is no Container in this file: remove the file, or write one"}},
	{"list", "- a\n", []string{"1:1: a document must be a mapping that starts with apiVersion: reconciler/v1alpha1"}},
	{"text", "hello\n", []string{"1:1: a document must be a mapping that starts with apiVersion: reconciler/v1alpha1"}},
	{"other kind", "apiVersion: v1\nkind: Pod\nmetadata: [1]\n",
		[]string{`1:13: apiVersion: must be reconciler/v1alpha1, not "v1"`, `2:7: kind: must be Container, not "Pod"`}},
	{"missing all", "x: 1\n", []string{
		"1:1: x: unknown field: there are apiVersion, kind, metadata, spec",
		"1:1: apiVersion: is missing: write reconciler/v1alpha1", "1:1: kind: is missing: write Container",
		"1:1: metadata: is missing: name the container with metadata: {name: ...}",
		"1:1: spec: is missing: a container needs at least spec: {bundle: ...}"}},
	{"missing inner", of("metadata: {labels: {}}", "spec: {state: Running}"), []string{
		"3:11: metadata.name: is missing: write a name such as web", "4:7: spec.bundle: is missing: write the path of an OCI bundle directory"}},

	// What is no text.
	{"NUL", "a: \"x\x00\"\n", []string{`1:6: control character '\x00': a manifest is plain text`}},
	{"binary", "\x7fELF\x02\x01\x01\x00\x00", []string{`1:1: control character '\x7f': a manifest is plain text`}},
	{"not UTF-8", "a: é\nb: \xff\n", []string{"2:4: this is not UTF-8 text: save the file as UTF-8"}},
	{"UTF-16", "\xff\xfea\x00", []string{"1:1: this is not UTF-8 text: save the file as UTF-8"}},
	{"BOM inside", "a: \ufeffb\n", []string{`1:4: control character '\ufeff': a manifest is plain text`}},
	{"escape", "a: \x1b[2J\n", []string{`1:4: control character '\x1b': a manifest is plain text`}},
	{"too large", strings.Repeat("#", MaxFile+1), []string{" is larger than 1 MiB: a manifest holds containers, not data"}},

	// What is no YAML.
	{"tab", "kind: Container\nmetadata:\n\tname: x\n", []string{
		"3:1: found character that cannot start any token: indent with spaces, and quote a value that starts with @, ` or %"}},
	{"tab between", "a: 1\n\tb: 2\n", []string{"2:1: found a tab character that violates indentation: indent with spaces"}},
	{"two colons", "x: 1\na: b: c\nz: 3\n",
		[]string{`2:5: mapping values are not allowed in this context: quote a value that holds ": ", or mend the indentation`}},
	{"indentation", "a:\n  b: 1\n c: 2\nd: 3\ne: 4\n", []string{"3:2: did not find expected key: mend the indentation of this line"}},
	{"open brace", "x: 1\na: {b: 1\nc: 2\nd: 3\n",
		[]string{"2:4: did not find expected ',' or '}': close what is opened here, and put commas between its items"}},
	{"open quote", "a: 1\nb: \"abc\nc: 2\nd: 3\n", []string{"2:4: found unexpected end of stream: the quote opened here is not closed"}},
	{"no colon", "a: 1\nb: 2\nfoo\nc: 3\n", []string{`3:1: could not find expected ':': a field is "name: value"`}},
	{"backslash", "a: \"\\q\"\nb: 1\n", []string{"1:5: found unknown escape character: double the backslash, or use single quotes"}},
	{"unknown anchor", "a: 1\nb: *u\n", []string{"2:4: " + noAliases}},
	{"after a good document", full + "---\na: ]\n", []string{"41:4: did not find expected node content"}},

	// What YAML offers and a manifest does not take.
	{"bomb", "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n" + head + "metadata: {name: *a}\nspec: {bundle: b}\n", []string{
		"1:1: a: unknown field: there are apiVersion, kind, metadata, spec", "2:1: b: unknown field: there are apiVersion, kind, metadata, spec",
		"3:1: c: unknown field: there are apiVersion, kind, metadata, spec", "6:18: metadata.name: " + noAliases}},
	{"anchor", of("metadata: {name: &n web}", "spec: &s {bundle: b}"), []string{"3:18: metadata.name: " + noAliases, "4:7: spec: " + noAliases}},
	{"anchored document", "&d\n" + head, []string{"1:1: " + noAliases}},
	{"merge", spec("<<: {state: Stopped}"), []string{`6:3: spec["<<"]: ` + noAliases}},
	{"tag", of("metadata: {name: !!str 5}", "spec: !mine {bundle: b}"),
		[]string{`3:18: metadata.name: tags such as "!!str"` + tagged, `4:7: spec: tags such as "!mine"` + tagged}},
	{"null tag", spec("process: {env: {A: !!null x}}"), []string{`6:22: spec.process.env.A: tags such as "!!null"` + tagged}},
	{"template", of("metadata: {name: web}", "spec:", "  {{ .x }}: 1", "  bundle: b"),
		[]string{"5:3: spec: a key must be a single value: put braces and brackets in quotes"}},
	{"keys", of("metadata: {name: web, 1: a, true: b, ~: c}", "spec: {bundle: b}"), []string{
		`3:23: metadata.1: a key must be a string: write "1"`, `3:29: metadata.true: a key must be a string: write "true"`,
		`3:38: metadata["~"]: a key must be a string: write "~"`}},

	// Fields.
	{"unknown", of("metadata: {name: web}", "spec: {bundel: b}"), []string{"4:8: spec.bundel: unknown field: did you mean bundle?"}},
	{"unknown without a near one", spec("image: x"),
		[]string{"6:3: spec.image: unknown field: there are bundle, state, restart, stop, process, resources, log"}},
	{"by case", spec("Restart: {Policy: x}"), []string{"6:3: spec.Restart: unknown field: did you mean restart?"}},
	{"cut short", spec("stop: {grace: 1s}"), []string{"6:10: spec.stop.grace: unknown field: did you mean gracePeriod?"}},
	{"odd names", spec(`"a\nb": 1`, `"": 2`), []string{
		`6:3: spec["a\nb"]: unknown field: there are bundle, state, restart, stop, process, resources, log`,
		`7:3: spec[""]: unknown field: there are bundle, state, restart, stop, process, resources, log`}},
	{"twice", spec("state: Running", "state: Stopped", "state: 3"),
		[]string{"7:3: spec.state: given twice, first on line 6: remove one", "8:3: spec.state: given twice, first on line 6: remove one"}},
	{"twice in a map", spec("process: {env: {A: a, B: b, A: c}}"), []string{"6:31: spec.process.env.A: given twice, first on line 6: remove one"}},
	{"resources", spec("resources: {memory: {limit: 64Mi, swap: '1', lmit: 1}, cpu: {shares: -1, cpus: 0}, pids: {limit: 1.5}}"), []string{
		"6:31: spec.resources.memory.limit: must be a plain whole number, as in config.json: write 67108864",
		`6:43: spec.resources.memory.swap: must be a plain whole number, as in config.json: write 1`,
		"6:48: spec.resources.memory.lmit: unknown field: did you mean limit?",
		"6:72: spec.resources.cpu.shares: -1 is out of range (uint64)", `6:82: spec.resources.cpu.cpus: must be a string: write "0"`,
		`6:100: spec.resources.pids.limit: ` + wholeNum + `"1.5"`}},
	{"more resources", spec("resources: {devices: {}, unified: {memory.high: 1}, memory: [], blockIO: {weightDevice: [{major: x}]}, cpu: }"), []string{
		"6:24: spec.resources.devices: must be a list, not a mapping (key: value)",
		`6:51: spec.resources.unified["memory.high"]: must be a string: write "1"`,
		"6:63: spec.resources.memory: must be a mapping (key: value), not a list",
		`6:100: spec.resources.blockIO.weightDevice[0].major: ` + wholeNum + `"x"`,
		"6:111: spec.resources.cpu: has no value: give it one, remove the line, or write null to take the bundle's own away"}},
	{"resources nothing", spec("resources:", "log: 5"), []string{
		"6:13: spec.resources: has no value: give it one, or remove the line", "7:8: spec.log: must be a mapping (key: value), not a single value"}},
	{"log", spec("log: {maxSize: 10MB, maxFiles: 0, size: 1}"), []string{
		`6:18: spec.log.maxSize: "10MB"` + sizeUnits, "6:34: spec.log.maxFiles: must be from 1 to 1000, not 0",
		"6:37: spec.log.size: unknown field: there are maxSize, maxFiles"}},
	{"log out of range", spec("log: {maxSize: 1Ki, maxFiles: '3'}"), []string{
		"6:18: spec.log.maxSize: must be from 64Ki to 1Ti, not 1Ki", `6:33: spec.log.maxFiles: ` + wholeNum + `"3"`}},
	{"log huge", spec("log: {maxSize: 99999999999999999999Gi}"), []string{`6:18: spec.log.maxSize: "99999999999999999999Gi"` + sizeUnits}},
	{"no value", spec("state:", "restart:", "process: {args: null, cwd: ~}"), []string{
		"6:9: spec.state: has no value: give it one, or remove the line", "7:11: spec.restart: has no value: give it one, or remove the line",
		"8:19: spec.process.args: has no value: give it one, or remove the line",
		"8:30: spec.process.cwd: has no value: give it one, or remove the line"}},
	{"types", spec("state: {}", "restart: 3", "stop: [x]", "process: {args: ls, env: [A=b], terminal: 1}"), []string{
		"6:10: spec.state: must be a single value, not a mapping (key: value)", "7:12: spec.restart: must be a mapping (key: value), not a single value",
		"8:9: spec.stop: must be a mapping (key: value), not a list", "9:19: spec.process.args: must be a list, not a single value",
		"9:28: spec.process.env: must be a mapping (key: value), not a list", `9:45: spec.process.terminal: must be true or false, not "1"`}},

	// Names, labels, annotations.
	{"name with dots", of("metadata: {name: web.1}", "spec: {bundle: b}"), []string{`3:18: metadata.name: ` + nameRule + `"web.1": write web-1`}},
	{"name with slash", of("metadata: {name: ../web}", "spec: {bundle: b}"), []string{`3:18: metadata.name: ` + nameRule + `"../web": write web`}},
	{"name upper", of("metadata: {name: Web}", "spec: {bundle: b}"), []string{`3:18: metadata.name: ` + nameRule + `"Web": write web`}},
	{"name dots only", of("metadata: {name: ..}", "spec: {bundle: b}"), []string{`3:18: metadata.name: ` + nameRule + `".."`}},
	{"name empty", of("metadata: {name: ''}", "spec: {bundle: b}"), []string{`3:18: metadata.name: ` + nameRule + `""`}},
	{"name long", of("metadata: {name: "+strings.Repeat("a", 80)+"}", "spec: {bundle: b}"),
		[]string{"3:18: metadata.name: " + nameRule + `"` + strings.Repeat("a", 60) + `…": write ` + strings.Repeat("a", 63)}},
	{"name a number", of("metadata: {name: 123}", "spec: {bundle: b}"), []string{`3:18: metadata.name: must be a string: write "123"`}},
	{"name twice", full + "---\n" + of("metadata: {name: plain}", "spec: {bundle: b}"),
		[]string{`43:18: metadata.name: "plain" is the name of the container on line 38 already: choose another one`}},
	{"labels", of("metadata:", "  name: web", "  labels: {a: 1, b: true, c: [], d: , .x: y, x/y/z: a, /x: b, A.b/c: d, "+strings.Repeat("a", 64)+": a}",
		"  annotations: x", "spec: {bundle: b}"), []string{
		`5:15: metadata.labels.a: must be a string: write "1"`, `5:21: metadata.labels.b: must be a string: write "true"`,
		"5:30: metadata.labels.c: must be a single value, not a list", "5:37: metadata.labels.d: has no value: give it one, or remove the line",
		`5:39: metadata.labels[".x"]: ` + keyRule, `5:46: metadata.labels["x/y/z"]: ` + keyRule, `5:56: metadata.labels["/x"]: ` + keyRule,
		`5:63: metadata.labels["A.b/c"]: ` + keyRule, `5:73: metadata.labels["` + strings.Repeat("a", 60) + `…"]: ` + keyRule,
		"6:16: metadata.annotations: must be a mapping (key: value), not a single value"}},

	// Values.
	{"bundle", of("metadata: {name: web}", "spec: {bundle: ''}"), []string{"4:16: spec.bundle: must not be empty: write the path of an OCI bundle directory"}},
	{"bundle NUL", of("metadata: {name: web}", `spec: {bundle: "a\0b"}`), []string{"4:16: spec.bundle: must not hold a NUL character"}},
	{"bundle long", of("metadata: {name: web}", "spec: {bundle: "+strings.Repeat("a/", 2100)+"}"),
		[]string{"4:16: spec.bundle: is too long: a path has at most 4095 bytes"}},
	{"state", spec("state: running", "restart: {policy: Sometimes}"), []string{
		"6:10: spec.state: must be Running, Stopped or Paused: did you mean Running?",
		`7:21: spec.restart.policy: must be Always, OnFailure or Never, not "Sometimes"`}},
	{"durations", spec("stop: {gracePeriod: 10}", "restart: {backoff: {initial: '5', max: 1d, resetAfter: -1s}}"), []string{
		"6:23: spec.stop.gracePeriod: has no unit: write 10s", "7:32: spec.restart.backoff.initial: has no unit: write 5s",
		`7:42: spec.restart.backoff.max: "1d"` + durUnits, "7:58: spec.restart.backoff.resetAfter: must be from 1ms to 8760h, not -1s"}},
	{"more durations", spec("stop: {gracePeriod: 010s}", "restart: {backoff: {initial: 0s, max: 10000h, resetAfter: 1:30}}"), []string{
		"7:32: spec.restart.backoff.initial: must be from 1ms to 8760h, not 0s", "7:41: spec.restart.backoff.max: must be from 1ms to 8760h, not 10000h",
		`7:61: spec.restart.backoff.resetAfter: "1:30"` + durUnits}},
	{"durations without quotes", spec("stop: {gracePeriod: 1.5}", "restart: {backoff: {initial: .inf, max: true, resetAfter: 0x10}}"), []string{
		`6:23: spec.stop.gracePeriod: must be a string: write "1.5"`, `7:32: spec.restart.backoff.initial: must be a string: write ".inf"`,
		`7:43: spec.restart.backoff.max: must be a string: write "true"`, `7:61: spec.restart.backoff.resetAfter: must be a string: write "0x10"`}},
	{"huge duration", spec("stop: {gracePeriod: 99999999999999999999h}"), []string{`6:23: spec.stop.gracePeriod: "99999999999999999999h"` + durUnits}},
	{"max below initial", spec("restart: {backoff: {initial: 10m}}"),
		[]string{"6:32: spec.restart.backoff.initial: initial is 10m and max is 5m: max must not be the shorter one"}},
	{"retries", spec("restart: {maxRetries: 010}"), []string{"6:25: spec.restart.maxRetries: " + wholeNum + `"010"`}},
	{"retries 2", spec("restart: {maxRetries: 1_0}"), []string{"6:25: spec.restart.maxRetries: " + wholeNum + `"1_0"`}},
	{"retries 3", spec("restart: {maxRetries: '3'}"), []string{"6:25: spec.restart.maxRetries: " + wholeNum + `"3"`}},
	{"retries 4", spec("restart: {maxRetries: 0x1}"), []string{"6:25: spec.restart.maxRetries: " + wholeNum + `"0x1"`}},
	{"retries 5", spec("restart: {maxRetries: -1}"), []string{"6:25: spec.restart.maxRetries: must be from 0 to 1000000, not -1"}},
	{"retries 6", spec("restart: {maxRetries: 99999999999999999999}"),
		[]string{"6:25: spec.restart.maxRetries: must be from 0 to 1000000, not 99999999999999999999"}},
	{"retries 7", spec("restart: {maxRetries: 1.0}"), []string{"6:25: spec.restart.maxRetries: " + wholeNum + `"1.0"`}},
	{"factor", spec("restart: {backoff: {factor: 0.5}}"), []string{"6:31: spec.restart.backoff.factor: must be from 1 to 1000, not 0.5"}},
	{"factor 2", spec("restart: {backoff: {factor: .nan}}"), []string{"6:31: spec.restart.backoff.factor: " + aNumber + `".nan"`}},
	{"factor 3", spec("restart: {backoff: {factor: 1e2}}"), []string{"6:31: spec.restart.backoff.factor: " + aNumber + `"1e2"`}},
	{"factor 4", spec("restart: {backoff: {factor: two}}"), []string{"6:31: spec.restart.backoff.factor: " + aNumber + `"two"`}},
	{"factor 5", spec("restart: {backoff: {factor: 2.}}"), []string{"6:31: spec.restart.backoff.factor: " + aNumber + `"2."`}},
	{"signals", spec("stop: {signal: SIGTRM}"), []string{`6:18: spec.stop.signal: "SIGTRM": no such signal: did you mean SIGTERM?`}},
	{"signal 0", spec("stop: {signal: 0}"), []string{`6:18: spec.stop.signal: "0": no such signal: the numbers are 1 to 64`}},
	{"signal 010", spec("stop: {signal: 010}"), []string{`6:18: spec.stop.signal: "010": write the number of a signal without signs and leading zeros`}},
	{"signal type", spec("stop: {signal: [TERM]}"), []string{"6:18: spec.stop.signal: must be a single value, not a list"}},
	{"signal bool", spec("stop: {signal: true}"), []string{`6:18: spec.stop.signal: must be a string: write "true"`}},
	{"args", spec("process: {args: []}"), []string{"6:19: spec.process.args: must not be empty: give the command, or remove the line to run the bundle's own"}},
	{"args 2", spec(`process: {args: ["", 5, yes, 1.0, null, [], "a\0"]}`), []string{
		"6:20: spec.process.args[0]: must not be empty: this is the command", `6:24: spec.process.args[1]: must be a string: write "5"`,
		`6:32: spec.process.args[3]: must be a string: write "1.0"`, "6:37: spec.process.args[4]: has no value: give it one, or remove the line",
		"6:43: spec.process.args[5]: must be a single value, not a list", "6:47: spec.process.args[6]: must not hold a NUL character"}},
	{"env", spec(`process: {env: {A: 8080, B: true, "C=D": x, "": y, E: "\0", F: {}}}`), []string{
		`6:22: spec.process.env.A: must be a string: put it in quotes`, `6:31: spec.process.env.B: must be a string: put it in quotes`,
		`6:37: spec.process.env["C=D"]: the name of a variable must not be empty, and hold no = and no NUL character`,
		`6:47: spec.process.env[""]: the name of a variable must not be empty, and hold no = and no NUL character`,
		"6:57: spec.process.env.E: must not hold a NUL character", "6:66: spec.process.env.F: must be a single value, not a mapping (key: value)"}},
	{"cwd", spec("process: {cwd: srv/x}"), []string{`6:18: spec.process.cwd: must be an absolute path inside the container, not "srv/x": write /srv/x`}},
	{"terminal", spec("process: {terminal: yes}"), []string{`6:23: spec.process.terminal: must be true or false, not "yes"`}},
	{"all documents at once", spec("state: x") + "---\n" + spec("sate: Running"), []string{
		`6:10: spec.state: must be Running, Stopped or Paused, not "x"`,
		`10:18: metadata.name: "web" is the name of the container on line 3 already: choose another one`,
		"13:3: spec.sate: unknown field: did you mean state?"}},
}

func TestParseErrors(t *testing.T) {
	for _, c := range parseErrors {
		t.Run(c.name, func(t *testing.T) { wantErrors(t, "m.yaml", c.text, c.want) })
	}
}

func wantErrors(t *testing.T, file, text string, want []string) {
	t.Helper()
	containers, errs := Parse(file, []byte(text), base)
	if containers != nil {
		t.Errorf("containers beside errors: %+v", containers)
	}
	var got []string
	for _, err := range errs {
		if _, ok := errors.AsType[*Error](err); !ok {
			t.Errorf("%T, not an *Error", err)
		}
		got = append(got, strings.TrimPrefix(err.Error(), file+":"))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestParseJSONErrors(t *testing.T) {
	const head = `{"apiVersion": "reconciler/v1alpha1", "kind": "Container",` + "\n"
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"empty", " \n", []string{"1:1: there is no Container in this file: remove the file, or write one"}},
		{"truncated", head + ` "metadata": {`, []string{"2:15: unexpected EOF"}},
		{"truncated string", head + ` "meta`, []string{"2:7: unexpected EOF"}},
		{"syntax", head + ` "é": tru`, []string{"2:10: unexpected EOF"}},
		{"comma", "{\n \"a\": 1,\n}", []string{"3:1: invalid character '}' looking for beginning of object key string"}},
		{"YAML", "kind: Container\n", []string{"1:1: invalid character 'k' looking for beginning of value"}},
		{"deep", strings.Repeat("[", 200), []string{"1:101: nested too deeply"}},
		{"fields", head + `	"metadata": {"name": "é", "name": "b"}, "spec": {"bundle": 3.5, "state": null, "stop": {"signal": 15}}}`, []string{
			`2:23: metadata.name: ` + nameRule + `"é"`, "2:28: metadata.name: given twice, first on line 2: remove one",
			`2:61: spec.bundle: must be a string: write "3.5"`, "2:75: spec.state: has no value: give it one, or remove the line"}},
		{"factor", head + `"metadata": {"name": "a"}, "spec": {"bundle": "b", "restart": {"backoff": {"factor": 1e400}}}}`,
			[]string{"2:86: spec.restart.backoff.factor: " + aNumber + `"1e400"`}},
	} {
		t.Run(c.name, func(t *testing.T) { wantErrors(t, "m.json", c.text, c.want) })
	}
}

// The number of errors is bounded: they are kept and shown.
func TestParseBoundsErrors(t *testing.T) {
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, "k%d: 1\n", i)
	}
	_, errs := Parse("m.yaml", []byte(b.String()), base)
	if len(errs) != maxErrors || !strings.HasSuffix(errs[maxErrors-1].Error(), "there are more errors than these: is this a manifest?") {
		t.Errorf("%d errors, the last one: %v", len(errs), errs[len(errs)-1])
	}
}

func TestErrorIsOneLine(t *testing.T) {
	_, errs := Parse("a\nb\x1b.yaml", []byte(spec(`"\e[2J\n": "`+strings.Repeat("x", 5000)+`"`, `state: "\e\n"`)), base)
	for _, err := range errs {
		if s := err.Error(); strings.ContainsAny(s, "\n\x1b") || len(s) > 500 {
			t.Errorf("%q", s)
		}
	}
	if len(errs) != 2 {
		t.Error(errs)
	}
}

// A base that is no UTF-8 would come back from the store as another path.
func TestParseBaseIsText(t *testing.T) {
	_, errs := Parse("m.yaml", []byte(spec()), "/\xff")
	if len(errs) != 1 || errs[0].Error() != `m.yaml:5:11: spec.bundle: "/\xff/b" is not UTF-8 text: rename that directory` {
		t.Error(errs)
	}
}
