package jsonrpc

import (
	"bytes"
	"iter"
)

// fields yields the members of an object; of anything else, nothing.
func fields(object Raw) iter.Seq[field] {
	return func(yield func(field) bool) {
		i := space(object, 0)
		if i >= len(object) || object[i] != '{' {
			return
		}
		comma := -1
		for i = space(object, i+1); i < len(object) && object[i] == '"'; {
			f := field{comma: comma, commaAfter: -1}
			f.key = span{i, skipString(object, i)}
			i = space(object, space(object, f.key.end)+1) // over the colon
			f.value = span{i, skip(object, i)}
			if i = space(object, f.value.end); i < len(object) && object[i] == ',' {
				comma, f.commaAfter = i, i
				i = space(object, i+1)
			}
			if !yield(f) {
				return
			}
		}
	}
}

// skip returns the offset after the value that begins at i.
func skip(b []byte, i int) int {
	if i >= len(b) {
		return i
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		return skipNested(b, i)
	}
	for i < len(b) {
		switch b[i] {
		case ',', '}', ']', ' ', '\t', '\n', '\r', ':':
			return i
		}
		i++
	}
	return i
}

func skipNested(b []byte, i int) int {
	for depth := 0; i < len(b); {
		switch b[i] {
		case '"':
			i = skipString(b, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return i
}

// skipString returns the offset after the string that begins at i.
func skipString(b []byte, i int) int {
	start := i + 1
	for i++; i < len(b); i++ {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return len(b)
		}
		i += n
		if slashes(b[start:i])%2 == 0 {
			return i + 1
		}
	}
	return len(b)
}

// space returns the offset of the first byte at or after i that is no white space.
func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// lastSolid returns the offset of the last byte before end that is no white space.
func lastSolid(b []byte, end int) int {
	for end--; end > 0 && (b[end] == ' ' || b[end] == '\t' || b[end] == '\n' || b[end] == '\r'); end-- {
	}
	return end
}
