package jsonrpc

// inside takes a byte inside an escape, a literal or a number.
func (s *scanner) inside(c byte, i int) (again bool, reason string) {
	switch s.state {
	case inEscape:
		return false, s.escape(c)
	case inHex:
		return false, s.hexDigit(c)
	case inLiteral:
		return false, s.literal(c, i)
	default:
	}
	next, ok := number(s.state, c)
	if ok {
		s.state = next
		return false, ""
	}
	switch s.state {
	case inZero, inInt, inFraction, inExponent:
		s.endValue(i)
		return true, ""
	default:
		return false, "a number is not complete"
	}
}

func (s *scanner) escape(c byte) string {
	s.collectByte(c)
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.state = inString
	case 'u':
		s.state, s.hex = inHex, 4
	default:
		return "unknown escape in a string"
	}
	return ""
}

func (s *scanner) hexDigit(c byte) string {
	s.collectByte(c)
	if !hex(c) {
		return "a \\u escape has no four digits"
	}
	if s.hex--; s.hex == 0 {
		s.state = inString
	}
	return ""
}

func (s *scanner) literal(c byte, i int) string {
	if c != s.rest[0] {
		return "unknown literal"
	}
	if s.rest = s.rest[1:]; s.rest == "" {
		s.endValue(i + 1)
	}
	return ""
}

// number returns the state after c in a number, or false when c does not go on with it.
func number(at state, c byte) (state, bool) {
	digit := c >= '0' && c <= '9'
	switch {
	case at == inMinus && c == '0':
		return inZero, true
	case (at == inMinus || at == inInt) && digit:
		return inInt, true
	case (at == inZero || at == inInt) && c == '.':
		return inDot, true
	case (at == inDot || at == inFraction) && digit:
		return inFraction, true
	case (at == inZero || at == inInt || at == inFraction) && c|0x20 == 'e':
		return inE, true
	case at == inE && (c == '+' || c == '-'):
		return inESign, true
	case (at == inE || at == inESign || at == inExponent) && digit:
		return inExponent, true
	}
	return at, false
}
