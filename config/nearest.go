package config

import "strings"

// nearest returns the candidate that word is most likely a misspelling of, or "".
func nearest(word string, candidates []string) string {
	best, least := "", len(word)
	for _, c := range candidates {
		limit := max(len(word), len(c)) / 3
		if d := Distance(strings.ToLower(word), strings.ToLower(c)); d <= limit && d < least {
			best, least = c, d
		}
	}
	return best
}

// Distance counts the insertions, deletions, replacements and swaps of neighbours between a and b, in bytes: how
// likely one is a misspelling of the other.
func Distance(a, b string) int {
	var before []int // the row above prev
	prev := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(prev[j+1]+1, row[j]+1, prev[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, prev = prev, row
	}
	return prev[len(b)]
}
