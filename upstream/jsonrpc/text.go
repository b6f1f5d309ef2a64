package jsonrpc

import "encoding/json"

// Raw is one JSON value as it came over the wire.
type Raw = json.RawMessage

// Text is one JSON text in one or more pieces, in order. Nobody changes the pieces of a Text.
type Text [][]byte

// Len returns the number of bytes.
func (t Text) Len() int {
	n := 0
	for _, p := range t {
		n += len(p)
	}
	return n
}

// Bytes returns the text as one slice: the piece itself when there is one, a copy when there are more.
func (t Text) Bytes() []byte {
	if len(t) == 1 {
		return t[0]
	}
	b := make([]byte, 0, t.Len())
	for _, p := range t {
		b = append(b, p...)
	}
	return b
}

// slice returns the pieces from start to end, sharing the bytes.
func (t Text) slice(start, end int) Text { return t.appendTo(nil, start, end) }

// appendTo appends the pieces from start to end to out, sharing the bytes.
func (t Text) appendTo(out Text, start, end int) Text {
	for _, p := range t {
		if start < len(p) && end > 0 {
			from, to := max(start, 0), min(end, len(p))
			out = append(out, p[from:to:to])
		}
		start, end = start-len(p), end-len(p)
	}
	return out
}

// edit replaces the bytes of span by with.
type edit struct {
	span
	with []byte
}

// span is a place in a text; the zero span is no place.
type span struct{ start, end int }

func (s span) ok() bool { return s.end > 0 }

// splice returns the text with the edits applied, which are in order and do not overlap. It shares the
// bytes that stay.
func (t Text) splice(edits ...edit) Text {
	out := make(Text, 0, len(t)+2*len(edits))
	at := 0
	for _, e := range edits {
		if e.start > at {
			out = t.appendTo(out, at, e.start)
		}
		out = append(out, e.with)
		at = e.end
	}
	return t.appendTo(out, at, t.Len())
}
