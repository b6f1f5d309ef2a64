package edit

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/plait-mcp/plait/config/tree"
)

// tomlItem is a header or a key with its value in a TOML text.
type tomlItem struct {
	path   []string // from the root; from its inline table when it is in one
	table  int      // how many parts of path are those of its header
	header bool
	span
	value span        // of a key
	open  int         // where the inline table starts that is the value, -1 for another value
	items []*tomlItem // of that inline table
}

// toml makes the change in a TOML text.
func (c *patch) toml() error {
	items := tomlItems(c.doc.data)
	if in := inlineAbove(items, c.keys); in != nil {
		return c.inInline(in, c.keys[len(in.path):])
	}
	if c.value == nil {
		return c.removeTables(items)
	}
	for _, item := range items {
		if !item.header && slices.Equal(item.path, c.keys) {
			c.cut(item.value.from, item.value.to, inline(c.value, formatTOML))
			return nil
		}
	}
	if c.value.Kind == tree.Map {
		c.addTable(items)
		return nil
	}
	return c.addKey(items)
}

// inlineAbove returns the item whose value is an inline table that the keys lead into.
func inlineAbove(items []*tomlItem, keys []string) *tomlItem {
	for _, item := range items {
		if item.open >= 0 && len(item.path) < len(keys) && hasPrefix(keys, item.path) {
			return item
		}
	}
	return nil
}

func hasPrefix(path, prefix []string) bool {
	return len(path) >= len(prefix) && slices.Equal(path[:len(prefix)], prefix)
}

// tomlItems returns the headers and keys of a text in their order.
func tomlItems(data []byte) []*tomlItem {
	var p unstable.Parser
	p.Reset(data)
	var items []*tomlItem
	var table []string
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			var at int
			table, at = nil, 0
			for it := e.Key(); it.Next(); {
				table, at = append(table, string(it.Node().Data)), int(it.Node().Raw.Offset)
			}
			items = append(items, &tomlItem{path: table, table: len(table), header: true, span: span{from: at, to: at}, open: -1})
		case unstable.KeyValue:
			item := tomlKey(e)
			item.path, item.table = slices.Concat(table, item.path), len(table)
			items = append(items, item)
		default: // a comment
		}
	}
	return items
}

func tomlKey(e *unstable.Node) *tomlItem {
	item := &tomlItem{open: -1}
	item.from = int(e.Raw.Offset)
	item.to = item.from + int(e.Raw.Length)
	for it := e.Key(); it.Next(); {
		item.path = append(item.path, string(it.Node().Data))
	}
	v := e.Value()
	item.value = span{from: int(v.Raw.Offset), to: int(v.Raw.Offset + v.Raw.Length)}
	if v.Kind == unstable.InlineTable {
		item.open = int(v.Raw.Offset)
		for it := v.Children(); it.Next(); {
			if it.Node().Kind == unstable.KeyValue {
				item.items = append(item.items, tomlKey(it.Node()))
			}
		}
	}
	return item
}

// inInline makes the change below an inline table.
func (c *patch) inInline(in *tomlItem, keys []string) error {
	if deeper := inlineAbove(in.items, keys); deeper != nil {
		return c.inInline(deeper, keys[len(deeper.path):])
	}
	b := &braces{data: c.doc.data, format: formatTOML, open: in.open}
	var found []int
	for i, item := range in.items {
		b.members = append(b.members, item.span)
		if hasPrefix(item.path, keys) {
			found = append(found, i)
		}
	}
	if err := b.findCommas(); err != nil {
		return err
	}
	switch {
	case len(found) > 1:
		return errors.New("it has several keys there")
	case len(found) == 1 && c.value == nil:
		b.remove(c, found[0])
	case len(found) == 1:
		value := in.items[found[0]].value
		c.cut(value.from, value.to, inline(c.value, formatTOML))
	default:
		m := tree.Member{Key: keys[0], Value: wrap(keys[1:], c.value)}
		b.add(c, "  ", false, func(string, bool) string { return inlineMember(m, formatTOML) })
	}
	return nil
}

// removeTables cuts the headers and keys out that belong to the keys, and what stands between them.
func (c *patch) removeTables(items []*tomlItem) error {
	for i := 0; i < len(items); i++ {
		if !hasPrefix(items[i].path, c.keys) {
			continue
		}
		first := i
		for i+1 < len(items) && hasPrefix(items[i+1].path, c.keys) {
			i++
		}
		c.cutLines(c.tomlLead(items[first]), c.tomlEnd(items[i]))
	}
	if len(c.cuts) == 0 {
		return errors.New("it is not found in the text")
	}
	return nil
}

// tomlLead returns the start of the line of an item, with the comments directly above.
func (c *patch) tomlLead(item *tomlItem) int {
	data := c.doc.data
	start := bytes.LastIndexByte(data[:item.from], '\n') + 1
	for start > 0 {
		above := bytes.LastIndexByte(data[:start-1], '\n') + 1
		if !isCommentLine(data[above:start]) {
			break
		}
		start = above
	}
	return start
}

// tomlEnd returns the end of the last line of an item, with the comments directly below that belong to nothing else.
func (c *patch) tomlEnd(item *tomlItem) int {
	data := c.doc.data
	end := lineEnd(data, item.to)
	below := end
	for below < len(data) && isCommentLine(data[below:lineEnd(data, below)]) {
		below = lineEnd(data, below)
	}
	if len(bytes.TrimSpace(data[below:lineEnd(data, below)])) == 0 {
		return below
	}
	return end
}

func isCommentLine(line []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(line, " \t"), []byte("#"))
}

// lineEnd returns the offset after the line break that follows an offset.
func lineEnd(data []byte, at int) int {
	if i := bytes.IndexByte(data[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(data)
}

// addTable adds a table of its own, after the others of its kind.
func (c *patch) addTable(items []*tomlItem) {
	data := c.doc.data
	at := len(data)
	for i, item := range items {
		if hasPrefix(item.path, c.keys[:len(c.keys)-1]) && len(c.keys) > 1 && (i+1 == len(items) || items[i+1].header) {
			at = c.tomlEnd(item)
		}
	}
	var b strings.Builder
	if before := bytes.TrimRight(data[:at], " \t"); len(before) > 0 {
		if before[len(before)-1] != '\n' {
			b.WriteString(c.eol)
		}
		if !bytes.HasSuffix(before, []byte(c.eol+c.eol)) {
			b.WriteString(c.eol)
		}
	}
	var path []string
	for _, key := range c.keys {
		path = append(path, keyText(key, formatTOML))
	}
	b.WriteString("[" + strings.Join(path, ".") + "]" + c.eol)
	for _, m := range c.value.Members {
		b.WriteString(inlineMember(m, formatTOML) + c.eol)
	}
	c.cut(at, at, b.String())
}

// addKey adds a key to a table, or beside the dotted keys of it.
func (c *patch) addKey(items []*tomlItem) error {
	table := c.keys[:len(c.keys)-1]
	var after *tomlItem
	for _, item := range items {
		own := item.table == len(table) && hasPrefix(item.path, table)
		dotted := !item.header && item.table < len(table) && hasPrefix(item.path, table) &&
			(after == nil || after.table < len(table))
		if own || dotted {
			after = item
		}
	}
	if after == nil {
		return errors.New("it has no table of its own")
	}
	var path []string
	for _, key := range c.keys[after.table:] {
		path = append(path, keyText(key, formatTOML))
	}
	at := lineEnd(c.doc.data, after.to)
	text := indentAt(c.doc.data, after.from) + strings.Join(path, ".") + " = " + inline(c.value, formatTOML) + c.eol
	if at == 0 || c.doc.data[at-1] != '\n' {
		text = c.eol + text
	}
	c.cut(at, at, text)
	return nil
}
