package config_test

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plait-mcp/plait/config"
)

// parsed returns a configuration of that text without problems.
func parsed(t *testing.T, text string, env map[string]string) *config.Config {
	t.Helper()
	cfg, err := config.Parse(t.Context(), filepath.Join(t.TempDir(), "plait.yaml"), []byte(text), config.Options{
		LookupEnv: func(name string) (string, bool) { value, ok := env[name]; return value, ok },
		Keyring:   keyring,
	})
	check(t, err)
	for _, p := range cfg.Problems() {
		t.Errorf("%v", p)
	}
	return cfg
}

// TestIdentityGrants reads an identity of each grant.
func TestIdentityGrants(t *testing.T) {
	const text = `
mcpServers:
  auto: {url: "https://example.com/a"}
  bot: {url: "https://example.com/b", identity: bot}
  actions: {url: "https://example.com/c", identity: actions}
  exchange: {url: "https://example.com/d", identity: exchange}
  office: {url: "https://example.com/e", identity: office}
  key: {url: "https://example.com/f", identity: key}
  pair: {url: "https://example.com/g", identity: pair}
  tool: {url: "https://example.com/h", identity: tool}
  device: {url: "https://example.com/i", identity: device}
  person: {url: "https://example.com/j", identity: person}
identities:
  person: {grant: Authorization-Code, scopes: [], clientId: https://kim.example/c.json, clientMetadataUrl: https://kim.example/c.json}
  device: {grant: device_code, extraScopes: [a]}
  bot:
    grant: client_credentials
    issuer: https://as.example
    clientId: bot
    auth: {method: private_key_jwt, key: "${file:bot.pem}", alg: es256, kid: "7"}
    scopes: [mcp]
  actions:
    grant: jwt_bearer
    tokenEndpoint: https://as.example/token
    assertion: {from: github-actions}
  exchange:
    grant: token_exchange
    issuer: https://as.example
    subject: {from: kubernetes}
    requestedTokenType: access_token
    audience: mcp
  office:
    grant: enterprise
    clientId: plait
    idp: {issuer: https://idp.example, clientId: office, auth: {method: none}, idToken: {from: gitlab}}
  key: {grant: header, headers: {X-Key: "${keyring:docs/token}"}}
  pair: {grant: basic, username: kim, password: "${TOKEN}"}
  tool: {grant: exec, command: "gh 'auth token' -h ${HOST}"}
`
	folder := t.TempDir()
	name := filepath.Join(folder, "plait.yaml")
	write(t, name, text)
	write(t, filepath.Join(folder, "bot.pem"), "-----BEGIN PRIVATE KEY-----\n")
	cfg, err := config.Load(t.Context(), name, config.Options{LookupEnv: environment, Keyring: keyring})
	check(t, err)
	for _, p := range append(cfg.Problems(), cfg.Warnings...) {
		t.Errorf("%v", p)
	}
	want := map[string]*config.Identity{}
	add := func(name string, grant config.Grant, change func(*config.Identity)) {
		i := config.NewIdentity(name, grant)
		i.Dir = folder
		change(i)
		want[name] = i
	}
	add("auto", config.GrantAuto, func(i *config.Identity) { i.Implicit, i.Dir = true, "" })
	add("person", config.GrantAuthorizationCode, func(i *config.Identity) {
		i.Scopes, i.ClientMetadataURL = []string{}, "https://kim.example/c.json"
	})
	add("device", config.GrantDeviceCode, func(i *config.Identity) { i.ExtraScopes = []string{"a"} })
	add("bot", config.GrantClientCredentials, func(i *config.Identity) {
		i.Issuer, i.ClientID, i.Scopes = "https://as.example", "bot", []string{"mcp"}
		i.Auth = config.ClientAuth{Method: "private_key_jwt", Key: "-----BEGIN PRIVATE KEY-----", Alg: "ES256", Kid: "7"}
		i.Secrets = []config.Secret{"-----BEGIN PRIVATE KEY-----"}
	})
	add("actions", config.GrantJWTBearer, func(i *config.Identity) {
		i.TokenEndpoint = "https://as.example/token"
		i.Assertion = config.Assertion{From: "github-actions", Audience: "https://as.example/token"}
	})
	add("exchange", config.GrantTokenExchange, func(i *config.Identity) {
		i.Issuer, i.Audience = "https://as.example", "mcp"
		i.Subject = config.Assertion{From: "kubernetes", File: "/var/run/secrets/kubernetes.io/serviceaccount/token"}
		i.SubjectTokenType = "urn:ietf:params:oauth:token-type:jwt"
		i.RequestedTokenType = "urn:ietf:params:oauth:token-type:access_token"
	})
	add("office", config.GrantEnterprise, func(i *config.Identity) {
		i.ClientID = "plait"
		i.IDP = &config.IdentityProvider{
			Issuer: "https://idp.example", ClientID: "office", Auth: config.ClientAuth{Method: "none"},
			IDToken:          config.Assertion{From: "gitlab", Env: "GITLAB_OIDC_TOKEN"},
			SubjectTokenType: "urn:ietf:params:oauth:token-type:id_token",
		}
	})
	add("key", config.GrantHeader, func(i *config.Identity) {
		i.Headers, i.Secrets = map[string]config.Secret{"X-Key": "s3cret"}, []config.Secret{"s3cret"}
	})
	add("pair", config.GrantBasic, func(i *config.Identity) { i.Username, i.Password = "kim", "s3cret" })
	add("tool", config.GrantExec, func(i *config.Identity) { i.Command = config.CommandLine{"gh", "auth token", "-h", "example.com"} })
	for _, s := range cfg.Servers {
		if d := cmp.Diff(want[s.Name], s.Identity, cmpopts.IgnoreTypes(config.Pos{})); d != "" {
			t.Errorf("%s (-want +got):\n%s", s.Name, d)
		}
	}
	var names []string
	for _, i := range cfg.Identities {
		names = append(names, i.Name)
	}
	if d := cmp.Diff([]string{"person", "device", "bot", "actions", "exchange", "office", "key", "pair", "tool"}, names); d != "" {
		t.Errorf("Identities (-want +got):\n%s", d)
	}
}

// TestIdentityChoice chooses by what is set.
func TestIdentityChoice(t *testing.T) {
	const text = `
mcpServers:
  a: {url: "https://example.com", identity: [{use: actions, when: {env: GITHUB_ACTIONS}}, {use: ci-bot, when: {env: CI}}, me]}
identities:
  actions: {grant: jwt_bearer, issuer: "https://as.example", assertion: {from: github-actions}}
  ci-bot: {grant: client_credentials, issuer: "https://as.example", clientId: "${CI_CLIENT:-bot}", clientSecret: "${CI_SECRET}"}
  me: {grant: authorization_code}
`
	for _, tt := range []struct {
		env  map[string]string
		want string
	}{
		{nil, "me"},
		{map[string]string{"CI": "true", "CI_SECRET": "x"}, "ci-bot"},
		{map[string]string{"CI": "true"}, "me"}, // with a warning
		{map[string]string{"CI": "", "CI_SECRET": "x"}, "me"},
		{map[string]string{"CI": "False", "CI_SECRET": "x"}, "me"},
		{map[string]string{"CI": "0", "CI_SECRET": "x"}, "me"},
		{map[string]string{"CI": "1", "CI_SECRET": "x", "GITHUB_ACTIONS": "true"}, "actions"},
	} {
		cfg := parsed(t, text, tt.env)
		if got := cfg.Servers[0].Identity.Name; got != tt.want {
			t.Errorf("%v: %s, want %s", tt.env, got, tt.want)
		}
		warned := strings.Contains(cfg.Warnings.Error(), config.IDNextBest)
		if want := tt.env["CI"] == "true" && tt.env["CI_SECRET"] == ""; warned != want {
			t.Errorf("%v: warnings %v", tt.env, cfg.Warnings)
		}
	}
}

// TestIdentityImplicit looks when a server without an identity may sign in.
func TestIdentityImplicit(t *testing.T) {
	cfg := parsed(t, `
mcpServers:
  open: {url: "https://example.com/a"}
  token: {url: "https://example.com/b", headers: {authorization: "Bearer ${TOKEN}"}}
  user: {url: "https://kim@example.com/c"}
  other: {url: "https://example.com/d", headers: {X-Tenant: a}}
  child: {command: x}
`, map[string]string{"TOKEN": "x"})
	want := map[string]config.Grant{"open": config.GrantAuto, "token": config.GrantNone, "user": config.GrantNone, "other": config.GrantAuto}
	for _, s := range cfg.Servers {
		switch {
		case s.Type == config.Stdio:
			if s.Identity != nil {
				t.Errorf("%s has identity %+v", s.Name, s.Identity)
			}
		case !s.Identity.Implicit || s.Identity.Name != s.Name || s.Identity.Grant != want[s.Name]:
			t.Errorf("%s has identity %+v, want grant %s", s.Name, s.Identity, want[s.Name])
		}
	}
}

// TestIdentityFingerprint changes each field of an identity: its servers are connected anew, and the key is named.
func TestIdentityFingerprint(t *testing.T) {
	server := func(i *config.Identity) *config.Config {
		return &config.Config{Servers: []*config.Server{{Name: "a", Type: config.HTTP, Identity: i}}}
	}
	for field := range reflect.TypeFor[config.Identity]().Fields() {
		if slices.Contains([]string{"Pos", "Secrets"}, field.Name) {
			continue // no setting, and parts of the other fields
		}
		before, after := &config.Identity{}, &config.Identity{}
		fill(t, reflect.ValueOf(after).Elem().FieldByIndex(field.Index))
		if before.Fingerprint() == after.Fingerprint() {
			t.Errorf("%s: same fingerprint", field.Name)
		}
		c := config.Diff(server(before), server(after)).Changes[0]
		want := "identity"
		if key := field.Tag.Get("koanf"); key != "-" {
			want += "." + key
		}
		if c.Action != config.Restart || len(c.Keys) == 0 || c.Keys[0] != want && !strings.HasPrefix(c.Keys[0], want+".") {
			t.Errorf("%s: %v %q, want restart %s", field.Name, c.Action, c.Keys, want)
		}
	}
	none, empty := &config.Identity{}, &config.Identity{Scopes: []string{}}
	if none.Fingerprint() == empty.Fingerprint() {
		t.Error("no scopes are the server's choice")
	}
}

// TestIdentityDiff compares files.
func TestIdentityDiff(t *testing.T) {
	env := map[string]string{"HOME": "/home/kim", "USERPROFILE": "/home/kim"}
	old := parsed(t, `
credentials: {store: file}
mcpServers: {a: {url: "https://example.com", identity: x}, b: {url: "https://example.com", identity: y}, c: {url: "https://example.com"}}
identities: {x: {scopes: [a]}, y: {}, }
`, env)
	now := parsed(t, `
credentials: {store: memory}
auth: {callback: {port: 1}}
mcpServers: {a: {url: "https://example.com", identity: x}, b: {url: "https://example.com", identity: x}, c: {url: "https://example.com"}}
identities: {x: {scopes: [b], resource: omit}}
`, env)
	want := "restart a identity.resource identity.scopes\nrestart b identity\nkeep c\n" +
		"global credentials.store\nglobal auth.callback.port\n"
	if d := cmp.Diff(want, brief(config.Diff(old, now))); d != "" {
		t.Errorf("Diff (-want +got):\n%s", d)
	}
}

// TestKeyringReference asks once for each entry, and not at all offline or for servers that are not used.
func TestKeyringReference(t *testing.T) {
	const text = `
mcpServers:
  a: {url: "https://example.com", headers: {A: "${keyring:docs/a/b}", B: "${keyring:docs/a/b}"}}
  b: {url: "https://example.com", headers: {A: "${keyring:docs/a/b}"}, identity: me}
  c: {url: "https://example.com", disabled: true, headers: {A: "${keyring:docs/other}"}}
identities:
  me: {grant: basic, username: x, password: "${keyring:docs/a/b}"}
  you: {grant: basic, username: x, password: "${keyring:docs/other}"}
`
	for _, offline := range []bool{false, true} {
		var asked []string
		cfg, err := config.Parse(t.Context(), filepath.Join(t.TempDir(), "plait.yaml"), []byte(text), config.Options{
			LookupEnv: environment, Offline: offline,
			Keyring: func(_ context.Context, service, key string) (string, error) {
				asked = append(asked, service+" "+key)
				return "s3cret", nil
			},
		})
		check(t, err)
		if len(cfg.Problems()) > 0 {
			t.Errorf("offline %t: %v", offline, cfg.Problems())
		}
		if want := []string{"docs a/b"}; !offline && !slices.Equal(asked, want) || offline && asked != nil {
			t.Errorf("offline %t: asked for %q", offline, asked)
		}
		if !offline && (cfg.Servers[1].Identity.Password != "s3cret" || cfg.Servers[0].Secrets[0] != "s3cret") {
			t.Errorf("servers %+v", cfg.Servers)
		}
	}
	cfg, err := config.Parse(t.Context(), filepath.Join(t.TempDir(), "plait.yaml"), []byte(text), config.Options{LookupEnv: environment})
	check(t, err)
	if got := cfg.Problems(); len(got) != 4 || got[0].ID != config.IDReferenceKeyring {
		t.Errorf("without a keyring: %v", got)
	}
}

// TestIdentityHides prints an identity in each way: no secret comes out.
func TestIdentityHides(t *testing.T) {
	i := config.NewIdentity("x", config.GrantAuto)
	fillSecrets(reflect.ValueOf(i).Elem())
	i.IDP = &config.IdentityProvider{ClientSecret: "s3cret"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		for _, value := range []any{i, *i, config.Server{Identity: i}, &config.Server{Identity: i}, []*config.Identity{i}} {
			if text := fmt.Sprintf(format, value); strings.Contains(text, "s3cret") {
				t.Errorf("%s: %s", format, text)
			}
		}
	}
}

func fillSecrets(v reflect.Value) {
	for f := range v.Type().Fields() {
		switch field := v.FieldByIndex(f.Index); {
		case field.Type() == reflect.TypeFor[config.Secret]():
			field.SetString("s3cret")
		case field.Type() == reflect.TypeFor[map[string]config.Secret]():
			field.Set(reflect.ValueOf(map[string]config.Secret{"a": "s3cret"}))
		case field.Kind() == reflect.Struct && field.Type() != reflect.TypeFor[config.Pos]():
			fillSecrets(field)
		}
	}
}
