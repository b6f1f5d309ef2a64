package jsonrpc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
)

// The functions in this file take JSON that was checked before (it came out of a Message).

// field is a member found in an object: all offsets are into the object's text.
type field struct {
	key        span // the name with its quotes
	value      span
	comma      int // offset of the comma before it, or -1
	commaAfter int // offset of the comma after it, or -1
}

// Members yields the members of an object in order, names decoded. Anything else yields nothing.
func Members(object Raw) iter.Seq2[string, Raw] {
	return func(yield func(string, Raw) bool) {
		for f := range fields(object) {
			if !yield(name(object, f), object[f.value.start:f.value.end:f.value.end]) {
				return
			}
		}
	}
}

// Elements yields the elements of an array in order. Anything else yields nothing.
func Elements(array Raw) iter.Seq[Raw] {
	return func(yield func(Raw) bool) {
		i := space(array, 0)
		if i >= len(array) || array[i] != '[' {
			return
		}
		for i = space(array, i+1); i < len(array) && array[i] != ']'; i = space(array, i) {
			end := skip(array, i)
			if !yield(array[i:end:end]) {
				return
			}
			if i = space(array, end); i < len(array) && array[i] == ',' {
				i++
			}
		}
	}
}

// Get returns the value at a path of member names. Of two members with one name it takes the first.
func Get(text Raw, path ...string) (Raw, bool) {
	for _, want := range path {
		f, ok := find(text, want)
		if !ok {
			return nil, false
		}
		text = text[f.value.start:f.value.end:f.value.end]
	}
	return text, true
}

// GetString returns the string at a path of member names.
func GetString(text Raw, path ...string) (string, bool) {
	v, ok := Get(text, path...)
	if !ok {
		return "", false
	}
	return ReadString(v)
}

// ReadString returns raw decoded when it is a string.
func ReadString(raw Raw) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), true
	}
	var s string
	return s, json.Unmarshal(raw, &s) == nil
}

// Set returns text with value at a path of member names and every other byte as it was. Objects that are
// missing on the way are added at the end; a value on the way that is no object is replaced by one.
func Set(text, value Raw, path ...string) Raw {
	if len(path) == 0 {
		return value
	}
	if i := space(text, 0); i >= len(text) || text[i] != '{' {
		text = Raw("{}")
	}
	if f, ok := find(text, path[0]); ok {
		old := text[f.value.start:f.value.end]
		return replace(text, f.value, Set(old, value, path[1:]...))
	}
	for i := len(path) - 1; i > 0; i-- {
		value = concat([]byte{'{'}, Quote(path[i]), []byte{':'}, value, []byte{'}'})
	}
	closing := bytes.LastIndexByte(text, '}')
	comma := []byte{','}
	if text[lastSolid(text, closing)] == '{' {
		comma = nil
	}
	return replace(text, span{closing, closing}, concat(comma, Quote(path[0]), []byte{':'}, value))
}

// Delete returns text without the member at a path and every other byte as it was. A path that is not there
// changes nothing.
func Delete(text Raw, path ...string) Raw {
	if len(path) == 0 {
		return text
	}
	f, ok := find(text, path[0])
	if !ok {
		return text
	}
	if len(path) > 1 {
		return replace(text, f.value, Delete(text[f.value.start:f.value.end], path[1:]...))
	}
	switch {
	case f.comma >= 0:
		return replace(text, span{f.comma, f.value.end}, nil)
	case f.commaAfter >= 0:
		return replace(text, span{f.key.start, f.commaAfter + 1}, nil)
	}
	return replace(text, span{f.key.start, f.value.end}, nil)
}

// CheckMembers returns an error when one of names occurs twice in object, or a member is one of names in
// another case: two readers could then take different values.
func CheckMembers(object Raw, names ...string) error {
	var seen uint64
	for have := range Members(object) {
		for i, want := range names {
			switch {
			case have == want && seen&(1<<i) != 0:
				return fmt.Errorf("duplicate member %q", want)
			case have == want:
				seen |= 1 << i
			case len(have) >= len(want) && strings.EqualFold(have, want):
				return fmt.Errorf("member %q must be written %q", have, want)
			}
		}
	}
	return nil
}

func replace(text []byte, s span, with []byte) Raw {
	return concat(text[:s.start], with, text[s.end:])
}

func concat(parts ...[]byte) Raw { return bytes.Join(parts, nil) }

func name(object Raw, f field) string {
	s, _ := ReadString(object[f.key.start:f.key.end])
	return s
}

func find(object Raw, want string) (field, bool) {
	for f := range fields(object) {
		if key := object[f.key.start+1 : f.key.end-1]; string(key) == want ||
			bytes.IndexByte(key, '\\') >= 0 && name(object, f) == want {
			return f, true
		}
	}
	return field{}, false
}
