// Package tree is the content of a file as a tree, in which every key and value knows its place.
//
// YAML, TOML and JSON with comments give the same tree, in the order of the file. Nothing is merged, expanded or taken
// for a key of plait: that is for package config. What a file does wrong is a [Problem] with its place. The size, depth
// and number of values of a file are bounded.
package tree

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of a file. They keep a hostile or mistaken file from using up memory or stack.
const (
	MaxSize  = 4 << 20 // bytes
	maxDepth = 100
	maxNodes = 200_000 // after YAML aliases are followed
)

// Kind is what a node holds.
type Kind uint8

// The kinds.
const (
	Null Kind = iota // also the value of a key that has none, and of an empty file
	Bool
	Number
	Text
	List
	Map
)

// String names the kind for a person.
func (k Kind) String() string {
	return [...]string{"nothing", "true or false", "a number", "text", "a list", "a map"}[k]
}

// Node is one value of a file. The three formats are parsed into the same tree, in the order of the file.
// A key that stands twice is there twice: whoever gives the tree a shape refuses it, and so knows whose
// mistake it is.
type Node struct {
	Kind    Kind
	Pos     Pos
	Scalar  string   // text, or the source of a number or boolean
	Members []Member // of a map
	Items   []*Node  // of a list
}

// Member is one key of a map with its value.
type Member struct {
	Key   string
	Pos   Pos // of the key
	Value *Node
}

// Parse parses data in the format that the extension of name says. Without problems the node is never nil.
func Parse(name string, data []byte) (*Node, Problems) {
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
		return nil, WholeFile(name, IDFile, "has no extension that tells its format", "name it .yaml, .toml or .json")
	}
}

// checkText returns data without its byte order mark, or why it cannot be read in any format.
func checkText(name string, data []byte) ([]byte, Problems) {
	if len(data) > MaxSize {
		return nil, WholeFile(name, IDBounds, tooLargeError(MaxSize).Error(), "this is hardly a configuration file")
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return nil, WholeFile(name, IDEncoding, "is UTF-16", "save it as UTF-8")
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

// Find returns the node under those keys, the first where one is there twice.
func (n *Node) Find(keys []string) (*Node, bool) {
	for _, key := range keys {
		i := slices.IndexFunc(n.Members, func(m Member) bool { return m.Key == key })
		if i < 0 {
			return nil, false
		}
		n = n.Members[i].Value
	}
	return n, true
}
