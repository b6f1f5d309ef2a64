package edit

import (
	"bytes"
	"errors"
	"strings"
)

// braces is a map in the text that stands between brackets: an object of JSON, a flow mapping of YAML, an inline
// table of TOML.
type braces struct {
	data     []byte
	format   format
	open     int    // offset of the opening bracket
	closing  int    // of the closing one
	members  []span // from the start of the key to the end of the value
	trailing bool   // a comma follows the last member
}

// span is a part of the text.
type span struct {
	from, to int
	comma    int // after it; -1 for none
}

// findCommas fills in what follows from open and members.
func (b *braces) findCommas() error {
	at := b.open + 1
	for i := range b.members {
		m := &b.members[i]
		m.comma = -1
		at = b.skip(m.to)
		b.trailing = at < len(b.data) && b.data[at] == ','
		if b.trailing {
			m.comma = at
			at++
		} else if i < len(b.members)-1 {
			return errors.New("a comma is not where it should be")
		}
	}
	at = b.skip(at)
	if at >= len(b.data) || b.data[at] != '}' {
		return errors.New("a bracket is not where it should be")
	}
	b.closing = at
	return nil
}

// skip returns the offset of what comes after white space and comments.
func (b *braces) skip(i int) int {
	for i < len(b.data) {
		switch {
		case strings.IndexByte(" \t\r\n", b.data[i]) >= 0:
			i++
		case b.comment(i) > i:
			i = b.comment(i)
		default:
			return i
		}
	}
	return i
}

// comment returns the offset after the comment that starts at i, without its line break, or i when none does.
func (b *braces) comment(i int) int {
	closing, inclusive := "\n", 0
	rest := b.data[i:]
	switch {
	case b.format != formatJSON && rest[0] == '#', b.format == formatJSON && bytes.HasPrefix(rest, []byte("//")):
	case b.format == formatJSON && bytes.HasPrefix(rest, []byte("/*")):
		closing, inclusive = "*/", 2
	default:
		return i
	}
	end := bytes.Index(rest, []byte(closing))
	if end < 0 {
		return len(b.data)
	}
	return i + end + inclusive
}

// lineTail returns the offset after the line break when nothing but comments stands before it, else false.
func (b *braces) lineTail(i int) (int, bool) {
	for i < len(b.data) {
		switch {
		case b.data[i] == '\n':
			return i + 1, true
		case strings.IndexByte(" \t\r", b.data[i]) >= 0:
			i++
		case b.comment(i) > i:
			i = b.comment(i)
		default:
			return i, false
		}
	}
	return i, false
}

// after returns the offset after a member and its comma.
func (m span) after() int {
	if m.comma >= 0 {
		return m.comma + 1
	}
	return m.to
}

// lead returns where what belongs to member i starts, its comments directly above included, and whether the member
// starts a line.
func (b *braces) lead(i int) (int, bool) {
	before := b.open + 1
	if i > 0 {
		before = b.members[i-1].after()
	}
	start, starts := b.lineTail(before)
	if !starts {
		return b.members[i].from, false
	}
	return start + afterBlank(b.data[start:b.members[i].from]), true
}

// afterBlank returns the offset after the last blank line of a text that starts at the start of a line.
func afterBlank(text []byte) int {
	at, after := 0, 0
	for line := range bytes.Lines(text) {
		at += len(line)
		if line[len(line)-1] == '\n' && len(bytes.TrimSpace(line)) == 0 {
			after = at
		}
	}
	return after
}

// remove cuts member i out of the text.
func (b *braces) remove(c *patch, i int) {
	m := b.members[i]
	start, starts := b.lead(i)
	tail, ends := b.lineTail(m.after())
	last := i == len(b.members)-1
	switch {
	case !last && !ends: // the next one stands in this line
		c.cut(m.from, b.members[i+1].from, "")
		return
	case starts && ends:
		c.cutLines(start, tail)
	case starts:
		c.cut(start, m.after(), "")
	case i == 0:
		c.cut(m.from, m.after(), "")
	case last && !b.trailing:
		c.cut(b.members[i-1].comma, m.after(), "")
		return
	default:
		c.cut(b.members[i-1].after(), m.after(), "")
	}
	if last && !b.trailing && i > 0 {
		before := b.members[i-1].comma
		c.cut(before, before+1, "")
	}
}

// cutLines cuts whole lines out, and the blank lines after them when a blank line stands before or when nothing but
// blank lines would be left at the end.
func (c *patch) cutLines(from, to int) {
	data := c.doc.data
	rest := bytes.TrimLeft(data[to:], " \t\r\n")
	before := bytes.TrimRight(data[:from], " \t\r\n")
	switch gap := lineEnd(data, len(before)); {
	case len(rest) == 0 && len(before) == 0:
		from, to = 0, len(data)
	case len(rest) == 0:
		from, to = gap, len(data)
	case gap < from || len(before) == 0:
		to = bytes.LastIndexByte(data[:len(data)-len(rest)], '\n') + 1
	}
	c.cut(from, to, "")
}

// add puts a member after the last one. The text of it is made for the indentation of its line; breaks says whether it
// gets a line of its own when it is the first.
func (b *braces) add(c *patch, unit string, breaks bool, text func(indent string, breaks bool) string) {
	if len(b.members) == 0 {
		b.addFirst(c, unit, breaks, text)
		return
	}
	i := len(b.members) - 1
	last := b.members[i]
	comma := ""
	if b.trailing {
		comma = ","
	}
	_, starts := b.lead(i)
	if !starts {
		before := ", "
		if b.trailing {
			before = " "
		}
		c.cut(last.after(), last.after(), before+text("", false)+comma)
		return
	}
	indent := indentAt(b.data, last.from)
	if !b.trailing {
		c.cut(last.to, last.to, ",")
	}
	if tail, ends := b.lineTail(last.after()); ends {
		c.cut(tail, tail, indent+text(indent, true)+comma+c.eol)
		return
	}
	c.cut(last.after(), last.after(), c.eol+indent+text(indent, true)+comma)
}

func (b *braces) addFirst(c *patch, unit string, breaks bool, text func(string, bool) string) {
	inside := bytes.TrimRight(b.data[b.open+1:b.closing], " \t\r\n")
	from := b.open + 1 + len(inside)
	switch indent := indentAt(b.data, b.open); {
	case breaks || len(inside) > 0: // it holds a comment
		c.cut(from, b.closing, c.eol+indent+unit+text(indent+unit, true)+c.eol+indent)
	case b.format == formatTOML:
		c.cut(from, b.closing, " "+text("", false)+" ")
	default:
		c.cut(from, b.closing, text("", false))
	}
}

// indentAt returns the white space at the start of the line of an offset.
func indentAt(data []byte, offset int) string {
	line := data[bytes.LastIndexByte(data[:offset], '\n')+1 : offset]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}
