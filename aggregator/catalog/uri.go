package catalog

import (
	"slices"
	"strings"
)

const upperHex = "0123456789ABCDEF"

// normalize returns the form in which URIs are compared: escapes of unreserved characters decoded, other escapes
// in upper case, characters that may not stand in a URI escaped (RFC 3986, 6.2.2.1 and 6.2.2.2). It is never sent.
func normalize(uri string) string {
	if !strings.ContainsFunc(uri, func(r rune) bool { return r == '%' || unprintable(r) }) {
		return uri
	}
	var b strings.Builder
	b.Grow(len(uri) + 8)
	for i := 0; i < len(uri); i++ {
		c := uri[i]
		switch value, ok := escape(uri[i:]); {
		case ok && unreserved(value):
			b.WriteByte(value)
			i += 2
		case ok:
			writeEscape(&b, value)
			i += 2
		case unprintable(rune(c)):
			writeEscape(&b, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// escape reads the escape %XX that s begins with.
func escape(s string) (byte, bool) {
	if len(s) < 3 || s[0] != '%' {
		return 0, false
	}
	high, low := nibble(s[1]), nibble(s[2])
	return high<<4 | low, high < 16 && low < 16
}

// nibble returns the value of a hexadecimal digit, 16 for anything else.
func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 16
}

func writeEscape(b *strings.Builder, c byte) {
	b.WriteByte('%')
	b.WriteByte(upperHex[c>>4])
	b.WriteByte(upperHex[c&15])
}

func unprintable(r rune) bool { return r <= ' ' || r >= 0x7f }

func unreserved(c byte) bool {
	return isLetter(rune(c)) || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

// scheme returns the scheme of a URI as it is written, "" when it has none.
func scheme(uri string) string {
	for i := range len(uri) {
		switch c := uri[i]; {
		case c == ':':
			return uri[:i]
		case isLetter(rune(c)), i > 0 && (c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.'):
		default:
			return ""
		}
	}
	return ""
}

// splitRoot splits a URI after scheme and authority: "ui://app" and "/main.html". The root is "" without both.
func splitRoot(uri string) (root, rest string) {
	name := scheme(uri)
	if name == "" || !strings.HasPrefix(uri[len(name):], "://") {
		return "", uri
	}
	start := len(name) + len("://")
	if end := strings.IndexAny(uri[start:], "/?#"); end >= 0 {
		return uri[:start+end], uri[start+end:]
	}
	return uri, ""
}

// affinityRoot returns scheme and authority in lower case when they say something about the server that a URI
// belongs to, else "".
func affinityRoot(uri string) string {
	root, _ := splitRoot(uri)
	if root == "" || slices.Contains([]string{"file", "http", "https", "data"}, fold(scheme(uri))) {
		return ""
	}
	return fold(root)
}

// keepsScheme returns the beginning of a URI that an alias must keep: hosts look at it.
func keepsScheme(uri string) string {
	for _, start := range []string{"ui://", "skill://"} {
		if strings.HasPrefix(uri, start) {
			return start
		}
	}
	return ""
}

// aliasURI returns uri marked as that of the server with this alias name.
func aliasURI(alias, uri string) string {
	start := keepsScheme(uri)
	return start + alias + "+" + uri[len(start):]
}
