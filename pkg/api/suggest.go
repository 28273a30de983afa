package api

import "iter"

// nearest is the name that a typing mistake of at most two letters separates from the one given; empty if there is none.
func nearest(name string, names iter.Seq[string]) string {
	best, nearestBy := "", 3
	for n := range names {
		if d := distance(name, n); d < nearestBy && d < len(name) {
			best, nearestBy = n, d
		}
	}
	return best
}

// distance is the Levenshtein distance of two short strings, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
