package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/plait-mcp/plait/config"
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
		if d := config.Distance(folded, other); d <= max(len(word), len(name))/3 {
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
