package jsonrpc

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// maxDepth bounds the nesting of a text.
const maxDepth = 1000

// state says what the scanner expects next.
type state uint8

const (
	wantValue state = iota
	wantValueOrEnd
	wantKeyOrEnd
	wantKey
	wantColon
	wantCommaOrEnd
	inString
	inEscape
	inHex
	inLiteral
	inMinus
	inZero
	inInt
	inDot
	inFraction
	inE
	inESign
	inExponent
	done
)

// scanner checks one JSON text while its bytes arrive (RFC 8259) and notes where the members of the
// outermost object are. White space that would end a line becomes a blank, in place: inside strings it is
// not allowed, so the text means the same and fits on a line. The strings inside a result decide nothing and
// are most of what passes: of them only the end is looked for, and that they fit on a line.
type scanner struct {
	envelope

	state  state
	rest   string // what is left of a literal
	hex    int    // digits left of \uXXXX
	key    bool   // the string is a member name
	depth  int
	object [maxDepth/64 + 1]uint64 // a bit a level: set for an object
	off    int                     // offset of the next byte to feed
	start  int                     // where the value at depth 1 begins
	skim   bool                    // that value is the result
	name   []byte                  // raw name of the member at depth 1, in room
	room   [maxName]byte
}

// feed takes the next bytes of the text. It returns "" or what is wrong with them.
func (s *scanner) feed(p []byte) string {
	oneLine := bytes.IndexByte(p, '\n') < 0 && bytes.IndexByte(p, '\r') < 0
	for i := 0; i < len(p); {
		if s.state == inString {
			n := s.pass(p[i:], oneLine)
			if i += n; i == len(p) {
				break
			}
			if reason := s.endRun(p[i], i); reason != "" {
				return reason
			}
			i++
			continue
		}
		if s.common(p[i]) {
			i++
			continue
		}
		again, reason := s.step(p, i)
		if reason != "" {
			return reason
		}
		if !again {
			i++
		}
	}
	s.off += len(p)
	return ""
}

// pass returns how many bytes at the beginning of p belong to the string that p begins in and need no look.
// oneLine says that no line ends in p.
func (s *scanner) pass(p []byte, oneLine bool) int {
	name := s.key && s.depth == 1
	if oneLine && s.skim && !name {
		return untilQuote(p)
	}
	n := run(p)
	if name {
		s.collect(p[:n])
	}
	return n
}

// common takes the bytes that most texts are made of, as step would, and returns false for all others.
func (s *scanner) common(c byte) bool {
	switch s.state {
	case wantColon:
		if c == ':' {
			s.state = wantValue
			return true
		}
	case wantCommaOrEnd:
		if c == ',' {
			s.state = wantValue
			if s.isObject() {
				s.state = wantKey
			}
			return true
		}
	case wantKey, wantKeyOrEnd, wantValue:
		if c == '"' && s.depth > 1 {
			s.key = s.state != wantValue
			s.state = inString
			return true
		}
	default:
	}
	return false
}

// endRun handles the byte that ends a run of plain bytes in a string.
func (s *scanner) endRun(c byte, i int) string {
	switch {
	case c == '\\':
		s.state = inEscape
		s.collectByte(c)
	case c != '"':
		return "control character in a string"
	case s.key:
		s.state = wantColon
	default:
		s.endValue(i + 1)
	}
	return ""
}

// step takes p[i] outside a run of plain bytes. again means that the byte ended a number and is to be taken
// once more.
func (s *scanner) step(p []byte, i int) (again bool, reason string) {
	c := p[i]
	if s.state >= inEscape && s.state < done {
		return s.inside(c, i)
	}
	switch c {
	case ' ', '\t':
		return false, ""
	case '\n', '\r':
		p[i] = ' '
		return false, ""
	}
	return false, s.token(c, i)
}

// token takes a byte between values.
func (s *scanner) token(c byte, i int) string {
	switch s.state {
	case wantValueOrEnd:
		if c == ']' {
			return s.pop(i)
		}
		return s.beginValue(c, i)
	case wantValue:
		return s.beginValue(c, i)
	case wantKeyOrEnd, wantKey:
		if c == '}' && s.state == wantKeyOrEnd {
			return s.pop(i)
		}
		if c != '"' {
			return "a member name is missing"
		}
		s.state, s.key = inString, true
		if s.depth == 1 {
			s.name = s.room[:0]
		}
		return ""
	case wantColon:
		if c != ':' {
			return "a colon is missing"
		}
		s.state = wantValue
		return ""
	case wantCommaOrEnd:
		return s.comma(c, i)
	default:
		return "text after the end of the message"
	}
}

func (s *scanner) comma(c byte, i int) string {
	object := s.isObject()
	switch {
	case c == ',' && object:
		s.state = wantKey
	case c == ',':
		s.state = wantValue
	case c == '}' && object, c == ']' && !object:
		return s.pop(i)
	default:
		return "a comma or the end is missing"
	}
	return ""
}

func (s *scanner) beginValue(c byte, i int) string {
	if s.depth == 1 {
		s.start, s.skim = s.off+i, !s.array && string(s.name) == memberNames[memberResult]
	}
	s.key = false
	switch {
	case c == '{':
		return s.push(wantKeyOrEnd)
	case c == '[':
		return s.push(wantValueOrEnd)
	case c == '"':
		s.state = inString
	case c == '-':
		s.state = inMinus
	case c == '0':
		s.state = inZero
	case c >= '1' && c <= '9':
		s.state = inInt
	case c == 't':
		s.state, s.rest = inLiteral, "rue"
	case c == 'f':
		s.state, s.rest = inLiteral, "alse"
	case c == 'n':
		s.state, s.rest = inLiteral, "ull"
	default:
		return "a value is missing"
	}
	return ""
}

func (s *scanner) push(next state) string {
	if s.depth == maxDepth {
		return "nested too deep"
	}
	if s.depth == 0 && next == wantValueOrEnd {
		s.array = true
	}
	s.depth++
	word, bit := s.depth/64, uint64(1)<<(s.depth%64)
	if next == wantKeyOrEnd {
		s.object[word] |= bit
	} else {
		s.object[word] &^= bit
	}
	s.state = next
	return ""
}

func (s *scanner) pop(i int) string {
	s.depth--
	if s.depth == 0 {
		s.closing = s.off + i
	}
	s.endValue(i + 1)
	return ""
}

func (s *scanner) isObject() bool { return s.object[s.depth/64]&(1<<(s.depth%64)) != 0 }

// endValue notes that a value ended before p[i].
func (s *scanner) endValue(i int) {
	switch s.depth {
	case 0:
		s.state = done
		return
	case 1:
		if !s.array {
			s.note(s.name, span{s.start, s.off + i})
		}
	}
	s.state = wantCommaOrEnd
}

// complete reports whether the text is whole.
func (s *scanner) complete() bool { return s.state == done }

// collect keeps the name of a member of the outermost object; a name too long to be ours is cut.
func (s *scanner) collect(p []byte) {
	if room := maxName - len(s.name); len(p) > room {
		p = p[:room]
	}
	s.name = append(s.name, p...)
}

func (s *scanner) collectByte(c byte) {
	if s.key && s.depth == 1 && len(s.name) < maxName {
		s.name = append(s.name, c)
	}
}

const (
	low  = 0x0101010101010101
	high = 0x8080808080808080
)

// untilQuote returns how many bytes come before the end of the string that p begins in, or before an escape
// that the end of p cuts.
func untilQuote(p []byte) int {
	for i := 0; ; i++ {
		n := bytes.IndexByte(p[i:], '"')
		if n < 0 {
			return len(p) - slashes(p[i:])%2
		}
		if i += n; slashes(p[:i])%2 == 0 {
			return i
		}
	}
}

// slashes returns how many backslashes p ends with.
func slashes(p []byte) int {
	n := 0
	for n < len(p) && p[len(p)-1-n] == '\\' {
		n++
	}
	return n
}

// run returns how many bytes at the beginning of p are inside a string for sure: neither a quote nor a control
// character nor an escape that is not whole or not known. It looks at eight bytes at a time.
func run(p []byte) int {
	i := 0
	for len(p)-i >= 8 {
		found := special(binary.LittleEndian.Uint64(p[i:]))
		if found == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(found) / 8
		n := escaped(p[i:])
		if n == 0 {
			return i
		}
		i += n
	}
	for i < len(p) {
		n := 1
		if c := p[i]; c == '"' || c == '\\' || c < ' ' {
			if n = escaped(p[i:]); n == 0 {
				return i
			}
		}
		i += n
	}
	return i
}

// escapes has the length of an escape by its second byte.
var escapes = [256]uint8{'"': 2, '\\': 2, '/': 2, 'b': 2, 'f': 2, 'n': 2, 'r': 2, 't': 2, 'u': 6}

// escaped returns the length of the escape at the beginning of p, 0 when there is none, or none that is whole.
func escaped(p []byte) int {
	if len(p) < 2 || p[0] != '\\' {
		return 0
	}
	n := int(escapes[p[1]])
	if n == 6 && (len(p) < 6 || !hex(p[2]) || !hex(p[3]) || !hex(p[4]) || !hex(p[5])) {
		return 0
	}
	return n
}

func hex(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }

// special marks the high bit of the lowest byte of w that is not plain; higher marks may be wrong.
func special(w uint64) uint64 {
	quote, slash := w^(low*'"'), w^(low*'\\')
	return (((quote - low) &^ quote) | ((slash - low) &^ slash) | ((w - low*' ') &^ w)) & high
}
