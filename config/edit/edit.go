// Package edit changes a file as text.
//
// A [Document] changes one server in the text of a file, in any of the formats, and leaves every other byte as it is:
// comments, order, indentation, line ends and anchors. Comments directly above an entry belong to it. After an edit the
// text is parsed again; when anything else would mean something else, the edit is refused. [WriteFile] puts the text in
// the place of the file at once.
package edit

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plait-mcp/plait/config/tree"
)

// IDEdit is a change that cannot be made in the text of a file without changing something else.
const IDEdit = "PLAIT-CMD-102"

// Document is a file as text, in any of the formats, for edits that keep everything else as it is: comments, order,
// indentation, line endings, anchors. It is immutable; an edit returns the new text.
type Document struct {
	name string
	mark []byte // the byte order mark, or nothing
	data []byte // without mark
	root *tree.Node
}

// Parse parses data in the format that the extension of name says. The error is of type tree.Problems. It does not
// check what the keys mean: for that, give the text to config.Parse.
func Parse(name string, data []byte) (*Document, error) {
	root, bad := tree.Parse(name, data)
	if len(bad) > 0 {
		return nil, bad.Sorted()
	}
	if root.Kind != tree.Map && root.Kind != tree.Null {
		return nil, tree.Problems{{Pos: root.Pos, Msg: fmt.Sprintf("the file holds %s", root.Kind), Hint: "write a map"}}
	}
	rest := bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	return &Document{name: name, mark: data[:len(data)-len(rest)], data: rest, root: root}, nil
}

// Get returns the value under those keys, as it is written: variables are not expanded. See Fields for its type.
func (d *Document) Get(keys ...string) (any, bool) {
	n, ok := d.root.Find(keys)
	return valueOf(n), ok
}

// Pos returns where the last of those keys stands; the whole file when they are not there.
func (d *Document) Pos(keys ...string) tree.Pos {
	if len(keys) > 0 {
		if above, ok := d.root.Find(keys[:len(keys)-1]); ok {
			for _, m := range above.Members {
				if m.Key == keys[len(keys)-1] {
					return m.Pos
				}
			}
		}
	}
	return tree.Pos{File: d.name}
}

// ServersKey returns the key that the servers stand under, whichever way the file spells it, or the one to write.
func (d *Document) ServersKey() string {
	for _, m := range d.root.Members {
		if key := tree.Camel(m.Key); key == "mcpServers" || key == "servers" {
			return m.Key
		}
	}
	if strings.ToLower(filepath.Base(d.name)) == "config.toml" {
		return "mcp_servers" // Codex
	}
	return "mcpServers"
}

// Put returns the text with that value under those keys, as the last of its map. Maps above it are made when missing.
// What is there already may only be replaced when both are neither a map nor a list.
func (d *Document) Put(keys []string, value any) ([]byte, error) {
	want, err := nodeOf(value)
	if err != nil {
		return nil, d.refuse(keys, err.Error())
	}
	have, _ := d.root.Find(keys)
	if have != nil && (have.Kind == tree.Map || have.Kind == tree.List || want.Kind == tree.Map || want.Kind == tree.List) {
		return nil, d.refuse(keys, "is there already")
	}
	return d.edit(keys, want)
}

// Remove returns the text without those keys, what is under them and the comments that stand directly above.
func (d *Document) Remove(keys []string) ([]byte, error) {
	if _, ok := d.root.Find(keys); !ok {
		return nil, d.refuse(keys, "is not there")
	}
	return d.edit(keys, nil)
}

// Enable returns the text with that server switched on: without its key disabled, or enabled when that is false.
func (d *Document) Enable(server string) ([]byte, error) {
	keys := []string{d.ServersKey(), server}
	data := d
	for _, key := range []string{"disabled", "enabled"} {
		spelled, there := data.spelling(keys, key)
		if !there || key == "enabled" && data.isTrue(append(keys, spelled)) {
			continue
		}
		text, err := data.Remove(append(slices.Clone(keys), spelled))
		if err != nil {
			return nil, err
		}
		if data, err = Parse(d.name, text); err != nil {
			return nil, err
		}
	}
	return data.text(), nil
}

// Disable returns the text with that server switched off: disabled is true, or enabled is false where that is used. A
// server that only a lower layer has gets an entry that says no more.
func (d *Document) Disable(server string) ([]byte, error) {
	keys := []string{d.ServersKey(), server}
	if entry, ok := d.root.Find(keys); ok && entry.Kind != tree.Map && entry.Kind != tree.Null {
		return nil, d.refuse(keys, "is no map")
	}
	key, value := "disabled", true
	spelled, there := d.spelling(keys, key)
	if other, ok := d.spelling(keys, "enabled"); ok && !there {
		spelled, value = other, false
	}
	return d.Put(append(keys, spelled), value)
}

// spelling returns the key of that server which means key, as the file spells it.
func (d *Document) spelling(server []string, key string) (string, bool) {
	entry, _ := d.root.Find(server)
	if entry == nil {
		return key, false
	}
	for _, m := range entry.Members {
		if tree.Camel(m.Key) == key {
			return m.Key, true
		}
	}
	return key, false
}

func (d *Document) isTrue(keys []string) bool {
	n, _ := d.root.Find(keys)
	return n != nil && n.Kind == tree.Bool && n.Scalar == "true"
}

func (d *Document) text() []byte { return slices.Concat(d.mark, d.data) }

// refuse returns the reason why an edit is not made.
func (d *Document) refuse(keys []string, msg string) error {
	return tree.Problems{{Pos: d.Pos(keys...), Path: strings.Join(keys, "."), Msg: msg}}
}

// cannot returns the reason why an edit cannot be made in the text as it is.
func (d *Document) cannot(keys []string, why string) error {
	return tree.Problems{{
		ID: IDEdit, Pos: d.Pos(keys...), Path: strings.Join(keys, "."),
		Msg: "cannot be edited without changing something else: " + why, Hint: "edit the file by hand",
	}}
}

// edit makes the change in the text and proves that nothing else changed. A nil value removes.
func (d *Document) edit(keys []string, value *tree.Node) ([]byte, error) {
	c := patch{doc: d, keys: keys, value: value, eol: "\n"}
	if i := bytes.IndexByte(d.data, '\n'); i > 0 && d.data[i-1] == '\r' {
		c.eol = "\r\n"
	}
	for i := range keys {
		if n, ok := d.root.Find(keys[:i]); ok && count(n, keys[i]) > 1 {
			return nil, d.refuse(keys[:i+1], "is there twice")
		}
	}
	var err error
	switch formatOf(d.name) {
	case formatYAML:
		err = c.yaml()
	case formatTOML:
		err = c.toml()
	default:
		err = c.json()
	}
	if err != nil {
		return nil, d.cannot(keys, err.Error())
	}
	text := slices.Concat(d.mark, c.spliced())
	after, bad := tree.Parse(d.name, text)
	if len(bad) > 0 {
		return nil, d.cannot(keys, "the result would be wrong: "+bad[0].Msg)
	}
	if !proves(d.root, after, keys, value) {
		return nil, d.cannot(keys, "the text would mean something else")
	}
	return text, nil
}

// patch is one edit while it is made.
type patch struct {
	doc   *Document
	keys  []string
	value *tree.Node // nil to remove
	eol   string
	cuts  []cut
}

// cut replaces the bytes from from to to.
type cut struct {
	from, to int
	text     string
}

func (c *patch) cut(from, to int, text string) { c.cuts = append(c.cuts, cut{from, to, text}) }

// spliced returns the text with all cuts made.
func (c *patch) spliced() []byte {
	slices.SortStableFunc(c.cuts, func(a, b cut) int { return a.from - b.from })
	var out []byte
	at := 0
	for _, k := range c.cuts {
		out = append(append(out, c.doc.data[at:k.from]...), k.text...)
		at = k.to
	}
	return append(out, c.doc.data[at:]...)
}

// proves tells whether after is before with value under keys and nothing else changed.
func proves(before, after *tree.Node, keys []string, value *tree.Node) bool {
	got, ok := after.Find(keys)
	above, _ := after.Find(keys[:len(keys)-1])
	had, _ := before.Find(keys[:len(keys)-1])
	switch {
	case value == nil && ok:
		return false
	case value == nil && above == nil && had != nil && len(keys) > 2: // a map of servers may go with its last one
		return false
	case value != nil && (!ok || !same(got, value)):
		return false
	}
	return same(byKey(without(before, keys)), byKey(without(after, keys)))
}

// byKey sorts the members of the root: tables of TOML may stand in any order.
func byKey(n *tree.Node) *tree.Node {
	slices.SortStableFunc(n.Members, func(a, b tree.Member) int { return strings.Compare(a.Key, b.Key) })
	return n
}

// count tells how often a map has that key.
func count(n *tree.Node, key string) int {
	times := 0
	for _, m := range n.Members {
		if m.Key == key {
			times++
		}
	}
	return times
}

// without returns a copy without those keys, and without maps above them that hold nothing else.
func without(n *tree.Node, keys []string) *tree.Node {
	out := &tree.Node{Kind: n.Kind, Scalar: n.Scalar, Items: n.Items}
	for _, m := range n.Members {
		if m.Key == keys[0] {
			if len(keys) == 1 {
				continue
			}
			m.Value = without(m.Value, keys[1:])
			if (m.Value.Kind == tree.Map || m.Value.Kind == tree.Null) && len(m.Value.Members) == 0 {
				continue
			}
		}
		out.Members = append(out.Members, m)
	}
	if out.Kind == tree.Map && len(out.Members) == 0 {
		out.Kind = tree.Null
	}
	return out
}

// same tells whether two trees hold the same, in the same order.
func same(a, b *tree.Node) bool {
	return a.Kind == b.Kind && a.Scalar == b.Scalar &&
		slices.EqualFunc(a.Members, b.Members, func(x, y tree.Member) bool { return x.Key == y.Key && same(x.Value, y.Value) }) &&
		slices.EqualFunc(a.Items, b.Items, same)
}
