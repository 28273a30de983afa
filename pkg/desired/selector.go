package desired

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Selector chooses containers by their labels, in kubectl's syntax: `k=v` or `k==v`, `k!=v`, `k`, `!k`, `k in (a,b)`,
// `k notin (a,b)`; commas between them mean "and". As in Kubernetes, != and notin hold for a container without the label,
// too. The zero value chooses all.
type Selector struct{ terms []term }

// term is one condition: in words, "the label is there and its value is one of values" and what differs from that.
type term struct {
	key      string
	values   []string // nil: any
	negative bool
}

// ParseSelector reads a selector as a user writes it. The empty one is refused: it is what a script writes whose variable
// is not set, and would choose everything.
func ParseSelector(text string) (Selector, error) {
	p := &selectorParsing{rest: text}
	var s Selector
	for {
		t, err := p.term()
		if err != nil {
			return Selector{}, fmt.Errorf("selector %s: %w", quote(text), err)
		}
		s.terms = append(s.terms, t)
		switch token := p.next(); token {
		case "":
			return s, nil
		case ",":
		default:
			return Selector{}, fmt.Errorf("selector %s: a comma is missing before %s", quote(text), quote(token))
		}
	}
}

// Matches reports whether labels are what s asks for.
func (s Selector) Matches(labels map[string]string) bool {
	return !slices.ContainsFunc(s.terms, func(t term) bool { return !t.matches(labels) })
}

func (t term) matches(labels map[string]string) bool {
	value, has := labels[t.key]
	return (has && (t.values == nil || slices.Contains(t.values, value))) != t.negative
}

// String is s in its canonical form, which ParseSelector reads back.
func (s Selector) String() string {
	terms := make([]string, len(s.terms))
	for i, t := range s.terms {
		terms[i] = t.String()
	}
	return strings.Join(terms, ",")
}

func (t term) String() string {
	not := func(yes, no string) string {
		if t.negative {
			return no
		}
		return yes
	}
	switch len(t.values) {
	case 0:
		return not("", "!") + t.key
	case 1:
		return t.key + not("=", "!=") + t.values[0]
	}
	return t.key + not(" in (", " notin (") + strings.Join(t.values, ",") + ")"
}

// selectorParsing reads a selector token by token.
type selectorParsing struct{ rest string }

const selectorMarks = "!=,()"

// next takes one token: a mark (=, ==, !=, !, a comma, a parenthesis) or a word; empty at the end.
func (p *selectorParsing) next() string {
	p.rest = strings.TrimLeft(p.rest, " \t")
	end := strings.IndexAny(p.rest, selectorMarks+" \t")
	switch {
	case end < 0:
		end = len(p.rest)
	case strings.HasPrefix(p.rest, "==") || strings.HasPrefix(p.rest, "!="):
		end = 2
	case end == 0:
		end = 1
	}
	token := p.rest[:end]
	p.rest = p.rest[end:]
	return token
}

// peek is what next would take.
func (p *selectorParsing) peek() string {
	ahead := *p
	return ahead.next()
}

func isWord(token string) bool { return token != "" && !strings.ContainsAny(token, selectorMarks) }

func (p *selectorParsing) term() (t term, err error) {
	if p.peek() == "!" {
		p.next()
		t.negative = true
		t.key, err = p.key()
		return t, err
	}
	if t.key, err = p.key(); err != nil {
		return t, err
	}
	switch operator := p.peek(); operator {
	case "", ",":
		return t, nil
	case "=", "==", "!=":
		p.next()
		t.negative = operator == "!="
		value, err := p.value()
		t.values = []string{value}
		return t, err
	case "in", "notin":
		p.next()
		t.negative = operator == "notin"
		t.values, err = p.values()
		return t, err
	default:
		return t, fmt.Errorf("%s after the key %s: write one of =, ==, !=, in, notin", quote(operator), quote(t.key))
	}
}

func (p *selectorParsing) key() (string, error) {
	switch key := p.next(); {
	case !isWord(key):
		return "", fmt.Errorf("a label's key is missing%s: write one such as tier=front", before(key))
	case !validKey(key):
		return "", fmt.Errorf("%s cannot be the key of a label: write one such as tier or example.com/tier", quote(key))
	default:
		return key, nil
	}
}

func before(token string) string {
	if token == "" {
		return ""
	}
	return " before " + quote(token)
}

// value is a word, or nothing: `tier=` chooses the empty value.
func (p *selectorParsing) value() (string, error) {
	if !isWord(p.peek()) {
		return "", nil
	}
	value := p.next()
	if !utf8.ValidString(value) {
		return "", fmt.Errorf("%s is not UTF-8 text", quote(value))
	}
	return value, nil
}

func (p *selectorParsing) values() ([]string, error) {
	if open := p.next(); open != "(" {
		return nil, fmt.Errorf("in and notin take a list%s: write one such as tier in (front,back)", before(open))
	}
	var values []string
	for {
		if !isWord(p.peek()) {
			return nil, fmt.Errorf("a value is missing in the list: write one such as tier in (front,back)")
		}
		value, err := p.value()
		if err != nil {
			return nil, err
		}
		values = append(values, value)
		switch token := p.next(); token {
		case ")":
			return values, nil
		case ",":
		default:
			return nil, fmt.Errorf("the list is not closed%s: write a )", before(token))
		}
	}
}
