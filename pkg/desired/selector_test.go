package desired

import (
	"strings"
	"testing"
)

func TestSelector(t *testing.T) {
	labels := map[string]string{"tier": "front", "example.com/team": "a-team", "empty": "", "in": "x"}
	for text, want := range map[string]bool{
		"tier=front":                     true,
		"tier==front":                    true,
		"tier = front":                   true,
		"tier=back":                      false,
		"tier!=back":                     true,
		"tier != front":                  false,
		"nope!=back":                     true,
		"nope=back":                      false,
		"tier":                           true,
		"nope":                           false,
		"!tier":                          false,
		"! nope":                         true,
		"tier in (back,front)":           true,
		"tier in ( back , front )":       true,
		"tier in(back)":                  false,
		"tier notin (back)":              true,
		"tier notin (front,back)":        false,
		"nope notin (back)":              true,
		"nope in (back)":                 false,
		"empty=":                         true,
		"empty=,tier":                    true,
		"tier=":                          false,
		"empty!=":                        false,
		"in in (x)":                      true,
		"in":                             true,
		"tier=front,example.com/team":    true,
		"tier=front,!example.com/team":   false,
		"tier=front,tier=back":           false,
		" tier=front , tier notin (x,y)": true,
	} {
		s, err := ParseSelector(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := s.Matches(labels); got != want {
			t.Errorf("%q (%s): %v", text, s, got)
		}
	}
	if !(Selector{}).Matches(nil) {
		t.Error("the zero selector does not choose all")
	}
}

func TestSelectorErrors(t *testing.T) {
	for text, says := range map[string]string{
		"":                   "a label's key is missing: write one such as tier=front",
		"  ":                 "a label's key is missing",
		",":                  `missing before ","`,
		"tier=front,":        "a label's key is missing",
		"=front":             `missing before "="`,
		"!":                  "a label's key is missing",
		"!tier=front":        `a comma is missing before "="`,
		"tier=front back":    `a comma is missing before "back"`,
		"tier front":         `"front" after the key "tier": write one of`,
		"tier=(front)":       `a comma is missing before "("`,
		"tier in front":      `in and notin take a list before "front"`,
		"tier in":            "in and notin take a list",
		"tier in ()":         "a value is missing in the list",
		"tier in (a":         "the list is not closed: write a )",
		"tier in (a,":        "a value is missing",
		"tier in (a b)":      `the list is not closed before "b"`,
		"tier in (a) b":      `a comma is missing before "b"`,
		"tier === x":         `a comma is missing before "="`,
		"-tier=x":            `"-tier" cannot be the key of a label`,
		"a/b/c":              "cannot be the key",
		"tier>1":             `"tier>1" cannot be the key`,
		"tier=\xff":          "is not UTF-8",
		"tier=\x1b[31m\xffx": "is not UTF-8",
	} {
		_, err := ParseSelector(text)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %v, want %q", text, err, says)
		}
	}
}

// Whatever is read is read back as the same, chooses what it says, and its errors are one printable line.
func FuzzSelector(f *testing.F) {
	for _, text := range []string{"tier=front", "a!=b,!c,d in (e,f),g notin (h),i", "in in (in)", "k=", "(", "=="} {
		f.Add(text, "tier", "front")
	}
	f.Fuzz(func(t *testing.T, text, key, value string) {
		s, err := ParseSelector(text)
		if err != nil {
			if printable(err.Error()) != err.Error() {
				t.Errorf("%q: the error is not printable: %q", text, err)
			}
			return
		}
		again, err := ParseSelector(s.String())
		if err != nil || again.String() != s.String() {
			t.Fatalf("%q became %q, and that %q: %v", text, s, again, err)
		}
		labels := map[string]string{key: value}
		if s.Matches(labels) != again.Matches(labels) || s.Matches(nil) != again.Matches(nil) {
			t.Errorf("%q and %q choose differently", text, s)
		}
	})
}
