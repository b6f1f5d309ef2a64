package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/config"
)

const canary = "CANARY-7f3a9c"

func TestRedactorTakesOutWhatLooksLikeASecret(t *testing.T) {
	r := newRedactor()
	for _, line := range []string{
		"Authorization: Bearer " + canary,
		"authorization=" + canary + " other=1",
		`headers=map[Authorization:[Bearer ` + canary + `]]`,
		`{"authorization":"Basic ` + canary + `"}`,
		`{\"Authorization\":\"` + canary + `\"}`,
		"sent Bearer " + canary + " to the server",
		"Cookie: a=b; session=" + canary,
		"connect https://user:" + canary + "@example.com/mcp: refused",
		"connect https://" + canary + "@example.com/mcp: refused",
		`Get "https://example.com/mcp?api_key=` + canary + `&x=1": refused`,
		"https://example.com/mcp?x=1&access_token=" + canary,
		`{"url":"https://example.com/mcp?x=1\u0026sig=` + canary + `"}`,
		"https://example.com/callback?code=" + canary + "&state=x",
		`{"access_token":"` + canary + `","expires_in":3600}`,
		`{\"refresh_token\":\"` + canary + `\"}`,
		"client_secret=" + canary,
		"password: " + canary,
		"API-KEY=" + canary,
		"GITHUB_TOKEN=" + canary,
		"Set-Cookie: a=" + canary,
		"Proxy-Authorization: Basic " + canary,
		"eyJhbGciOiJub25l.eyJzdWIiOiJ" + canary + "." + canary,
		"ghp_" + strings.Repeat("a", 20) + canary,
		"code=" + strings.Repeat("a", 20) + canary + "&x=y",
		`{"state":"` + canary + strings.Repeat("a", 20) + `"}`,
		"device_code: " + canary + strings.Repeat("a", 20),
		"client_assertion=" + canary + strings.Repeat("a", 20),
		"code_verifier=" + canary,
	} {
		got := r.clean(line)
		if strings.Contains(got, canary) {
			t.Errorf("clean(%q) = %q", line, got)
		}
		if !strings.Contains(got, redacted) {
			t.Errorf("clean(%q) = %q, which does not say that something is missing", line, got)
		}
	}
}

func TestRedactorLeavesTheRest(t *testing.T) {
	r := newRedactor()
	for _, line := range []string{
		"connected: server=github version=2025-11-25",
		`WWW-Authenticate: Bearer realm="example", error="invalid_token"`,
		"token expired; author=someone",
		"GET https://example.com/mcp?page=2",
		"mail someone@example.com",
		"token request to as.example.com/token: invalid_grant",
		"exit code=2 state=needs_sign_in",
		`{"state":"misconfigured","code":"PLAIT-AUTH-001"}`,
		`{"progressToken":"0123456789abcdef","progress":1,"max_tokens":100000}`,
		"plait.yaml:4:15: mcpServers.b.headers.Authorization: variable TOKEN is not set",
		"plait.yaml:4:15: mcpServers.b.env.API_KEY: variable API_KEY is not set",
	} {
		if got := r.clean(line); got != line {
			t.Errorf("clean(%q) = %q", line, got)
		}
	}
}

func TestRedactorKnowsTheSecretsOfTheConfiguration(t *testing.T) {
	secret := func(n string) string { return "s3cret " + n + `"<é&+` } // with what JSON, Go and URLs escape
	cfg := &config.Config{Servers: []*config.Server{{
		URL: "https://user:pass%2Fword1@example.com/mcp?token=in-query-1",
		Headers: map[string]config.Secret{
			"X-Api-Key": config.Secret(secret("header")), "Authorization": "Bearer after-the-scheme", "X-Team": "strand",
			"X-Whatever": "abcdef0123456789abcdef",
		},
		Env:     map[string]config.Secret{"GITHUB_TOKEN": config.Secret(secret("env")), "LOG_LEVEL": "warning"},
		Args:    []string{"--token", "arg-secret-1", "--api-key=arg-secret-2", "--verbose", "strand"},
		Secrets: []config.Secret{"1234"},
	}}}
	r := newRedactor()
	r.learn(cfg)
	var out bytes.Buffer
	for _, asJSON := range []bool{false, true} {
		log := hclog.New(&hclog.LoggerOptions{Output: r.writer(&out), JSONFormat: asJSON})
		for _, s := range []string{
			secret("header"), secret("env"), "after-the-scheme", "pass/word1", "in-query-1", "arg-secret-1", "arg-secret-2",
			"abcdef0123456789abcdef", "1234", "prose and " + secret("env") + " and prose",
		} {
			log.Info("said", "value", s, "kept", "strand warning")
		}
	}
	for _, s := range []string{"s3cret", "after-the-scheme", "word1", "in-query-1", "arg-secret", "0123456789"} {
		if strings.Contains(out.String(), s) {
			t.Errorf("the log still says %q:\n%s", s, out.String())
		}
	}
	if got, want := strings.Count(out.String(), "strand warning"), 20; got != want {
		t.Errorf("%d of %d lines kept what is no secret:\n%s", got, want, out.String())
	}
}

func TestEverythingSaidPassesTheRedactor(t *testing.T) {
	var out, talk bytes.Buffer
	env := Env{In: strings.NewReader(""), Out: &out, Err: &talk, LookupEnv: func(string) (string, bool) { return "", false }}
	if code := Main([]string{"validate", "--config", "https://user:" + canary + "@example.com/plait.yaml"}, env); code != int(exitUsage) {
		t.Errorf("exit %d, want %d", code, exitUsage)
	}
	if said := out.String() + talk.String(); strings.Contains(said, canary) || !strings.Contains(said, redacted) {
		t.Errorf("said %q", said)
	}
}

func BenchmarkRedact(b *testing.B) {
	log := hclog.New(&hclog.LoggerOptions{Output: newRedactor().writer(io.Discard)})
	for b.Loop() {
		log.Info("connected", "server", "github", "version", "2025-11-25", "dur", "12ms")
	}
}

func TestRedactorKnowsIdentities(t *testing.T) {
	cfg, err := config.Parse(t.Context(), "plait.yaml", []byte(`
credentials: {store: file, key: CANARY-key}
identities:
  robot:
    grant: client_credentials
    tokenEndpoint: https://as.example.com/token
    clientId: ci
    clientSecret: CANARY-secret
    tokenParams: {api_key: CANARY-parameter, prompt: consent}
mcpServers:
  one: {url: "https://example.com/mcp", identity: robot}
`), config.Options{LookupEnv: func(string) (string, bool) { return "", false }})
	if err != nil {
		t.Fatal(err)
	}
	r := newRedactor()
	r.learn(cfg)
	r.note("CANARY-token")
	r.note("abc")
	for i := range 2 * freshest {
		r.note(fmt.Sprintf("another-%d", i))
	}
	r.note("CANARY-token") // it is among the new ones again
	got := r.clean("key, secret, parameter, token: CANARY-key CANARY-secret CANARY-parameter CANARY-token abc consent")
	if strings.Contains(got, "CANARY") || !strings.HasSuffix(got, "abc consent") {
		t.Errorf("clean() = %q", got)
	}
	if len(r.fresh) > freshest || len(r.values) > freshest+10 {
		t.Errorf("it remembers %d and %d", len(r.fresh), len(r.values))
	}
}
