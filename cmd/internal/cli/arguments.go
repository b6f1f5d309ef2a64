package cli

import (
	"encoding/json"
	"io"
	"slices"
	"strings"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// pair is one k=v of the command line.
type pair struct{ key, value string }

// arguments are what a command line passes to a tool or a prompt: pairs, or one JSON object.
type arguments struct {
	object jsonrpc.Raw // nil for pairs
	pairs  []pair
}

// readArguments reads k=v pairs, an object {…}, or - for an object on standard input.
func readArguments(in io.Reader, words []string) (arguments, error) {
	var a arguments
	if len(words) == 1 && words[0] == "-" {
		text, err := io.ReadAll(in)
		if err != nil {
			return a, err
		}
		words = []string{strings.TrimSpace(string(text))}
		if !strings.HasPrefix(words[0], "{") {
			return a, usagef("standard input holds no JSON object")
		}
	}
	if len(words) == 1 && strings.HasPrefix(words[0], "{") {
		a.object = jsonrpc.Raw(words[0])
		if !json.Valid(a.object) {
			return a, usagef("the arguments are not valid JSON: %s", words[0])
		}
		return a, nil
	}
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		switch {
		case !ok || key == "":
			return a, usagef("%q is no argument; write KEY=VALUE, one JSON object, or - for one on standard input", w)
		case slices.ContainsFunc(a.pairs, func(p pair) bool { return p.key == key }):
			return a, usagef("argument %q is there twice; write a list as %s='[…]'", key, key)
		}
		a.pairs = append(a.pairs, pair{key, value})
	}
	return a, nil
}

// strings returns the arguments as an object of strings.
func (a arguments) strings() jsonrpc.Raw { return a.encode(nil) }

// encode returns the arguments as an object. A value whose property in schema takes no string is JSON when
// it can be; everything else is a string.
func (a arguments) encode(schema jsonrpc.Raw) jsonrpc.Raw {
	if a.object != nil {
		return a.object
	}
	object := jsonrpc.Raw("{}")
	for _, p := range a.pairs {
		value := jsonrpc.Quote(p.value)
		property, ok := jsonrpc.Get(schema, "properties", p.key)
		if ok && !takesString(property) && json.Valid([]byte(p.value)) {
			value = jsonrpc.Raw(p.value)
		}
		object = jsonrpc.Set(object, value, p.key)
	}
	return object
}

// takesString reports whether a string is a value of the schema. A schema that does not say takes one.
func takesString(schema jsonrpc.Raw) bool {
	kinds := typesOf(schema)
	return len(kinds) == 0 || slices.Contains(kinds, "string")
}

// typesOf returns the types that a schema names, also those of its alternatives and choices.
func typesOf(schema jsonrpc.Raw) []string {
	var kinds []string
	if kind, ok := jsonrpc.GetString(schema, "type"); ok {
		return []string{kind}
	}
	list, _ := jsonrpc.Get(schema, "type")
	for kind := range jsonrpc.Elements(list) {
		s, _ := jsonrpc.ReadString(kind)
		kinds = append(kinds, s)
	}
	for _, member := range []string{"anyOf", "oneOf", "allOf"} {
		alternatives, _ := jsonrpc.Get(schema, member)
		for s := range jsonrpc.Elements(alternatives) {
			kinds = append(kinds, typesOf(s)...)
		}
	}
	choices, _ := jsonrpc.Get(schema, "enum")
	for choice := range jsonrpc.Elements(choices) {
		kind := "other"
		if _, ok := jsonrpc.ReadString(choice); ok {
			kind = "string"
		}
		kinds = append(kinds, kind)
	}
	return kinds
}
