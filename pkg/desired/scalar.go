package desired

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// text reads a string. A plain scalar that YAML takes for a number or a boolean is none: its quotes were forgotten, or
// its reader would get another text than was written.
func (v value) text() (string, bool) {
	switch {
	case !v.is(yaml.ScalarNode):
	case v.Tag == "!!null":
		v.fail("has no value: give it one, or remove the line")
	case (v.Tag == "!!int" || v.Tag == "!!float" || v.Tag == "!!bool") && v.secret():
		v.fail("must be a string: put it in quotes")
	case v.Tag == "!!int", v.Tag == "!!float", v.Tag == "!!bool":
		v.fail("must be a string: write %s", quote(v.Value))
	case strings.Contains(v.Value, "\x00"):
		v.fail("must not hold a NUL character")
	default: // what YAML 1.1 took for a time or a merge key is just text
		return v.Value, true
	}
	return "", false
}

// secret: what is told of v is read by those who may not see it. Secrets live in the values of variables.
func (v value) secret() bool { return strings.HasPrefix(v.path, "spec.process.env") }

// enum reads one of a few words.
func enum[T ~string](v value, words ...T) (T, bool) {
	s, ok := v.text()
	if !ok {
		return "", false
	}
	var names []string
	for _, word := range words {
		if T(s) == word {
			return word, true
		}
		names = append(names, string(word))
	}
	last := len(names) - 1
	all := strings.Join(names[:last], ", ") + " or " + names[last]
	if near := suggest(s, names); near != "" {
		v.fail("must be %s: did you mean %s?", all, near)
	} else {
		v.fail("must be %s, not %s", all, quote(s))
	}
	return "", false
}

func (v value) boolean() (bool, bool) {
	if !v.is(yaml.ScalarNode) {
		return false, false
	}
	if v.Tag != "!!bool" || v.Value != "true" && v.Value != "false" {
		v.fail("must be true or false, not %s", quote(v.Value))
		return false, false
	}
	return v.Value == "true", true
}

func (v value) integer(least, most int) (int, bool) {
	if !v.is(yaml.ScalarNode) {
		return 0, false
	}
	if v.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 || !decimal(strings.TrimPrefix(v.Value, "-")) {
		v.fail("must be a whole number in plain decimal, without quotes and leading zeros, not %s", quote(v.Value))
		return 0, false
	}
	n, err := strconv.Atoi(v.Value)
	if err != nil || n < least || n > most {
		v.fail("must be from %d to %d, not %s", least, most, short(v.Value))
		return 0, false
	}
	return n, true
}

func (v value) float(least, most float64) (float64, bool) {
	if !v.is(yaml.ScalarNode) {
		return 0, false
	}
	whole, fraction, point := strings.Cut(strings.TrimPrefix(v.Value, "-"), ".")
	ok := decimal(whole) && (!point || digits(fraction))
	if v.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 || !ok {
		v.fail("must be a number in plain decimal such as 1.5, without quotes and leading zeros, not %s", quote(v.Value))
		return 0, false
	}
	x, err := strconv.ParseFloat(v.Value, 64)
	if err != nil || x < least || x > most {
		v.fail("must be from %v to %v, not %s", least, most, short(v.Value))
		return 0, false
	}
	return x, true
}

// decimal holds for what has one reading everywhere: YAML 1.1 takes 010 for eight and 1_0 for ten.
func decimal(s string) bool { return digits(s) && (s[0] != '0' || len(s) == 1) }

func digits(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return c < '0' || c > '9' })
}

// forever is the longest duration a manifest may hold: far from where adding it to a time would overflow.
const forever = 365 * 24 * time.Hour

// duration reads a number with a unit, not below least.
func (v value) duration(least time.Duration) (Duration, bool) {
	if !v.is(yaml.ScalarNode) {
		return 0, false
	}
	if decimal(v.Value) {
		v.fail("has no unit: write %ss", short(v.Value))
		return 0, false
	}
	s, ok := v.text()
	if !ok {
		return 0, false
	}
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		v.fail("%s is no duration: write numbers with units (ms, s, m, h), such as 500ms or 1m30s", quote(s))
	case d < least || d > forever:
		v.fail("must be from %s to %s, not %s", brief(least), brief(forever), short(s))
	default:
		return Duration(d), true
	}
	return 0, false
}

// brief is a duration as people write it: 5m, where time says 5m0s.
func brief(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// signal reads a signal into its canonical name.
func (v value) signal() (string, bool) {
	if !v.is(yaml.ScalarNode) {
		return "", false
	}
	s := v.Value
	if v.Tag != "!!int" { // a number needs no quotes here
		var ok bool
		if s, ok = v.text(); !ok {
			return "", false
		}
	}
	sig, err := ParseSignal(s)
	if err != nil {
		v.fail("%s: %s", quote(s), fmt.Sprint(err))
		return "", false
	}
	return SignalName(sig), true
}
