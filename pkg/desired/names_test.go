package desired

import (
	"strings"
	"testing"
)

func TestValidName(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, s := range []string{"a", "0", "web", "web-1", "a--b", long} {
		if !ValidName(s) {
			t.Errorf("%q refused", s)
		}
	}
	for _, s := range []string{"", "-", "-a", "a-", "A", "a.b", "a/b", "..", "a b", "a_b", "é", "a\n", "a\x00", long + "a"} {
		if ValidName(s) {
			t.Errorf("%q accepted", s)
		}
		if near := nameLike(s); near != "" && !ValidName(near) {
			t.Errorf("%q suggested for %q", near, s)
		}
	}
}

func TestSuggest(t *testing.T) {
	words := []string{"bundle", "state", "restart", "stop", "process", "gracePeriod"}
	for word, want := range map[string]string{
		"bundel": "bundle", "Bundle": "bundle", "stat": "state", "sotp": "stop", "restartPolicy": "restart", "grace": "gracePeriod",
		"grace_period": "gracePeriod", "image": "", "s": "", "": "", "x": "", "stopp": "stop",
		"bundle" + strings.Repeat("x", 100): "",
	} {
		if got := suggest(word, words); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
