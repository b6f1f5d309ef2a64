package grant

import (
	"encoding/base64"
	"net/url"
	"strings"
	"unicode"
)

const (
	maxDescription = 200
	hidden         = "[redacted]"
)

// clean returns what a server says, without what it was sent or what looks like a key, on one printable line
// of at most 200 characters.
func clean(text string, secrets []string) string {
	const enough = 4000
	if len(text) > enough {
		text = text[:enough]
	}
	for _, secret := range secrets {
		text = without(text, secret)
	}
	words := strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) })
	for i, word := range words {
		words[i] = withoutKeys(word)
	}
	line := []rune(strings.Join(words, " "))
	if len(line) > maxDescription {
		line = append(line[:maxDescription-1], '…')
	}
	return string(line)
}

// without takes a secret out of a text, and every part of it that is long enough to help somebody.
func without(text, secret string) string {
	const part = 8
	if len(secret) < part {
		if len(secret) < part/2 {
			return text // taking out every "1" would leave nothing
		}
		return strings.ReplaceAll(text, secret, hidden)
	}
	var out strings.Builder
	for len(text) > 0 {
		n := 0
		for n < len(text) && n < len(secret) && strings.Contains(secret, text[:n+1]) {
			n++
		}
		if n < part {
			out.WriteByte(text[0])
			text = text[1:]
			continue
		}
		out.WriteString(hidden)
		text = text[n:]
	}
	return out.String()
}

// withoutKeys hides the parts of a word that are long runs of letters and digits, as tokens are. The numbers by which a
// server finds a failure in its log (UUIDs) stay.
func withoutKeys(word string) string {
	const long, uuid, dashes = 28, 36, 4
	isKey := func(r rune) bool {
		return r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_.~+/=%", r))
	}
	var out strings.Builder
	for word != "" {
		n := strings.IndexFunc(word, func(r rune) bool { return !isKey(r) })
		if n < 0 {
			n = len(word)
		}
		run := word[:n]
		if len(run) >= long && strings.ContainsAny(run, "0123456789") && (len(run) != uuid || strings.Count(run, "-") != dashes) {
			run = hidden
		}
		out.WriteString(run)
		word = word[n:]
		if n = strings.IndexFunc(word, isKey); n < 0 {
			n = len(word)
		}
		out.WriteString(word[:n])
		word = word[n:]
	}
	return out.String()
}

// isCode reports whether a text can be an `error` of RFC 6749: a word, not a sentence.
func isCode(text string) bool {
	const longest = 64
	return text != "" && len(text) <= longest && strings.IndexFunc(text, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-.:", r)
	}) < 0
}

// secretsIn returns the values of a request that an error must not show, as they stand and as they are sent.
func secretsIn(params url.Values, p proof) []string {
	var found []string
	add := func(value string) {
		if value == "" {
			return
		}
		found = append(found, value)
		if escaped := url.QueryEscape(value); escaped != value {
			found = append(found, escaped)
		}
	}
	for name, values := range params {
		if isPublic(name) {
			continue
		}
		for _, value := range values {
			add(value)
		}
	}
	if p.basic {
		add(p.secret)
		add(base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(p.id) + ":" + url.QueryEscape(p.secret))))
	}
	return found
}

// isPublic reports whether a parameter of a request is no secret.
func isPublic(name string) bool {
	switch name {
	case "grant_type", "client_id", "scope", "resource", "audience", "redirect_uri", "client_assertion_type",
		"subject_token_type", "actor_token_type", "requested_token_type", "token_type_hint":
		return true
	}
	return false
}
