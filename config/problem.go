package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Pos is a place in a file. Line and Col start at 1; Col counts characters. A zero Line means the whole file.
type Pos struct {
	File      string
	Line, Col int
}

// String returns file:line:col, or the file alone.
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Problem is one mistake in a file. It never holds the value of a header or of a variable.
type Problem struct { //nolint:errname // what validate lists is a problem, also when nothing fails
	ID   string // stable, such as PLAIT-CFG-003: `plait help PLAIT-CFG-003` says more
	Pos  Pos
	Path string // of the key, such as mcpServers.github.url; "" for the whole file
	Msg  string
	Hint string // what to do; may be empty

	Unset bool // a variable is not set, or empty where it may not be, or the file of a secret is missing: elsewhere it may be there
}

// Error returns "file:line:col: path: problem; hint [id]".
func (p Problem) Error() string {
	var b strings.Builder
	if at := p.Pos.String(); at != "" {
		b.WriteString(at + ": ")
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Msg)
	if p.Hint != "" {
		b.WriteString("; " + p.Hint)
	}
	if p.ID != "" {
		b.WriteString(" [" + p.ID + "]")
	}
	return b.String()
}

// Problems are mistakes in the order of the file. As an error it is never empty.
type Problems []Problem //nolint:errname // see Problem

// Error returns one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the problems one by one.
func (ps Problems) Unwrap() []error {
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errs
}

// sorted returns the problems of one file after those of another, in the order of the file, each once.
func (ps Problems) sorted() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Col, b.Pos.Col),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Msg, b.Msg))
	})
	return slices.Compact(ps)
}

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
