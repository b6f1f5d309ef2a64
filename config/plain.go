package config

import (
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/plait-mcp/plait/config/tree"
)

// noticeSecret warns of a text that looks like a secret, in a file that others may see. It does not show it.
func (l *loader) noticeSecret(n *tree.Node, t reflect.Type, at place) {
	if n.Kind != tree.Text || at.layer.local || !isPlainSecret(n.Scalar, at.key) && !isWrittenSecret(n.Scalar, t, at.key) {
		return
	}
	hint := "write ${NAME}, ${keyring:SERVICE/KEY} or ${file:PATH}, or move it into a .local file beside this one"
	l.warn(at, IDLiteral, "looks like a secret", hint)
}

// isPlainSecret tells whether a text holds a token of a known shape, or is a value of Authorization that nobody would
// type.
func isPlainSecret(s, key string) bool {
	if strings.Contains(s, "PRIVATE KEY-----") {
		return true
	}
	for _, shape := range tokenShapes() {
		if hasToken(s, shape.start, shape.length) {
			return true
		}
	}
	if !strings.HasSuffix(strings.ToLower(key), separator+"authorization") || strings.Contains(s, "${") {
		return false
	}
	if _, credentials, ok := strings.Cut(s, " "); ok {
		s = credentials
	}
	const long, random = 20, 3.0
	return len(s) >= long && entropy(s) >= random
}

// isWrittenSecret tells whether a text without a reference stands where an identity, the credentials or the endpoint have
// a secret.
func isWrittenSecret(s string, t reflect.Type, key string) bool {
	if t != reflect.TypeFor[Secret]() || s == "" || strings.Contains(s, "${") {
		return false
	}
	keys := strings.Split(key, separator)
	switch parent := keys[len(keys)-2]; {
	case !slices.Contains([]string{"identities", "credentials", "serve"}, keys[0]), parent == "authorizeParams", parent == "tokenParams":
		return false
	case parent == "headers":
		name := strings.ToLower(keys[len(keys)-1])
		return slices.ContainsFunc([]string{"auth", "key", "token", "secret", "cookie"}, func(word string) bool { return strings.Contains(name, word) })
	}
	return true
}

// tokenShape is how the tokens of one issuer begin, and how many characters follow at least.
type tokenShape struct {
	start  string
	length int
}

func tokenShapes() []tokenShape {
	return []tokenShape{
		{"ghp_", 20},
		{"gho_", 20},
		{"ghu_", 20},
		{"ghs_", 20},
		{"ghr_", 20},
		{"github_pat_", 20},
		{"glpat-", 16},
		{"sk-", 20},
		{"sk_live_", 16},
		{"rk_live_", 16},
		{"xoxa-", 10},
		{"xoxb-", 10},
		{"xoxp-", 10},
		{"xoxr-", 10},
		{"xoxs-", 10},
		{"AKIA", 16},
		{"ASIA", 16},
		{"AIza", 30},
		{"eyJ", 20},
		{"npm_", 30},
		{"hf_", 30},
		{"lin_api_", 20},
		{"ntn_", 30},
		{"pypi-", 30},
		{"dop_v1_", 30},
		{"shpat_", 20},
		{"SG.", 30},
	}
}

// hasToken tells whether a word of s begins with start, and length or more characters of a token follow, with a digit.
func hasToken(s, start string, length int) bool {
	for from := 0; ; {
		i := strings.Index(s[from:], start)
		if i < 0 {
			return false
		}
		i += from
		from = i + len(start)
		if i > 0 && isWordChar(rune(s[i-1])) && !strings.HasSuffix(s[:i], ":-") {
			continue
		}
		end := strings.IndexFunc(s[from:], func(r rune) bool { return !isWordChar(r) && r != '.' })
		if end < 0 {
			end = len(s) - from
		}
		if end >= length && strings.ContainsAny(s[from:from+end], "0123456789") {
			return true
		}
	}
}

// entropy returns how many bits a character of s tells.
func entropy(s string) float64 {
	counts := map[rune]float64{}
	total := 0.0
	for _, r := range s {
		counts[r]++
		total++
	}
	bits := 0.0
	for _, n := range counts {
		bits -= n / total * math.Log2(n/total)
	}
	return bits
}
