package edit

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/plait-mcp/plait/config/tree"
)

// yamlLines is a YAML text as lines.
type yamlLines struct {
	data   []byte
	starts []int // of the lines, and the end of the text
}

// yaml makes the change in a YAML text.
func (c *patch) yaml() error {
	if hasOddBreaks(c.doc.data) {
		return errors.New("it has line breaks that only YAML knows")
	}
	y := newYAMLLines(c.doc.data)
	loader, err := yaml.NewLoader(bytes.NewReader(c.doc.data))
	if err != nil {
		return err
	}
	var doc yaml.Node
	if err := loader.Load(&doc); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if len(doc.Content) == 0 || c.doc.root.Kind == tree.Null {
		if len(doc.Content) > 0 && doc.Content[0].Value != "" {
			return errors.New("the file holds no map")
		}
		y.insert(c, len(y.starts)-1, blockYAML(wrap(c.keys, c.value), "", "  ", c.eol))
		return nil
	}
	w := yamlWalk{patch: c, y: y, unit: yamlUnit(doc.Content[0])}
	return w.walk(doc.Content[0], c.keys, y.documentEnd(doc.Content[0].Line))
}

// hasOddBreaks tells whether a text has line breaks other than LF and CRLF, by which the library counts lines.
func hasOddBreaks(data []byte) bool {
	for i, b := range data {
		if b == '\r' && (i+1 == len(data) || data[i+1] != '\n') {
			return true
		}
	}
	return bytes.ContainsAny(data, "\u0085\u2028\u2029")
}

func newYAMLLines(data []byte) *yamlLines {
	y := &yamlLines{data: data}
	at := 0
	for line := range bytes.Lines(data) {
		y.starts = append(y.starts, at)
		at += len(line)
	}
	y.starts = append(y.starts, len(data))
	return y
}

// line returns a line by its number from 0, with its break.
func (y *yamlLines) line(i int) []byte { return y.data[y.starts[i]:y.starts[i+1]] }

// offset returns where a node starts.
func (y *yamlLines) offset(n *yaml.Node) int {
	if n.Line < 1 || n.Line >= len(y.starts) {
		return len(y.data)
	}
	at := y.starts[n.Line-1]
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(y.data[at:])
		at += size
	}
	return at
}

// documentEnd returns the number of the line after the document that has content in that line, which counts from 1.
func (y *yamlLines) documentEnd(line int) int {
	for i := line; i < len(y.starts)-1; i++ {
		if text := y.line(i); bytes.HasPrefix(text, []byte("...")) || bytes.HasPrefix(text, []byte("---")) {
			return i
		}
	}
	return len(y.starts) - 1
}

// indent returns how many columns a line is indented, and whether it holds content: no comment and not nothing.
func (y *yamlLines) indent(i int) (int, bool) {
	text := bytes.TrimLeft(y.line(i), " ")
	rest := bytes.TrimSpace(text)
	return len(y.line(i)) - len(text), len(rest) > 0 && rest[0] != '#'
}

func (y *yamlLines) blank(i int) bool { return len(bytes.TrimSpace(y.line(i))) == 0 }

// end returns the line after the last line of what is indented by column and ends before the line bound.
func (y *yamlLines) end(start, bound, column int) int {
	for bound > start+1 {
		indent, content := y.indent(bound - 1)
		if content || indent > column && !y.blank(bound-1) {
			break
		}
		bound--
	}
	return bound
}

// lead returns the first line of the comments that stand directly above a line, down from the line floor.
func (y *yamlLines) lead(start, floor, column int) int {
	for start > floor {
		indent, content := y.indent(start - 1)
		if content || y.blank(start-1) || indent > column {
			break
		}
		start--
	}
	return start
}

// insert puts lines before a line.
func (y *yamlLines) insert(c *patch, line int, text string) {
	at := y.starts[line]
	if at > 0 && y.data[at-1] != '\n' {
		text = c.eol + strings.TrimSuffix(text, c.eol)
	}
	c.cut(at, at, text)
}

// yamlWalk makes a change below a mapping.
type yamlWalk struct {
	*patch

	y    *yamlLines
	unit string
}

// walk goes down the keys and makes the change in the last mapping that is there. Its content ends before the line
// bound.
func (w *yamlWalk) walk(at *yaml.Node, keys []string, bound int) error {
	switch {
	case at.Kind == yaml.AliasNode:
		return errors.New("an alias stands there; change what it stands for")
	case at.Kind != yaml.MappingNode:
		return errors.New("what should hold it is no map")
	case at.Style&yaml.FlowStyle != 0:
		return w.flow(at, keys)
	}
	i := yamlIndex(at, keys[0])
	if i < 0 && w.value == nil {
		return errMerged
	}
	if i < 0 {
		return w.addLines(at, keys, bound)
	}
	if i+2 < len(at.Content) {
		bound = at.Content[i+2].Line - 1
	}
	value := at.Content[i+1]
	switch {
	case len(keys) == 1 && w.value == nil:
		return w.removeLines(at, i, bound)
	case len(keys) == 1:
		return w.replaceScalar(value, false)
	case value.Kind == yaml.ScalarNode && value.ShortTag() == "!!null":
		return w.fill(at.Content[i], value, keys[1:])
	case value.Kind == yaml.MappingNode && len(value.Content) == 0 && w.isBare(value):
		return w.open(at.Content[i], value, keys[1:])
	}
	return w.walk(value, keys[1:], bound)
}

// errMerged is why what no text holds cannot be removed.
var errMerged = errors.New("it comes from what the map merges")

func yamlIndex(at *yaml.Node, name string) int {
	for i := 0; i+1 < len(at.Content); i += 2 {
		key := at.Content[i]
		if key.Kind == yaml.AliasNode && key.Alias != nil {
			key = key.Alias
		}
		if key.Kind == yaml.ScalarNode && key.Value == name && key.ShortTag() != "!!merge" {
			return i
		}
	}
	return -1
}

// addLines adds what is missing of the keys after the last line of a block mapping.
func (w *yamlWalk) addLines(at *yaml.Node, keys []string, bound int) error {
	last := at.Content[len(at.Content)-2]
	column := at.Content[0].Column - 1
	if err := w.ownsLine(last); err != nil {
		return err
	}
	end := w.y.end(last.Line-1, bound, column)
	text := blockYAML(wrap(keys, w.value), strings.Repeat(" ", column), w.unit, w.eol)
	if len(at.Content) > 2 {
		if lead := w.y.lead(last.Line-1, at.Content[0].Line-1, column); lead > 0 && w.y.blank(lead-1) {
			text = w.eol + text // its entries have blank lines between them
		}
	}
	w.y.insert(w.patch, end, text)
	return nil
}

// ownsLine returns an error when something stands before a key in its line.
func (w *yamlWalk) ownsLine(key *yaml.Node) error {
	before := w.y.data[w.y.starts[key.Line-1]:w.y.offset(key)]
	if len(bytes.Trim(before, " ")) > 0 {
		return errors.New("something stands before the key in its line")
	}
	return nil
}

// removeLines cuts a member out of a block mapping.
func (w *yamlWalk) removeLines(at *yaml.Node, i, bound int) error {
	key := at.Content[i]
	if err := w.ownsLine(key); err != nil {
		return err
	}
	column, floor := key.Column-1, 0
	if i > 0 {
		floor = at.Content[i-2].Line
	}
	start := w.y.lead(key.Line-1, floor, column)
	end := w.y.end(key.Line-1, bound, column)
	from, to := w.y.starts[start], w.y.starts[end]
	switch {
	case len(at.Content) > 2:
		w.cutLines(from, to)
	case start > 0 && bytes.HasSuffix(bytes.TrimRight(w.y.line(start-1), "\r\n"), []byte(":")):
		above := w.y.starts[start-1] + len(bytes.TrimRight(w.y.line(start-1), "\r\n"))
		w.cut(above, above, " {}")
		w.cut(from, to, "")
	default:
		w.cut(from, to, strings.Repeat(" ", column)+"{}"+w.eol)
	}
	return nil
}

// fill puts the rest of the keys under a key without value.
func (w *yamlWalk) fill(key, value *yaml.Node, keys []string) error {
	if value.Value != "" || value.Anchor != "" {
		return errors.New("an explicit null stands there")
	}
	w.y.insert(w.patch, key.Line, blockYAML(wrap(keys, w.value), strings.Repeat(" ", key.Column-1)+w.unit, w.unit, w.eol))
	return nil
}

// isBare tells whether a node is nothing but "{}".
func (w *yamlWalk) isBare(value *yaml.Node) bool {
	return bytes.HasPrefix(w.y.data[w.y.offset(value):], []byte("{}"))
}

// open replaces "{}" by lines below its key.
func (w *yamlWalk) open(key, value *yaml.Node, keys []string) error {
	if value.Line != key.Line {
		return w.flow(value, keys)
	}
	at := w.y.offset(value)
	from := len(bytes.TrimRight(w.y.data[:at], " "))
	w.cut(from, at+len("{}"), "")
	w.y.insert(w.patch, key.Line, blockYAML(wrap(keys, w.value), strings.Repeat(" ", key.Column-1)+w.unit, w.unit, w.eol))
	return nil
}

// yamlUnit returns what a document is indented with.
func yamlUnit(root *yaml.Node) string {
	for i := 0; i+1 < len(root.Content); i += 2 {
		value := root.Content[i+1]
		if value.Kind == yaml.MappingNode && value.Style&yaml.FlowStyle == 0 && len(value.Content) > 0 {
			if wide := value.Content[0].Column - root.Content[0].Column; wide > 0 {
				return strings.Repeat(" ", wide)
			}
		}
	}
	return "  "
}

// blockYAML returns the members of a map in lines of their own.
func blockYAML(n *tree.Node, indent, unit, eol string) string {
	var b strings.Builder
	for _, m := range n.Members {
		b.WriteString(indent + keyText(m.Key, formatYAML) + ":")
		if m.Value.Kind == tree.Map && len(m.Value.Members) > 0 {
			b.WriteString(eol + blockYAML(m.Value, indent+unit, unit, eol))
			continue
		}
		b.WriteString(" " + inline(m.Value, formatYAML) + eol)
	}
	return b.String()
}
