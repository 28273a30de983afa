package desired

import "strings"

const (
	maxLabel     = 63  // DNS-1123 label
	maxSubdomain = 253 // DNS-1123 subdomain
)

// ValidName reports whether name can name a container: a DNS-1123 label, that is at most 63 of a-z, 0-9 and dash, with no
// dash at either end.
func ValidName(name string) bool {
	if name == "" || len(name) > maxLabel || name[0] == '-' || name[len(name)-1] == '-' {
		return false
	}
	return !strings.ContainsFunc(name, func(c rune) bool { return !lowerOrDigit(c) && c != '-' })
}

// nameLike makes the nearest valid name out of what was written; empty if nothing is left of it.
func nameLike(s string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(s) {
		if !lowerOrDigit(c) {
			c = '-'
		}
		if b.WriteRune(c); b.Len() == maxLabel {
			break
		}
	}
	return strings.Trim(b.String(), "-")
}

// validKey reports whether key can be the key of a label or an annotation: an optional DNS-1123 subdomain and a slash,
// then at most 63 of letters, digits, dash, dot and underscore with a letter or digit at both ends.
func validKey(key string) bool {
	prefix, name, prefixed := strings.Cut(key, "/")
	if !prefixed {
		name = key
	} else if len(prefix) > maxSubdomain {
		return false
	} else {
		for part := range strings.SplitSeq(prefix, ".") {
			if !ValidName(part) {
				return false
			}
		}
	}
	if name == "" || len(name) > maxLabel || !letterOrDigit(rune(name[0])) || !letterOrDigit(rune(name[len(name)-1])) {
		return false
	}
	return !strings.ContainsFunc(name, func(c rune) bool { return !letterOrDigit(c) && !strings.ContainsRune("-._", c) })
}

func lowerOrDigit(c rune) bool  { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }
func letterOrDigit(c rune) bool { return lowerOrDigit(c) || 'A' <= c && c <= 'Z' }
