package tree

import "strings"

// Camel returns a key that is spelled snake_case or kebab-case as camelCase.
func Camel(key string) string {
	if !strings.ContainsAny(key, "_-") {
		return key
	}
	words := strings.FieldsFunc(key, func(r rune) bool { return r == '_' || r == '-' })
	for i, word := range words {
		if i > 0 {
			words[i] = strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return strings.Join(words, "")
}
