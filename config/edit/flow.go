package edit

import (
	"bytes"
	"errors"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/plait-mcp/plait/config/tree"
)

// flow makes the change below a flow mapping of YAML.
func (w *yamlWalk) flow(at *yaml.Node, keys []string) error {
	s := flowScan{data: w.y.data}
	b, err := s.mapping(w.y.offset(at))
	if err != nil {
		return err
	}
	if len(b.members) != len(at.Content)/2 {
		return errors.New("its brackets are hard to read")
	}
	i := yamlIndex(at, keys[0])
	switch {
	case i < 0 && w.value == nil:
		return errMerged
	case i < 0:
		m := tree.Member{Key: keys[0], Value: wrap(keys[1:], w.value)}
		b.add(w.patch, w.unit, false, func(string, bool) string { return inlineMember(m, formatYAML) })
		return nil
	case len(keys) > 1 && at.Content[i+1].Kind == yaml.AliasNode:
		return errors.New("an alias stands there; change what it stands for")
	case len(keys) > 1 && at.Content[i+1].Kind == yaml.MappingNode:
		return w.flow(at.Content[i+1], keys[1:])
	case len(keys) > 1:
		return errors.New("what should hold it is no map")
	case w.value == nil:
		b.remove(w.patch, i/2)
		return nil
	}
	return w.replaceScalar(at.Content[i+1], true)
}

// replaceScalar puts the value where a scalar stands.
func (w *yamlWalk) replaceScalar(value *yaml.Node, inFlow bool) error {
	at := w.y.offset(value)
	if value.Kind != yaml.ScalarNode || value.Anchor != "" || value.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return errors.New("what stands there is more than a word")
	}
	s := flowScan{data: w.y.data}
	end := at
	switch {
	case at < len(s.data) && (s.data[at] == '"' || s.data[at] == '\'') || inFlow:
		end = s.token(at)
	default:
		line, _, _ := bytes.Cut(s.data[at:], []byte("\n"))
		if i := bytes.Index(line, []byte(" #")); i >= 0 {
			line = line[:i]
		}
		end += len(bytes.TrimRight(line, " \t\r"))
	}
	w.cut(at, end, inline(w.value, formatYAML))
	return nil
}

// flowScan finds out where the parts of a flow mapping start and end; the text is known to be right.
type flowScan struct{ data []byte }

// mapping returns the mapping whose bracket, with anchor and tag in front, starts at an offset.
func (s *flowScan) mapping(at int) (*braces, error) {
	b := &braces{data: s.data, format: formatYAML, open: s.properties(at)}
	if b.open >= len(s.data) || s.data[b.open] != '{' {
		return nil, errors.New("a bracket is not where it should be")
	}
	m := span{from: -1}
	for i := b.skip(b.open + 1); i < len(s.data); i = b.skip(i) {
		switch s.data[i] {
		case ',', '}':
			if m.from >= 0 {
				b.members = append(b.members, m)
			}
			if m = (span{from: -1}); s.data[i] == '}' {
				err := b.findCommas()
				return b, err
			}
			i++
			continue
		}
		if m.from < 0 {
			m.from = i
		}
		i = s.token(i)
		m.to = i
	}
	return nil, errors.New("a bracket is not closed")
}

// properties returns the offset after the anchor and the tag that start at an offset.
func (s *flowScan) properties(at int) int {
	for at < len(s.data) && (s.data[at] == '&' || s.data[at] == '!') {
		for at < len(s.data) && strings.IndexByte(" \t\r\n,[]{}", s.data[at]) < 0 {
			at++
		}
		at = s.skip(at)
	}
	return at
}

func (s *flowScan) skip(at int) int {
	b := braces{data: s.data, format: formatYAML}
	return b.skip(at)
}

// token returns the offset after the quoted text, the brackets, the colon or the word that starts at an offset. It
// always moves on.
func (s *flowScan) token(at int) int {
	switch s.data[at] {
	case '"':
		return s.quoted(at, `"`)
	case '\'':
		return s.quoted(at, `'`)
	case '{', '[':
		depth := 0
		for i := at; i < len(s.data); i = s.skip(i) {
			switch s.data[i] {
			case '{', '[':
				depth++
				i++
			case '}', ']':
				depth--
				i++
			case ',':
				i++
			default:
				i = s.token(i)
			}
			if depth == 0 {
				return i
			}
		}
		return len(s.data)
	case ':', '?':
		return at + 1
	}
	return s.word(at)
}

// quoted returns the offset after a text in quotes.
func (s *flowScan) quoted(at int, quote string) int {
	for i := at + 1; i < len(s.data); i++ {
		switch {
		case s.data[i] == '\\' && quote == `"`:
			i++
		case s.data[i] == quote[0] && quote == `'` && i+1 < len(s.data) && s.data[i+1] == quote[0]:
			i++
		case s.data[i] == quote[0]:
			return i + 1
		}
	}
	return len(s.data)
}

// word returns the offset after a plain text without spaces; what follows a space is the next word.
func (s *flowScan) word(at int) int {
	for i := at; i < len(s.data); i++ {
		switch s.data[i] {
		case ' ', '\t', '\r', '\n', ',', '[', ']', '{', '}':
			return max(i, at+1)
		case ':':
			if i > at && (i+1 == len(s.data) || strings.IndexByte(" \t\r\n,[]{}", s.data[i+1]) >= 0) {
				return i
			}
		}
	}
	return len(s.data)
}
