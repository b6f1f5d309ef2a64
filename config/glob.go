package config

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/bmatcuk/doublestar/v4"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Match tells whether the whole of name matches: "*" stands for any characters, "?" for one, [a-z] for one of a
// class, {a,b} for one of several texts, and a backslash takes the meaning from the character after it. Case counts.
func (g Glob) Match(name string) bool { return matches(g.Text, name) }

// MatchFold is Match for what must not be got around: case does not count, nor how Unicode writes a character (NFKC),
// nor characters that cannot be seen.
func (g Glob) MatchFold(name string) bool { return matches(fold(g.Text), fold(name)) }

// slash stands for "/", which is a separator to the library and a character like any other here.
const slash = "\x1e"

func matches(pattern, name string) bool {
	ok, err := doublestar.Match(strings.ReplaceAll(pattern, "/", slash), strings.ReplaceAll(name, "/", slash))
	return ok && err == nil
}

// isPattern tells whether s can be matched with.
func isPattern(s string) bool {
	return s != "" && doublestar.ValidatePattern(strings.ReplaceAll(s, "/", slash))
}

// fold returns what is left of s when case, spelling and invisible characters do not count.
func fold(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return strings.ToLower(s)
	}
	seen := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Variation_Selector, r) {
			return -1
		}
		return r
	}, s)
	return norm.NFKC.String(cases.Fold().String(norm.NFKC.String(seen)))
}
