package desired

import "strings"

// suggest is the word that was probably meant, empty if none is near: one that differs by case, by a few typing
// mistakes, or that was cut short.
func suggest(word string, words []string) string {
	const longest = 40 // no word of ours is longer, and the distance takes the product of both lengths
	if len(word) > longest {
		return ""
	}
	lower := strings.ToLower(word)
	best, least := "", 1+min(len(word)/3, 2)+1
	for _, w := range words {
		candidate := strings.ToLower(w)
		d := distance(lower, candidate)
		if len(lower) >= 3 && (strings.HasPrefix(candidate, lower) || strings.HasPrefix(lower, candidate)) {
			d = min(d, 1)
		}
		if d < least && d < len(word) {
			best, least = w, d
		}
	}
	return best
}

// distance is the number of insertions, deletions, changes and swaps of neighbours that make b of a.
func distance(a, b string) int {
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(above[j]+cost, above[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}
