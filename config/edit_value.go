package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// Field is one key of a map and its value.
type Field struct {
	Key   string
	Value any
}

// Fields is a map in the order of the file. A value is a string, bool, json.Number, []any or Fields, or nil.
type Fields []Field

// Get returns the value of that key, or nil.
func (f Fields) Get(key string) any {
	for _, field := range f {
		if field.Key == key {
			return field.Value
		}
	}
	return nil
}

// format is how a file is written.
type format uint8

const (
	formatJSON format = iota
	formatYAML
	formatTOML
)

// formatOf returns the format of a file by its name, which parseTree has accepted.
func formatOf(name string) format {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".yaml", ".yml":
		return formatYAML
	case ".toml":
		return formatTOML
	}
	return formatJSON
}

func isServersKey(key string) bool {
	return canonical(reflect.TypeFor[file](), key) == "mcpServers"
}

// value returns what a node holds, as Fields describes it.
func (n *node) value() any {
	if n == nil {
		return nil
	}
	switch n.kind {
	case object:
		fields := Fields{}
		for _, m := range n.members {
			fields = append(fields, Field{m.key, m.value.value()})
		}
		return fields
	case list:
		items := []any{}
		for _, item := range n.items {
			items = append(items, item.value())
		}
		return items
	case boolean:
		return n.scalar == "true"
	case number:
		return json.Number(n.scalar)
	case text:
		return n.scalar
	default:
		return nil
	}
}

// nodeOf is the inverse of value.
func nodeOf(value any) (*node, error) {
	switch v := value.(type) {
	case Fields:
		n := &node{kind: object}
		for _, f := range v {
			child, err := nodeOf(f.Value)
			if err != nil {
				return nil, err
			}
			n.members = append(n.members, member{key: f.Key, value: child})
		}
		return n, nil
	case []any:
		n := &node{kind: list}
		for _, item := range v {
			child, err := nodeOf(item)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, child)
		}
		return n, nil
	case bool:
		return &node{kind: boolean, scalar: strconv.FormatBool(v)}, nil
	case json.Number:
		return &node{kind: number, scalar: v.String()}, nil
	case string:
		return &node{kind: text, scalar: v}, nil
	}
	return nil, errors.New("a value has no form in a file")
}

// quote returns s as a JSON string, which is a YAML and a TOML string, too.
func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string has a JSON form
	return strings.TrimSuffix(b.String(), "\n")
}

// inline returns a value in one line. JSON and the flow style of YAML differ in quotes only, TOML in its maps, too.
func (n *node) inline(f format) string {
	var parts []string
	switch n.kind {
	case object:
		for _, m := range n.members {
			parts = append(parts, m.inline(f))
		}
		if f == formatTOML && len(parts) > 0 {
			return "{ " + strings.Join(parts, ", ") + " }"
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case list:
		for _, item := range n.items {
			parts = append(parts, item.inline(f))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case text:
		if f == formatYAML {
			return yamlText(n.scalar)
		}
		return quote(n.scalar)
	case null:
		return "null"
	default:
		return n.scalar
	}
}

func (m member) inline(f format) string { return keyText(m.key, f) + assign(f) + m.value.inline(f) }

func assign(f format) string {
	if f == formatTOML {
		return " = "
	}
	return ": "
}

// keyText returns a key as it is written.
func keyText(key string, f format) string {
	switch {
	case f == formatYAML:
		return yamlText(key)
	case f == formatTOML && regexp.MustCompile(`^[A-Za-z0-9_-]+$`).MatchString(key):
		return key
	}
	return quote(key)
}

// yamlText returns a text without quotes where nobody could read it as something else.
func yamlText(s string) string {
	plain := regexp.MustCompile(`^-{0,2}[A-Za-z_/][A-Za-z0-9_./@+=-]*(?:://?[A-Za-z0-9_./@+=?-]+)*$`)
	word := regexp.MustCompile(`^(?i:y|n|yes|no|on|off|true|false|null|nan|inf)$`)
	if plain.MatchString(s) && !word.MatchString(s) {
		return s
	}
	return quote(s)
}
