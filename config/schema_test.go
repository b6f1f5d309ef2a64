package config_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/tailscale/hujson"
	"go.yaml.in/yaml/v4"

	"github.com/plait-mcp/plait/config"
)

// TestSchema compares the schema with the one that was looked at, word for word.
func TestSchema(t *testing.T) {
	const name = "testdata/schema.json"
	if *update {
		check(t, os.WriteFile(name, config.Schema(), 0o600))
	}
	want, err := os.ReadFile(name)
	check(t, err)
	if d := cmp.Diff(string(want), string(config.Schema())); d != "" {
		t.Errorf("Schema, else run with -update (-want +got):\n%s", d)
	}
}

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := jsonschema.UnmarshalJSON(bytes.NewReader(config.Schema()))
	check(t, err)
	c := jsonschema.NewCompiler()
	check(t, c.AddResource("plait.json", text))
	s, err := c.Compile("plait.json")
	check(t, err)
	return s
}

// decoded returns a file as a validator of schemas sees it.
func decoded(t *testing.T, name string, data []byte) any {
	t.Helper()
	var value any
	switch filepath.Ext(name) {
	case ".toml":
		check(t, toml.Unmarshal(data, &value))
	case ".json":
		plain, err := hujson.Standardize(data)
		check(t, err)
		data = plain
		fallthrough
	default:
		check(t, yaml.Unmarshal(data, &value))
	}
	text, err := json.Marshal(value)
	check(t, err)
	value, err = jsonschema.UnmarshalJSON(bytes.NewReader(text))
	check(t, err)
	return value
}

// TestSchemaAllows validates the files of the examples and the samples.
func TestSchemaAllows(t *testing.T) {
	s := compiled(t)
	files := []string{"testdata/formats/plait.yaml", "testdata/formats/plait.toml", "testdata/formats/plait.json"}
	for _, pattern := range []string{"../examples/*/*.yaml", "../examples/*/*.toml", "../examples/*/*.json"} {
		found, err := filepath.Glob(pattern)
		check(t, err)
		files = append(files, found...)
	}
	if len(files) < 4 {
		t.Fatalf("no examples: %q", files)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		check(t, err)
		if err := s.Validate(decoded(t, name, data)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"nothing":   `{}`,
		"null":      "startup:\nmcpServers: {a: , b: {url: }}",
		"variables": `{startup: {wait: "${WAIT}"}, log: {level: "${LEVEL:-info}"}, naming: {maxLength: "${N}"}, mcpServers: {a: {url: "${U}", disabled: "${OFF:-false}"}}}`,
		"layers":    `{extends: [a.yaml, {url: "https://example.com/x.yaml", sha256: "` + strings.Repeat("0a", 32) + `"}]}`,
		"one layer": `{extends: a.yaml}`,
		"defaults":  `{defaults: {callTimeout: 1m30s, tools: {deny: ["*_delete"], readOnly: true, unannotated: show}}}`,
		"rules":     `{mcpServers: {a: {command: x, tools: {rename: {a: b}, override: {a: {title: A, annotations: {readOnlyHint: true}}}}, prompts: {rename: {a: b}}, resources: {allow: ["file://*"]}}}}`,
		"profiles":  `{profiles: {default: {}, ci: {servers: [a], tools: {deny: ["*"]}}}}`,
		"zero":      `{startup: {wait: 0}, mcpServers: {a: {url: "https://example.com", idleTimeout: 0, maxResultBytes: 1.5 MB}}}`,
		"identities": `{identities: {a: {grant: exec, command: x y}, b: {grant: exec, command: [x]}, c: {grant: jwt_bearer, issuer: "https://as.example",
			auth: {method: none}, assertion: {from: env, env: X}}, d: {grant: "${TOKEN:-none}"}},
			mcpServers: {a: {url: "https://example.com", identity: a}, b: {url: "https://example.org", identity: [b, {use: c, when: {env: CI}}]}}}`,
		"sign-in":  `{auth: {callback: {port: 0}, timeout: 90s}, credentials: {store: memory}}`,
		"own keys": `{x-anything: [1], mcpServers: {a: {url: "https://example.com", x-note: 1, _note: 2}}, $schema: s.json}`,
	} {
		if err := s.Validate(decoded(t, "plait.yaml", []byte(text))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := config.Parse(t.Context(), filepath.Join(t.TempDir(), "plait.yaml"), []byte(text), config.Options{LookupEnv: environment}); err != nil &&
			!slices.Contains([]string{"layers", "one layer", "variables", "profiles"}, name) {
			t.Errorf("%s: Parse = %v", name, err)
		}
	}
}

// TestSchemaRefuses validates what plait refuses, too.
func TestSchemaRefuses(t *testing.T) {
	s := compiled(t)
	bad := map[string]string{
		"unknown key":        `{mcpServer: {}}`,
		"unknown in server":  `{mcpServers: {a: {ulr: x}}}`,
		"duration":           `{startup: {wait: 3 seconds}}`,
		"size":               `{limits: {message: large}}`,
		"choice":             `{log: {level: loud}}`,
		"transport":          `{mcpServers: {a: {url: "https://example.com", transport: pigeon}}}`,
		"list for text":      `{mcpServers: {a: {url: [x]}}}`,
		"text for list":      `{mcpServers: {a: {command: x, args: -v}}}`,
		"too long":           `{naming: {maxLength: 65}}`,
		"bool":               `{mcpServers: {a: {url: "https://example.com", shared: 1}}}`,
		"layer without sum":  `{extends: [{url: "https://example.com"}]}`,
		"prompt annotations": `{mcpServers: {a: {url: "https://example.com", prompts: {override: {}}}}}`,
		"default url":        `{defaults: {url: "https://example.com"}}`,
		"version":            `{version: 2}`,
		"grant":              `{mcpServers: {a: {url: "https://example.com", identity: x}}, identities: {x: {grant: password}}}`,
		"key of identity":    `{mcpServers: {a: {url: "https://example.com", identity: x}}, identities: {x: {scope: a}}}`,
		"identity as map":    `{mcpServers: {a: {url: "https://example.com", identity: {grant: none}}}}`,
		"use":                `{mcpServers: {a: {url: "https://example.com", identity: [{when: {env: CI}}]}}}`,
		"port":               `{auth: {callback: {port: 70000}}}`,
		"list at the top":    `[]`,
	}
	for _, name := range slices.Sorted(maps.Keys(bad)) {
		if s.Validate(decoded(t, "plait.yaml", []byte(bad[name]))) == nil {
			t.Errorf("%s: allowed", name)
		}
		cfg, err := config.Parse(t.Context(), filepath.Join(t.TempDir(), "plait.yaml"), []byte(bad[name]), config.Options{LookupEnv: environment})
		if err == nil && len(cfg.Problems()) == 0 {
			t.Errorf("%s: Parse finds nothing wrong", name)
		}
	}
}

// TestKeys looks at every key: it has a meaning, a default or none to tell, and a place in the schema.
func TestKeys(t *testing.T) {
	var schema map[string]any
	check(t, json.Unmarshal(config.Schema(), &schema))
	keys := config.Keys()
	for i, key := range keys {
		if key.Meaning == "" || strings.HasSuffix(key.Meaning, ".") {
			t.Errorf("%s: meaning %q", key.Path, key.Meaning)
		}
		holds := i+1 < len(keys) && strings.HasPrefix(keys[i+1].Path, key.Path+".")
		if key.Default == "" && !holds {
			t.Errorf("%s has no default", key.Path)
		}
		if key.Choices != nil && !slices.Contains(key.Choices, key.Default) && !strings.HasPrefix(key.Default, "by ") && key.Default != "needed" {
			t.Errorf("%s: default %q is none of %q", key.Path, key.Default, key.Choices)
		}
	}
	text := string(config.Schema())
	for _, key := range keys {
		name := key.Path[strings.LastIndex(key.Path, ".")+1:]
		if !strings.Contains(text, `"`+name+`": {`) {
			t.Errorf("the schema lacks %s", key.Path)
		}
		if encoded, _ := json.Marshal(key.Meaning); !strings.Contains(text, strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(encoded))) {
			t.Errorf("the schema does not tell what %s means", key.Path)
		}
	}
	if got := len(keys); got < 80 {
		t.Errorf("%d keys, are all there?", got)
	}
}

func check(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}
