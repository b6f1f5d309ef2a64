package tree

import (
	"bytes"
	"fmt"
	"unicode/utf8"
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

// lines turns offsets of a text into positions.
type lines struct {
	file string
	data []byte
}

// at returns the position of an offset. It reads the text up to there: use walkLines for many.
func (l lines) at(offset int) Pos {
	before := l.data[:min(max(offset, 0), len(l.data))]
	start := bytes.LastIndexByte(before, '\n') + 1
	return Pos{l.file, 1 + bytes.Count(before, []byte("\n")), 1 + utf8.RuneCount(before[start:])}
}

// column returns the position of a column that was counted in bytes.
func (l lines) column(line, col int) Pos {
	rest := l.data
	for range line - 1 {
		_, after, ok := bytes.Cut(rest, []byte("\n"))
		if !ok {
			break
		}
		rest = after
	}
	return Pos{l.file, line, 1 + utf8.RuneCount(rest[:min(max(col-1, 0), len(rest))])}
}

// walkLines turns offsets that mostly grow into positions, in one pass over the text.
type walkLines struct {
	lines
	offset    int
	line, col int // at offset, from 0
}

func (w *walkLines) at(offset int) Pos {
	if offset < w.offset {
		w.offset, w.line, w.col = 0, 0, 0
	}
	between := w.data[w.offset:offset]
	if last := bytes.LastIndexByte(between, '\n'); last >= 0 {
		w.line, w.col = w.line+bytes.Count(between, []byte("\n")), 0
		between = between[last+1:]
	}
	w.offset, w.col = offset, w.col+utf8.RuneCount(between)
	return Pos{w.file, w.line + 1, w.col + 1}
}
