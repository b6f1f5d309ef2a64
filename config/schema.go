package config

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Schema returns the JSON Schema (draft 7, which all editors know) of a file that is written for plait.
func Schema() []byte {
	g := generator{meanings: meanings(), definitions: map[string]*schema{}}
	root := g.structure(reflect.TypeFor[file](), reflect.ValueOf(defaultFile()).Elem(), nil)
	root.Schema = "http://json-schema.org/draft-07/schema#"
	root.Title = "Configuration of plait"
	root.Patterns = map[string]*schema{"^x-": {}}              // for YAML anchors
	for _, alias := range []string{"servers", "mcp_servers"} { // VS Code, Codex
		root.Properties[alias] = root.Properties["mcpServers"]
	}
	root.Definitions = g.definitions
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(root) // writing into memory
	return b.Bytes()
}

// schema is a JSON Schema, as far as it is needed here.
type schema struct {
	Schema      string             `json:"$schema,omitempty"`
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"`
	Ref         string             `json:"$ref,omitempty"`
	Type        []string           `json:"type,omitempty"`
	Enum        []any              `json:"enum,omitempty"`
	Pattern     string             `json:"pattern,omitempty"`
	Minimum     *int               `json:"minimum,omitempty"`
	Maximum     *int               `json:"maximum,omitempty"`
	Default     any                `json:"default,omitempty"`
	AnyOf       []*schema          `json:"anyOf,omitempty"`
	Items       *schema            `json:"items,omitempty"`
	Properties  map[string]*schema `json:"properties,omitempty"`
	Patterns    map[string]*schema `json:"patternProperties,omitempty"`
	Additional  any                `json:"additionalProperties,omitempty"` // a schema or false
	Required    []string           `json:"required,omitempty"`
	Definitions map[string]*schema `json:"definitions,omitempty"`
}

// Names of JSON types.
const (
	jsonNull    = "null"
	jsonString  = "string"
	jsonNumber  = "number"
	jsonInteger = "integer"
	jsonBoolean = "boolean"
	jsonArray   = "array"
	jsonObject  = "object"
)

// Patterns of texts.
const (
	variablePattern = `\$\{`
	durationPattern = `^[-+]?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))+)$|` + variablePattern
	sizePattern     = `^\s*[0-9]+(\.[0-9]+)?\s*(([kKmMgG][iI]?)?[bB])?\s*$|` + variablePattern
	boolPattern     = `^(true|false)$|` + variablePattern
)

// generator makes schemas of Go types.
type generator struct {
	meanings    map[string]meaning // by struct and key
	definitions map[string]*schema
}

// structure returns the schema of a struct whose fields are initially as v, which may be invalid, without some keys.
func (g *generator) structure(t reflect.Type, v reflect.Value, without []string) *schema {
	s := &schema{Type: []string{jsonObject, jsonNull}, Properties: map[string]*schema{}, Additional: false}
	g.add(s, t, v, without)
	return s
}

func (g *generator) add(s *schema, t reflect.Type, v reflect.Value, without []string) {
	for f := range t.Fields() {
		tag := f.Tag.Get("koanf")
		var initial reflect.Value
		if v.IsValid() {
			initial = v.FieldByIndex(f.Index)
		}
		switch {
		case tag == "-" || slices.Contains(without, tag):
		case tag == ",squash":
			g.add(s, f.Type, initial, without)
		default:
			m := g.meanings[t.Name()+"."+tag]
			p := g.value(f.Type, tag, initial, m)
			p.Description = m.text
			if m.initial == "" && !isComposed(f.Type) {
				p.Default = shown(initial)
			}
			s.Properties[tag] = p
		}
	}
}

// isComposed tells whether values of type t hold others.
func isComposed(t reflect.Type) bool {
	return slices.Contains([]reflect.Kind{reflect.Struct, reflect.Map, reflect.Slice, reflect.Pointer}, t.Kind())
}

// value returns the schema of a key of a struct; nothing is as if the key was not there.
func (g *generator) value(t reflect.Type, key string, initial reflect.Value, m meaning) *schema {
	switch {
	case t == reflect.TypeFor[Rules]():
		return g.define(key, g.structure(t, initial, meaningless(key)))
	case t == reflect.TypeFor[extends]():
		return g.layers()
	case t == reflect.TypeFor[serverDefaults]():
		return g.define("defaults", g.structure(t, reflect.ValueOf(serverDefaults{*defaultEntry("")}), slices.DeleteFunc(fieldNames(t), isDefault)))
	case t == reflect.TypeFor[identityChoice]():
		return g.identityChoice()
	case t == reflect.TypeFor[ServeAuth]():
		return &schema{AnyOf: []*schema{
			{Enum: []any{authNone, authBearer}}, {Type: []string{jsonString}, Pattern: variablePattern}, g.structure(t, initial, nil),
		}}
	case t == reflect.TypeFor[ClientAuth](), t == reflect.TypeFor[Assertion]():
		return g.define(strings.ToLower(t.Name()[:1])+t.Name()[1:], g.structure(t, reflect.Value{}, nil))
	case t == reflect.TypeFor[*IdentityProvider]():
		return g.structure(t.Elem(), reflect.Value{}, nil)
	case t == reflect.TypeFor[fileList](), t == reflect.TypeFor[CommandLine]():
		return &schema{Type: []string{jsonString, jsonArray, jsonNull}, Items: &schema{Type: []string{jsonString}}}
	case t.Kind() == reflect.Struct:
		return g.structure(t, initial, nil)
	case t.Kind() == reflect.Map:
		return &schema{Type: []string{jsonObject, jsonNull}, Additional: g.element(t.Elem())}
	case t.Kind() == reflect.Slice:
		return &schema{Type: []string{jsonArray, jsonNull}, Items: g.element(t.Elem())}
	case t.Kind() == reflect.Pointer:
		t = t.Elem()
	}
	if m.choices != nil {
		s := &schema{AnyOf: []*schema{{}, {Type: []string{jsonString}, Pattern: variablePattern}, {Type: []string{jsonNull}}}}
		for _, choice := range m.choices {
			s.AnyOf[0].Enum = append(s.AnyOf[0].Enum, choice)
		}
		return s
	}
	s := scalar(t)
	s.Type = append(s.Type, jsonNull)
	if m.least != nil {
		s.Minimum, s.Maximum = m.least, m.most
	}
	return s
}

// scalar returns the schema of a value that holds no others. Wherever there is one, a variable may stand for it.
func scalar(t reflect.Type) *schema {
	zero := 0
	switch {
	case t == reflect.TypeFor[time.Duration](): // a number other than 0 is taken for seconds, with a warning
		return &schema{Type: []string{jsonString, jsonInteger}, Pattern: durationPattern, Minimum: &zero, Maximum: &zero}
	case t.Kind() == reflect.Int64:
		return &schema{Type: []string{jsonString, jsonInteger}, Pattern: sizePattern, Minimum: &zero}
	case t.Kind() == reflect.Int:
		return &schema{Type: []string{jsonInteger, jsonString}, Pattern: variablePattern}
	case t.Kind() == reflect.Bool:
		return &schema{Type: []string{jsonBoolean, jsonString}, Pattern: boolPattern}
	}
	return &schema{Type: []string{jsonString}}
}

// element returns the schema of what is in a list or map.
func (g *generator) element(t reflect.Type) *schema {
	switch t {
	case reflect.TypeFor[*entry]():
		s := g.structure(t.Elem(), reflect.ValueOf(defaultEntry("")).Elem(), nil)
		for alias, key := range map[string]string{"serverUrl": "url", "httpUrl": "url", "httpHeaders": "headers", "envVars": "inheritEnv"} {
			s.Properties[alias] = s.Properties[key]
		}
		s.Patterns = map[string]*schema{"^(x-|_)": {}}
		return g.define("server", s)
	case reflect.TypeFor[*Identity]():
		return g.define("identity", g.structure(t.Elem(), reflect.ValueOf(NewIdentity("", GrantAuto)).Elem(), nil))
	case reflect.TypeFor[*Profile]():
		return g.structure(t.Elem(), reflect.Value{}, nil)
	case reflect.TypeFor[Override]():
		return g.structure(t, reflect.Value{}, nil)
	case reflect.TypeFor[Glob]():
		return &schema{Type: []string{jsonString}}
	case reflect.TypeFor[any]():
		return &schema{}
	}
	return &schema{Type: []string{jsonString, jsonNumber, jsonBoolean}} // a number or true is read as text
}

// layers returns the schema of extends.
func (g *generator) layers() *schema {
	remote := g.structure(reflect.TypeFor[remoteLayer](), reflect.Value{}, nil)
	remote.Type = []string{jsonObject}
	remote.Required = []string{"url", "sha256"}
	remote.Properties["sha256"].Pattern = "^[0-9a-fA-F]{64}$"
	one := &schema{AnyOf: []*schema{{Type: []string{jsonString}}, remote}}
	return &schema{AnyOf: []*schema{
		{Type: []string{jsonArray}, Items: g.define("layer", one)},
		g.define("layer", one),
		{Type: []string{jsonNull}},
	}}
}

// identityChoice returns the schema of the identity of a server.
func (g *generator) identityChoice() *schema {
	one := g.structure(reflect.TypeFor[candidate](), reflect.Value{}, nil)
	one.Type, one.Required = []string{jsonObject}, []string{"use"}
	return &schema{AnyOf: []*schema{
		{Type: []string{jsonString, jsonNull}},
		{Type: []string{jsonArray}, Items: &schema{AnyOf: []*schema{{Type: []string{jsonString}}, one}}},
	}}
}

// define puts a schema among the definitions and returns a reference to it.
func (g *generator) define(name string, s *schema) *schema {
	g.definitions[name] = s
	return &schema{Ref: "#/definitions/" + name}
}

// shown returns a default as it would be written, nil for one that says nothing.
func shown(v reflect.Value) any {
	switch {
	case !v.IsValid(), v.Kind() == reflect.String && v.String() == "":
		return nil
	case v.Type() == reflect.TypeFor[time.Duration]():
		return durationText(time.Duration(v.Int()))
	case v.Kind() == reflect.Int64:
		return sizeText(v.Int())
	}
	return v.Interface()
}

// durationText returns a duration without the units that are 0.
func durationText(d time.Duration) string {
	s := d.String()
	for _, unit := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, unit) {
			s = s[:len(s)-2]
		}
	}
	return s
}

// sizeText returns a size in the largest unit that fits.
func sizeText(n int64) any {
	units := []string{"KiB", "MiB", "GiB"}
	name := ""
	for _, unit := range units {
		if n == 0 || n%1024 != 0 {
			break
		}
		n, name = n/1024, unit
	}
	if name == "" {
		return n
	}
	return strconv.FormatInt(n, 10) + name
}
