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

// distance counts the insertions, deletions and replacements between a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
