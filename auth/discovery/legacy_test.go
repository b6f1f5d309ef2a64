package discovery_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/config"
)

func TestM2NotOAuth(t *testing.T) {
	t.Parallel()
	catchAll := map[string]any{}
	for _, p := range []string{prm + "/team/mcp", prm, "mcp.example" + oauthDoc, "mcp.example" + openIDDoc, "mcp.example/authorize"} {
		catchAll[p] = "<!doctype html><title>An app</title>"
	}
	guarded := map[string]any{}
	for p := range catchAll {
		guarded[p] = http.StatusUnauthorized
	}
	for name, c := range map[string]struct {
		ask   ask
		pages map[string]any
	}{
		"Basic":                        {ask{challenge: `Basic realm="x"`}, map[string]any{"mcp.example/authorize": 400}},
		"an unknown scheme":            {ask{challenge: "Hawk"}, map[string]any{"mcp.example/authorize": 400}},
		"Bearer, but nothing else":     {ask{challenge: "Bearer"}, nil},
		"no challenge, nothing else":   {ask{}, nil},
		"a page for every address":     {ask{challenge: "Bearer"}, catchAll},
		"everything is guarded":        {ask{challenge: "Bearer"}, guarded},
		"no person is there":           {ask{identity: config.Identity{Grant: config.GrantClientCredentials}}, map[string]any{"mcp.example/authorize": 400}},
		"its metadata cannot be found": {ask{challenge: `Bearer resource_metadata="http://lost.example/x"`}, map[string]any{"mcp.example/authorize": 400}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, steps, err := newWorld(t, c.pages).resolve(t, c.ask)
			wantError[*discovery.NotOAuthError](t, err, "no OAuth metadata", "grant: header", "grant: basic")
			if !hasStep(steps, "default endpoints", discovery.Missing, "") {
				t.Errorf("no step tells it: %+v", steps)
			}
		})
	}
}

// TestLegacyServer is MCP 2025-03-26: a server is its own authorization server.
func TestLegacyServer(t *testing.T) {
	t.Parallel()
	const own = "https://mcp.example"
	for name, c := range map[string]struct {
		pages     map[string]any
		identity  config.Identity
		authorize string
	}{
		"metadata": {
			map[string]any{"mcp.example" + oauthDoc: server(own, doc{"authorization_endpoint": own + "/oauth/authorize"})}, config.Identity{}, own + "/oauth/authorize",
		},
		"metadata of OpenID": {map[string]any{"mcp.example" + openIDDoc: server(own, nil)}, config.Identity{}, own + "/authorize"},
		"resource metadata that name no server": {
			map[string]any{prm: doc{"resource": mcp}, "mcp.example" + oauthDoc: server(own, nil)}, config.Identity{}, own + "/authorize",
		},
		"default endpoints":                  {map[string]any{"mcp.example/authorize": 400}, config.Identity{}, own + "/authorize"},
		"default endpoints that want a form": {map[string]any{"mcp.example/authorize": 422}, config.Identity{}, own + "/authorize"},
		"default endpoints that break":       {map[string]any{"mcp.example/authorize": 500}, config.Identity{}, own + "/authorize"},
		"a page to sign in":                  {map[string]any{"mcp.example/authorize": "<form>"}, config.Identity{}, own + "/authorize"},
		"legacyDiscovery":                    {nil, config.Identity{LegacyDiscovery: true}, own + "/authorize"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.pages)
			found, _, err := w.resolve(t, ask{identity: c.identity, challenge: `Bearer error="invalid_token"`})
			if err != nil {
				t.Fatal(err)
			}
			m := found.Server
			if m.Issuer != own || m.AuthorizationEndpoint != c.authorize || m.TokenEndpoint != own+"/token" || m.RegistrationEndpoint != own+"/register" {
				t.Errorf("found %+v", m)
			}
			if strings.Contains(w.visited(), "/register") || strings.Contains(w.visited(), "/token") {
				t.Errorf("asked for %s", w.visited())
			}
		})
	}
	t.Run("a redirect to sign in is not followed", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, map[string]any{"mcp.example/authorize": func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "https://mcp.example/login", http.StatusFound)
		}})
		if _, _, err := w.resolve(t, ask{}); err != nil || strings.Contains(w.visited(), "/login") {
			t.Errorf("error %v, asked for %s", err, w.visited())
		}
	})
	t.Run("metadata of somebody else", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, map[string]any{"mcp.example" + oauthDoc: server("https://bank.example", nil), "mcp.example/authorize": 400})
		_, _, err := w.resolve(t, ask{challenge: "Bearer"})
		wantError[*discovery.IssuerError](t, err, "bank.example", "set issuer")
	})
	t.Run("a server in trouble", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, map[string]any{"mcp.example/authorize": 503})
		_, _, err := w.resolve(t, ask{challenge: "Bearer"})
		wantError[*discovery.UnavailableError](t, err, "mcp.example/authorize", "503")
	})
}
