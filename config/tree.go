package config

import (
	"bytes"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// Bounds of a file. They keep a hostile or mistaken file from using up memory or stack.
const (
	maxSize  = 4 << 20
	maxDepth = 100
	maxNodes = 200_000 // after YAML aliases are followed
)

// kind is what a node holds.
type kind uint8

const (
	null kind = iota
	boolean
	number
	text
	list
	object
)

// String names the kind for a person.
func (k kind) String() string {
	return [...]string{"nothing", "true or false", "a number", "text", "a list", "a map"}[k]
}

// node is one value of a file. The three formats are parsed into the same tree, in the order of the file.
// A key that stands twice is there twice: the walk that gives the tree a shape refuses it, and so knows whose
// mistake it is.
type node struct {
	kind    kind
	pos     Pos
	scalar  string   // text, or the source of a number or boolean
	members []member // of an object
	items   []*node  // of a list
}

type member struct {
	key   string
	pos   Pos // of the key
	value *node
}

// parseTree parses data in the format that the extension of name says.
func parseTree(name string, data []byte) (*node, Problems) {
	data, bad := checkText(name, data)
	if bad != nil {
		return nil, bad
	}
	switch strings.ToLower(filepath.Ext(name)) {
	case ".yaml", ".yml":
		return parseYAML(name, data)
	case ".toml":
		return parseTOML(name, data)
	case ".json", ".jsonc":
		return parseJSON(name, data)
	default:
		return nil, whole(name, IDFile, "has no extension that tells its format", "name it .yaml, .toml or .json")
	}
}

// checkText returns data without its byte order mark, or why it cannot be read in any format.
func checkText(name string, data []byte) ([]byte, Problems) {
	if len(data) > maxSize {
		return nil, whole(name, IDBounds, tooLargeError(maxSize).Error(), "this is hardly a configuration file")
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return nil, whole(name, IDEncoding, "is UTF-16", "save it as UTF-8")
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return nil, Problems{{ID: IDEncoding, Pos: lines{name, data}.at(i), Msg: "is not UTF-8", Hint: "save the file as UTF-8"}}
		}
		i += size
	}
	return data, nil
}

// whole returns a problem of the whole file.
func whole(name, id, msg, hint string) Problems {
	return Problems{{ID: id, Pos: Pos{File: name}, Msg: msg, Hint: hint}}
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
