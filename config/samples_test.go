package config_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plait-mcp/plait/config"
)

// load loads a file that must have no problem.
func load(t *testing.T, name string) *config.Config {
	t.Helper()
	cfg, err := config.Load(t.Context(), name, config.Options{LookupEnv: environment, Keyring: keyring})
	if err != nil {
		t.Fatalf("Load(%s) = %v", name, err)
	}
	for _, p := range cfg.Problems() {
		t.Errorf("Load(%s): %v", name, p)
	}
	return cfg
}

// TestFormatsAgree loads the same configuration with every key in each format.
func TestFormatsAgree(t *testing.T) {
	folder, err := filepath.Abs("testdata/formats")
	if err != nil {
		t.Fatal(err)
	}
	globs := func(patterns ...string) []config.Glob {
		var all []config.Glob
		for _, p := range patterns {
			all = append(all, config.Glob{Text: p})
		}
		return all
	}
	profile := config.Profile{
		Servers: []string{"zeta", "alpha", "with.dots"}, Tools: config.Rules{Deny: globs("x*"), Unannotated: "hide"},
		Prompts: config.Rules{Allow: globs("p")}, Resources: config.Rules{Allow: globs("file:///*")},
	}
	anonymous := config.NewIdentity("zeta", config.GrantNone)
	anonymous.Implicit = true
	full := &config.Identity{
		Name: "full", Grant: config.GrantAuthorizationCode, Provider: "github", Issuer: "https://as.example",
		AuthorizationEndpoint: "https://as.example/authorize", TokenEndpoint: "https://as.example/token",
		DeviceAuthorizationEndpoint: "https://as.example/device", RegistrationEndpoint: "https://as.example/register",
		RevocationEndpoint: "https://as.example/revoke", ClientID: "Iv1", ClientSecret: "s3cret", ClientName: "kim",
		ClientMetadataURL: "https://kim.example/client.json", Registration: "static", RegistrationToken: "s3cret",
		ClientMetadata: map[string]any{"software_id": "x", "contacts": []any{"a"}}, Auth: config.ClientAuth{Method: "client_secret_post"},
		Scopes: []string{"repo", "read:org"}, ExtraScopes: []string{"x"}, OfflineAccess: "never", Resource: "omit",
		RedirectURI: "http://localhost:3118/callback", ScopeParam: "user_scope",
		AuthorizeParams: map[string]config.Secret{"prompt": "consent"}, TokenParams: map[string]config.Secret{"a": "b"},
		OneLogin: "always", AssumePKCE: true, StrictIssuer: true, LegacyDiscovery: true, AllowPrivateIssuer: true, AllowHTTP: true,
		TokenPath: "authed_user", Bearer: "idToken", RefreshSkew: time.Minute, Dir: folder,
		RefreshToken: "s3cret", AuthorizationCode: "s3cret", CodeVerifier: "s3cret",
	}
	want := &config.Config{
		Serve: config.Serve{HTTP: config.ServeHTTP{
			Path: "/mcp", SSE: true,
			Limits: config.ServeLimits{Sessions: 1000, Idle: 30 * time.Minute, Lifetime: 24 * time.Hour, Replay: 1 << 20, Connections: 5000, Memory: 256 << 20, Drain: 10 * time.Second},
		}},
		Profile: "default", Credentials: config.Credentials{Store: "file", Path: filepath.Join(folder, "keys"), Key: "s3cret"},
		Auth: config.Auth{
			Callback: config.Callback{Host: "localhost", Port: 1234, Bind: "127.0.0.2", PublicURL: "https://kim.example"},
			Timeout:  time.Minute,
		},
		Identities: []*config.Identity{full},
		Startup:    config.Startup{Wait: 5 * time.Second, SnapshotMaxAge: time.Hour},
		Reload:     config.Reload{Debounce: time.Second},
		Log:        config.Log{Level: "debug", Format: "json", File: filepath.FromSlash("/home/kim/plait.log")},
		Naming:     config.Naming{Separator: "__", MaxLength: 64, OnTooLong: "error", OnCollision: "error", BareNames: true},
		Limits:     config.Limits{Message: 8 << 20},
		Servers: []*config.Server{
			{
				Name: "zeta", Type: config.HTTP, Transport: config.HTTPFirst, Prefix: "z", Shared: true,
				URL: "https://example.com/mcp", AllowHTTP: true, Identity: anonymous,
				Headers: map[string]config.Secret{"Authorization": "Bearer s3cret", "X-Number": "7", "X-Price": "$5 ${HOME}"},
				CAFile:  filepath.Join(folder, "ca.pem"),
				ClientCert: config.ClientCert{
					Cert: filepath.Join(folder, "ca.pem"), Key: filepath.Join(folder, "ca.pem"),
				},
				ProtocolVersion: "2025-06-18", ConnectTimeout: 1500 * time.Millisecond, CallTimeout: 2 * time.Minute,
				Ping: config.Ping{Interval: 0, Timeout: 3 * time.Second}, Methods: []string{"acme/*", "other/?"},
				Required: true, Lazy: true, IdleTimeout: time.Minute, MaxConcurrent: 3, MaxResultBytes: 1 << 20, Profile: profile,
				Tools: config.Rules{
					Allow: globs("get_*", "common"), Deny: globs("*_secret"), ReadOnly: true, Unannotated: "show",
					Rename: map[string]string{"get_me": "whoami"},
					Override: map[string]config.Override{"get_it": {Title: new("It"), Description: new(""), Annotations: map[string]any{
						"idempotentHint": true, "cost": json.Number("1.50"), "tags": []any{"a", map[string]any{"b": "common"}},
					}}},
				},
				Prompts:   config.Rules{Allow: globs("a"), Deny: globs("b"), Rename: map[string]string{"a": "c"}},
				Resources: config.Rules{Allow: globs("file:///*"), Deny: globs("*.key")},
			},
			{
				Name: "alpha", Type: config.Stdio, Command: filepath.Join(folder, "bin", "server"), Prefix: "",
				Args:       []string{"-v", "8080", "true", "default of nothing"},
				Env:        map[string]config.Secret{"PORT": "8080", "HOST": "example.com", "FROM_FILE": "a b", "BOTH": "config", "LITERAL": "$HOME"},
				InheritEnv: []string{"PATH", "LANG"}, Cwd: folder,
				ServerStream: true, ConnectTimeout: 30 * time.Second, CallTimeout: 10 * time.Minute,
				Ping: config.Ping{Interval: time.Minute, Timeout: 10 * time.Second}, Tools: config.Rules{Unannotated: "hide"},
				IdleTimeout: 5 * time.Minute, Profile: profile,
			},
			{
				Name: "with.dots", Type: config.SSE, Transport: config.SSEFirst, URL: "http://localhost:3000/sse", Prefix: "with.dots", Identity: full,
				ServerStream: true, ConnectTimeout: 30 * time.Second, CallTimeout: 10 * time.Minute,
				Ping: config.Ping{Interval: time.Minute, Timeout: 10 * time.Second}, Tools: config.Rules{Unannotated: "hide"},
				IdleTimeout: 5 * time.Minute, Profile: profile,
			},
		},
	}
	for _, name := range []string{"plait.yaml", "plait.toml", "plait.json", "snake.yaml"} {
		t.Run(name, func(t *testing.T) {
			got := load(t, "testdata/formats/"+name)
			if len(got.Warnings) > 0 {
				t.Errorf("warnings: %v", got.Warnings)
			}
			opts := cmp.Options{
				cmpopts.IgnoreTypes(config.Pos{}), cmpopts.IgnoreFields(config.Config{}, "Path", "Files"),
				cmpopts.IgnoreFields(config.Server{}, "Sums"), cmpopts.IgnoreFields(config.Rules{}, "Places"),
			}
			if d := cmp.Diff(want, got, opts); d != "" {
				t.Errorf("Load (-want +got):\n%s", d)
			}
		})
	}
}

// TestClientFiles loads files as other programs write them, unmodified.
func TestClientFiles(t *testing.T) {
	type brief struct {
		Name      string
		Type      config.Type
		Transport config.Transport
		Target    string
	}
	tests := map[string]struct {
		servers  []brief
		problems string // of servers
		warnings string
	}{
		"claude_desktop_config.json": {
			servers: []brief{
				{"filesystem", config.Stdio, "", "npx -y @modelcontextprotocol/server-filesystem /home/kim/Desktop"},
				{"github", config.Stdio, "", "docker run -i --rm -e GITHUB_PERSONAL_ACCESS_TOKEN ghcr.io/github/github-mcp-server"},
			},
			warnings: "2:3: ignored keys of other programs: globalShortcut, preferences [PLAIT-CFG-034]",
		},
		"claude.json": {
			servers: []brief{
				{"sentry", config.HTTP, config.HTTPOnly, "https://mcp.sentry.dev/mcp"},
				{"asana", config.SSE, config.SSEOnly, "https://mcp.asana.com/sse"},
			},
			warnings: "2:3: ignored keys of other programs: numStartups, installMethod, tipsHistory, projects, oauthAccount, and 1 more [PLAIT-CFG-034]",
		},
		"cursor.json": {
			servers: []brief{
				{"local", config.Stdio, "", "python /home/kim/server.py"},
				{"remote", config.HTTP, config.HTTPFirst, "https://example.com/mcp"},
				{"here", config.Stdio, "", "node "},
			},
			problems: "18:16: mcpServers.here.args[0]: ${workspaceFolder} is known to the editor only; " +
				"write the value, or a variable of the environment [PLAIT-CFG-013]",
		},
		"vscode/mcp.json": {
			servers: []brief{
				{"playwright", config.Stdio, "", "npx -y @microsoft/mcp-server-playwright"},
				{"github", config.HTTP, config.HTTPOnly, "https://api.githubcopilot.com/mcp/"},
				{"perplexity", config.Stdio, "", "npx -y server-perplexity-ask"},
			},
			problems: "25:27: servers.perplexity.env.PERPLEXITY_API_KEY: ${input:perplexity-key} is known to the editor only; " +
				"write the value, or a variable of the environment [PLAIT-CFG-013]",
			warnings: "3:3: ignored keys of other programs: inputs, servers.playwright.gallery, servers.playwright.version, " +
				"servers.playwright.dev [PLAIT-CFG-034]",
		},
		"windsurf.json": {
			servers:  []brief{{"figma", config.HTTP, config.HTTPFirst, "https://mcp.figma.com/mcp"}},
			warnings: "5:7: ignored keys of other programs: mcpServers.figma.disabledTools [PLAIT-CFG-034]",
		},
		"cline.json": {
			servers: []brief{
				{"weather", config.HTTP, config.HTTPOnly, "https://example.com/mcp"},
			},
			warnings: "6:7: ignored keys of other programs: mcpServers.weather.timeout, mcpServers.weather.autoApprove [PLAIT-CFG-034]",
		},
		"gemini.json": {
			servers:  []brief{{"g", config.HTTP, config.HTTPFirst, "http://localhost:3000/mcp"}},
			warnings: "2:3: ignored keys of other programs: theme, mcpServers.g.timeout, mcpServers.g.trust [PLAIT-CFG-034]",
		},
		"codex/config.toml": {
			servers: []brief{
				{"context7", config.Stdio, "", "npx -y @upstash/context7-mcp"},
				{"figma", config.HTTP, config.HTTPFirst, "https://mcp.figma.com/mcp"},
			},
			warnings: "1:1: ignored keys of other programs: model, mcp_servers.context7.startup_timeout_sec, " +
				"mcp_servers.figma.tool_timeout_sec, mcp_servers.figma.enabled_tools, projects [PLAIT-CFG-034]",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := "testdata/clients/" + name
			cfg, err := config.Load(t.Context(), path, config.Options{LookupEnv: environment})
			if err != nil {
				t.Fatal(err)
			}
			var got []brief
			for _, s := range cfg.Servers {
				target := s.URL
				if s.Type == config.Stdio {
					target = strings.Join(append([]string{s.Command}, s.Args...), " ")
				}
				got = append(got, brief{s.Name, s.Type, s.Transport, target})
			}
			if d := cmp.Diff(tt.servers, got); d != "" {
				t.Errorf("servers (-want +got):\n%s", d)
			}
			short := func(ps config.Problems) string { return strings.ReplaceAll(ps.Error(), path+":", "") }
			if d := cmp.Diff(tt.problems, short(cfg.Problems())); d != "" {
				t.Errorf("problems (-want +got):\n%s", d)
			}
			if d := cmp.Diff(tt.warnings, short(cfg.Warnings)); d != "" {
				t.Errorf("warnings (-want +got):\n%s", d)
			}
		})
	}
	codex := load(t, "testdata/clients/codex/config.toml")
	want := map[string]config.Secret{"Authorization": "Bearer s3cret", "X-Region": "us", "X-Host": "example.com"}
	if d := cmp.Diff(want, codex.Servers[1].Headers); d != "" {
		t.Errorf("headers of Codex (-want +got):\n%s", d)
	}
}

// TestExamples loads the file of each example, and each profile of it.
func TestExamples(t *testing.T) {
	folders, err := filepath.Glob("../examples/*")
	check(t, err)
	tokens := func(name string) (string, bool) {
		if strings.HasSuffix(name, "_TOKEN") {
			return "s3cret-0123456789abcdef0123456789", true
		}
		return environment(name)
	}
	for _, folder := range folders {
		if _, err := os.Stat(filepath.Join(folder, "README.md")); err != nil {
			t.Error(err)
		}
		for _, profile := range []string{"", "review", "offline"} {
			cfg, err := config.Load(t.Context(), filepath.Join(folder, "plait.yaml"), config.Options{LookupEnv: tokens, Profile: profile, Keyring: keyring})
			if profile != "" && err != nil && strings.Contains(err.Error(), config.IDProfile) {
				continue
			}
			if err != nil || len(cfg.Problems()) > 0 || len(cfg.Warnings) > 0 || len(cfg.Servers) == 0 {
				t.Errorf("Load(%s, %q) = %+v, %v", folder, profile, cfg, err)
			}
		}
	}
	if len(folders) < 2 {
		t.Errorf("examples: %q", folders)
	}
}

// TestDoc loads the example of the package documentation, in which every key is as it should be.
func TestDoc(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(doc)) {
		if text, ok := strings.CutPrefix(line, "//\t"); ok {
			b.WriteString(text)
		}
	}
	folder := t.TempDir()
	for name, content := range map[string]string{"plait.yaml": b.String(), "team.yaml": "", ".env": "", "ca.pem": "", "c.pem": "", "c.key": ""} {
		write(t, filepath.Join(folder, name), content)
	}
	cfg := load(t, filepath.Join(folder, "plait.yaml"))
	if len(cfg.Warnings) > 0 || len(cfg.Servers) != 2 {
		t.Errorf("%d servers, warnings: %v", len(cfg.Servers), cfg.Warnings)
	}
}
