package edit

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/plait-mcp/plait/config/tree"
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

// formatOf returns the format of a file by its name, which tree.Parse has accepted.
func formatOf(name string) format {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".yaml", ".yml":
		return formatYAML
	case ".toml":
		return formatTOML
	}
	return formatJSON
}

// valueOf returns what a node holds, as Fields describes it.
func valueOf(n *tree.Node) any {
	if n == nil {
		return nil
	}
	switch n.Kind {
	case tree.Map:
		fields := Fields{}
		for _, m := range n.Members {
			fields = append(fields, Field{m.Key, valueOf(m.Value)})
		}
		return fields
	case tree.List:
		items := []any{}
		for _, item := range n.Items {
			items = append(items, valueOf(item))
		}
		return items
	case tree.Bool:
		return n.Scalar == "true"
	case tree.Number:
		return json.Number(n.Scalar)
	case tree.Text:
		return n.Scalar
	default:
		return nil
	}
}

// nodeOf is the inverse of valueOf.
func nodeOf(value any) (*tree.Node, error) {
	switch v := value.(type) {
	case Fields:
		n := &tree.Node{Kind: tree.Map}
		for _, f := range v {
			child, err := nodeOf(f.Value)
			if err != nil {
				return nil, err
			}
			n.Members = append(n.Members, tree.Member{Key: f.Key, Value: child})
		}
		return n, nil
	case []any:
		n := &tree.Node{Kind: tree.List}
		for _, item := range v {
			child, err := nodeOf(item)
			if err != nil {
				return nil, err
			}
			n.Items = append(n.Items, child)
		}
		return n, nil
	case bool:
		return &tree.Node{Kind: tree.Bool, Scalar: strconv.FormatBool(v)}, nil
	case json.Number:
		return &tree.Node{Kind: tree.Number, Scalar: v.String()}, nil
	case string:
		return &tree.Node{Kind: tree.Text, Scalar: v}, nil
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
func inline(n *tree.Node, f format) string {
	var parts []string
	switch n.Kind {
	case tree.Map:
		for _, m := range n.Members {
			parts = append(parts, inlineMember(m, f))
		}
		if f == formatTOML && len(parts) > 0 {
			return "{ " + strings.Join(parts, ", ") + " }"
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case tree.List:
		for _, item := range n.Items {
			parts = append(parts, inline(item, f))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case tree.Text:
		if f == formatYAML {
			return yamlText(n.Scalar)
		}
		return quote(n.Scalar)
	case tree.Null:
		return "null"
	default:
		return n.Scalar
	}
}

func inlineMember(m tree.Member, f format) string {
	return keyText(m.Key, f) + assign(f) + inline(m.Value, f)
}

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
