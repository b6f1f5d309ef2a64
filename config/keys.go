package config

import (
	"cmp"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/plait-mcp/plait/config/tree"
)

// file is the shape of a whole file.
type file struct {
	Version int    `koanf:"version"`
	Schema  string `koanf:"$schema"`

	Extends       extends             `koanf:"extends"`
	EnvFile       fileList            `koanf:"envFile"`
	AllowCommands bool                `koanf:"allowCommands"`
	Defaults      serverDefaults      `koanf:"defaults"`
	Profiles      map[string]*Profile `koanf:"profiles"`

	Startup     Startup              `koanf:"startup"`
	Reload      Reload               `koanf:"reload"`
	Log         Log                  `koanf:"log"`
	Naming      Naming               `koanf:"naming"`
	Limits      Limits               `koanf:"limits"`
	Serve       Serve                `koanf:"serve"`
	Credentials Credentials          `koanf:"credentials"`
	Auth        Auth                 `koanf:"auth"`
	Identities  map[string]*Identity `koanf:"identities"`
	MCPServers  map[string]*entry    `koanf:"mcpServers"`
}

// entry is the shape of a server in a file.
type entry struct {
	Server   `koanf:",squash"`
	Choice   identityChoice `koanf:"identity"`
	EnvFile  fileList       `koanf:"envFile"`
	Disabled bool           `koanf:"disabled"`
	Enabled  bool           `koanf:"enabled"`

	// As Codex writes them: the names of variables that hold a bearer token and header values.
	BearerTokenEnvVar string            `koanf:"bearerTokenEnvVar"`
	EnvHTTPHeaders    map[string]string `koanf:"envHttpHeaders"`
}

// serverDefaults is the shape of what holds for every server that does not say otherwise; see isDefault.
type serverDefaults struct {
	entry `koanf:",squash"`
}

// extends is the shape of the layers below a file: each is the path of one, or a remoteLayer. One may stand alone.
type extends []remoteLayer

// identityChoice is the shape of the identity of a server: of several, the first usable one. One may stand alone, by its
// name.
type identityChoice []candidate

// candidate is one identity of a choice.
type candidate struct {
	Use  string    `koanf:"use"`
	When condition `koanf:"when"`
}

// condition says when a candidate counts.
type condition struct {
	Env string `koanf:"env"` // the name of a variable; "" for always
}

// fileList is a list in which one element may stand alone.
type fileList []string

// isOwn tells whether a file is written for plait, so that every key it does not know is a mistake: a YAML or
// TOML file, or one that is named plait. Other JSON files, and the config.toml of Codex, belong to a client of
// MCP servers, which has keys of its own there.
func isOwn(name string) bool {
	base := strings.ToLower(filepath.Base(name))
	stem := strings.TrimSuffix(strings.TrimSuffix(base, filepath.Ext(base)), ".local")
	switch filepath.Ext(base) {
	case ".yaml", ".yml":
		return true
	case ".toml":
		return base != "config.toml"
	default:
		return stem == "plait"
	}
}

// isLocal tells whether a file is for one machine only, by its name.
func isLocal(name string) bool {
	base := strings.ToLower(filepath.Base(name))
	return strings.HasSuffix(strings.TrimSuffix(base, filepath.Ext(base)), ".local")
}

// canonical returns our name of a key of t, whichever way it is spelled.
func canonical(t reflect.Type, key string) string {
	key = tree.Camel(key)
	switch t {
	case reflect.TypeFor[file]():
		if key == "servers" { // VS Code
			return "mcpServers"
		}
	case reflect.TypeFor[entry](), reflect.TypeFor[serverDefaults]():
		switch key {
		case "serverUrl", "httpUrl": // Windsurf, Gemini
			return "url"
		case "httpHeaders": // Codex
			return "headers"
		case "envVars": // Codex
			return "inheritEnv"
		}
	case reflect.TypeFor[Identity](), reflect.TypeFor[IdentityProvider](), reflect.TypeFor[Callback]():
		for _, name := range fieldNames(t) { // redirect_uri is redirectURI, client_metadata_url clientMetadataUrl
			if strings.EqualFold(name, key) {
				return name
			}
		}
	}
	return key
}

// isShared tells whether other programs use that key of t, too, for values of another shape.
func isShared(t reflect.Type, key string) bool {
	switch t {
	case reflect.TypeFor[file]():
		return slices.Contains([]string{
			"extends", "envFile", "defaults", "profiles", "allowCommands", "startup", "reload", "credentials", "auth", "identities", "serve",
		}, key)
	case reflect.TypeFor[entry]():
		return slices.Contains([]string{"tools", "prompts", "resources", "required", "lazy", "identity"}, key)
	}
	return false
}

// isForeignServerKey tells whether other programs write that key into a server and plait has no use for it.
func isForeignServerKey(key string) bool {
	return slices.Contains([]string{
		"alwaysAllow", "alwaysLoad", "auth", "authorization", "authProviderType", "autoApprove", "autoStart", "category",
		"description", "dev", "disabledTools", "displayName", "enabledTools", "excludeTools", "extra", "gallery",
		"homepage", "icon", "iconUrl", "id", "includeTools", "initTimeout", "isActive", "label", "logo", "logoUrl", "longRunning",
		"metadata", "name", "note", "notes", "oauth", "oauthResource", "provider", "providerUrl", "reference",
		"registryUrl", "sandbox", "sandboxEnabled", "scopes", "searchKey", "source", "startupTimeoutMs",
		"startupTimeoutSec", "tags", "timeout", "toolTimeoutSec", "trust", "version", "watch", "watchPaths",
	}, tree.Camel(key)) || strings.HasPrefix(key, "sandbox") || strings.HasPrefix(key, "_") || strings.HasPrefix(key, "x-")
}

// isDefault tells whether a key of a server may stand under defaults.
func isDefault(key string) bool {
	return !slices.Contains([]string{
		"args", "bearerTokenEnvVar", "command", "disabled", "enabled", "envHttpHeaders", "prefix", "type", "url",
	}, key)
}

// suggest returns the key of t that was probably meant by key, or "". A file of our own is searched more freely.
func suggest(t reflect.Type, key string, own bool) string {
	if t == reflect.TypeFor[entry]() || t == reflect.TypeFor[serverDefaults]() {
		synonyms := map[string]string{
			"cmd": "command", "environment": "env", "endpoint": "url", "uri": "url", "timeout": "callTimeout",
			"auth": "identity", "authorization": "identity", "oauth": "identity", "oauthResource": "identity", "scopes": "identity",
			"workingDirectory": "cwd", "workdir": "cwd", "requestTimeout": "callTimeout", "arguments": "args",
		}
		word := tree.Camel(key)
		if own {
			word = cmp.Or(nearest(word, slices.Sorted(maps.Keys(synonyms))), word)
		}
		if s := synonyms[word]; s != "" {
			return s
		}
	}
	if t == reflect.TypeFor[Identity]() || t == reflect.TypeFor[IdentityProvider]() {
		synonyms := map[string]string{
			"tokenUrl": "tokenEndpoint", "tokenUri": "tokenEndpoint", "authorizationUrl": "authorizationEndpoint", "authUrl": "authorizationEndpoint",
			"scope": "scopes", "secret": "clientSecret", "grantType": "grant", "type": "grant", "key": "auth.key", "privateKey": "auth.key",
			"method": "auth.method", "initialAccessToken": "registrationToken", "redirectUrl": "redirectURI", "header": "headers",
		}
		if s := synonyms[tree.Camel(key)]; s != "" {
			return s
		}
	}
	names := slices.DeleteFunc(fieldNames(t), func(name string) bool {
		return name == "version" || name == "$schema" || name == "bearerTokenEnvVar" || name == "envHttpHeaders"
	})
	if t == reflect.TypeFor[file]() {
		names = append(names, "servers")
	}
	return nearest(tree.Camel(key), names)
}

// fieldNames returns the keys of a struct in their order.
func fieldNames(t reflect.Type) []string {
	var names []string
	for f := range t.Fields() {
		switch tag := f.Tag.Get("koanf"); tag {
		case "-":
		case ",squash":
			names = append(names, fieldNames(f.Type)...)
		default:
			names = append(names, tag)
		}
	}
	return names
}

// shapes are the keys of structs, found once for each type.
type shapes map[reflect.Type]map[string]reflect.StructField

// field returns the field of a key of a struct; its Index leads to it from there.
func (s shapes) field(t reflect.Type, key string) (reflect.StructField, bool) {
	fields := s[t]
	if fields == nil {
		fields = map[string]reflect.StructField{}
		for f := range t.Fields() {
			if tag := f.Tag.Get("koanf"); tag != ",squash" {
				fields[tag] = f
				continue
			}
			for _, key := range fieldNames(f.Type) {
				inner, _ := s.field(f.Type, key)
				inner.Index = slices.Concat(f.Index, inner.Index)
				fields[key] = inner
			}
		}
		s[t] = fields
	}
	f, ok := fields[key]
	return f, ok && key != "-"
}
