package cli

import (
	"fmt"
	"slices"
	"strings"
)

// didYouMean returns "; did you mean …?" with the names that word is like, or nothing.
func didYouMean(word string, names []string) string {
	near := nearest(word, names)
	if len(near) == 0 {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", strings.Join(near, " or "))
}

// nearest returns up to three of names that word is like, the best first: misspelled, or a part of them.
func nearest(word string, names []string) []string {
	type candidate struct {
		name string
		rank int
	}
	var found []candidate
	folded := strings.ToLower(word)
	for _, name := range names {
		other := strings.ToLower(name)
		if d := distance(folded, other); d <= max(len(word), len(name))/3 {
			found = append(found, candidate{name, d})
		} else if len(word) > 2 && strings.Contains(other, folded) {
			found = append(found, candidate{name, len(name)})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return a.rank - b.rank })
	var best []string
	for _, c := range found[:min(len(found), 3)] {
		if c.rank <= 2*found[0].rank+2 { // beside a slip of the pen, the merely similar only distracts
			best = append(best, c.name)
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of neighbours between a and b.
func distance(a, b string) int {
	above := make([]int, len(b)+1) // the row before the last
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			replace := last[j]
			if a[i] != b[j] {
				replace++
			}
			row[j+1] = min(replace, row[j]+1, last[j+1]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], above[j-1]+1)
			}
		}
		above, last = last, row
	}
	return last[len(b)]
}
