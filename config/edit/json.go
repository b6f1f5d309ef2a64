package edit

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/tailscale/hujson"

	"github.com/plait-mcp/plait/config/tree"
)

// json makes the change in a JSON text.
func (c *patch) json() error {
	data := c.doc.data
	if len(bytes.TrimSpace(data)) == 0 {
		text := blockJSON(wrap(c.keys, c.value), "", "  ", c.eol)
		c.cut(0, len(data), text+c.eol)
		return nil
	}
	root, err := hujson.Parse(data)
	if err != nil {
		return err
	}
	at, rest := &root, c.keys
	for {
		b, names, err := jsonBraces(data, at)
		if err != nil {
			return err
		}
		i := slices.Index(names, rest[0])
		if i < 0 {
			c.addJSON(b, rest)
			return nil
		}
		if len(rest) == 1 {
			return c.endJSON(b, i, at)
		}
		if object, ok := at.Value.(*hujson.Object); ok {
			at, rest = &object.Members[i].Value, rest[1:]
		}
	}
}

// endJSON removes or replaces member i.
func (c *patch) endJSON(b *braces, i int, at *hujson.Value) error {
	if c.value == nil {
		b.remove(c, i)
		return nil
	}
	object, ok := at.Value.(*hujson.Object)
	if !ok {
		return errors.New("it is no map")
	}
	v := object.Members[i].Value
	c.cut(v.StartOffset, v.EndOffset, inline(c.value, formatJSON))
	return nil
}

// addJSON adds what is missing of the keys.
func (c *patch) addJSON(b *braces, rest []string) {
	unit := jsonUnit(c.doc.data)
	m := tree.Member{Key: rest[0], Value: wrap(rest[1:], c.value)}
	breaks := c.doc.root.Kind != tree.Map || len(c.doc.root.Members) == 0 || unit != ""
	if unit == "" {
		unit = "  "
	}
	b.add(c, unit, breaks, func(indent string, breaks bool) string {
		if !breaks {
			return inlineMember(m, formatJSON)
		}
		return quote(m.Key) + ": " + blockJSON(m.Value, indent, unit, c.eol)
	})
}

// wrap returns the value inside maps of those keys.
func wrap(keys []string, value *tree.Node) *tree.Node {
	for _, key := range slices.Backward(keys) {
		value = &tree.Node{Kind: tree.Map, Members: []tree.Member{{Key: key, Value: value}}}
	}
	return value
}

// blockJSON returns a value with its maps in lines of their own.
func blockJSON(n *tree.Node, indent, unit, eol string) string {
	if n.Kind != tree.Map || len(n.Members) == 0 {
		return inline(n, formatJSON)
	}
	var b strings.Builder
	b.WriteString("{")
	for i, m := range n.Members {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString(eol + indent + unit + quote(m.Key) + ": " + blockJSON(m.Value, indent+unit, unit, eol))
	}
	b.WriteString(eol + indent + "}")
	return b.String()
}

// jsonUnit returns what a text is indented with: the white space of its first indented line, "" when it has none.
func jsonUnit(data []byte) string {
	for line := range bytes.Lines(data) {
		indent := line[:len(line)-len(bytes.TrimLeft(line, " \t"))]
		if rest := line[len(indent):]; len(indent) > 0 && bytes.HasPrefix(rest, []byte(`"`)) {
			return string(indent)
		}
	}
	return ""
}

// jsonBraces returns an object as braces, and the names of its members.
func jsonBraces(data []byte, v *hujson.Value) (*braces, []string, error) {
	object, ok := v.Value.(*hujson.Object)
	if !ok {
		return nil, nil, errors.New("what should hold it is no map")
	}
	b := &braces{data: data, format: formatJSON, open: v.StartOffset}
	var names []string
	for i := range object.Members {
		m := &object.Members[i]
		name, _ := m.Name.Value.(hujson.Literal)
		names = append(names, name.String())
		b.members = append(b.members, span{from: m.Name.StartOffset, to: m.Value.EndOffset})
	}
	err := b.findCommas()
	return b, names, err
}
