package tree

import (
	"cmp"
	"slices"
	"strings"
)

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

// Sorted returns the problems of one file after those of another, in the order of the file, each once.
func (ps Problems) Sorted() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Col, b.Pos.Col),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Msg, b.Msg))
	})
	return slices.Compact(ps)
}

// WholeFile returns a problem of the whole file.
func WholeFile(name, id, msg, hint string) Problems {
	return Problems{{ID: id, Pos: Pos{File: name}, Msg: msg, Hint: hint}}
}

// Kinds of problems; package config has the others.
const (
	IDFile     = "PLAIT-CFG-001" // a configuration file or a layer does not exist, or cannot be read
	IDSyntax   = "PLAIT-CFG-002" // the text is not YAML, TOML or JSON
	IDBounds   = "PLAIT-CFG-009" // a file that is too large, nested too deep or has too many values
	IDEncoding = "PLAIT-CFG-010" // a file that is not UTF-8
)
