package discovery_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/config"
)

func TestPresets(t *testing.T) {
	t.Parallel()
	for issuer, want := range map[string]struct {
		provider string
		with     config.Identity // what is filled in
	}{
		"https://login.microsoftonline.com/common/v2.0":           {"entra", config.Identity{AssumePKCE: true, OfflineAccess: "always"}},
		"https://tenant.ciamlogin.com/x/v2.0":                     {"entra", config.Identity{AssumePKCE: true, OfflineAccess: "always"}},
		"https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_x": {"cognito", config.Identity{AssumePKCE: true, Resource: "omit"}},
		"https://accounts.google.com": {"google", config.Identity{
			OfflineAccess: "never", AuthorizeParams: map[string]config.Secret{"access_type": "offline", "prompt": "consent"},
		}},
		"https://github.com/login/oauth":      {"github", config.Identity{}},
		"https://slack.com":                   {"slack", config.Identity{AssumePKCE: true, ScopeParam: "user_scope", TokenPath: "authed_user"}},
		"https://dev-1.okta.com/oauth2/x":     {"okta", config.Identity{}},
		"https://x.eu.auth0.com/":             {"auth0", config.Identity{}},
		"https://accounts.google.com.evil.io": {},
		"http://accounts.google.com":          {},
		"https://a.b.amazonaws.com":           {},
		"https://.okta.com":                   {},
		"https://notslack.com":                {},
		"https://as.example":                  {},
	} {
		t.Run(issuer, func(t *testing.T) {
			t.Parallel()
			id := &config.Identity{}
			got := discovery.WithPreset(id, issuer)
			want.with.Provider = want.provider
			if d := cmp.Diff(want.with.Fingerprint(), got.Fingerprint()); d != "" {
				t.Errorf("identity %+v, want %+v", got, want.with)
			}
			if d := cmp.Diff(config.Identity{}, *id); d != "" {
				t.Errorf("the identity was changed:\n%s", d)
			}
		})
	}
	t.Run("what the configuration says stays", func(t *testing.T) {
		t.Parallel()
		id := &config.Identity{
			Resource: "always", OfflineAccess: "never", ScopeParam: "s", TokenPath: "t", AuthorizeParams: map[string]config.Secret{"prompt": "none"},
		}
		for _, provider := range config.Providers() {
			id.Provider = provider
			got := discovery.WithPreset(id, "https://as.example")
			if got.Resource != "always" || got.OfflineAccess != "never" || got.ScopeParam != "s" || got.TokenPath != "t" || got.AuthorizeParams["prompt"] != "none" {
				t.Errorf("%s: %+v", provider, got)
			}
		}
	})
	t.Run("all providers of the configuration are known", func(t *testing.T) {
		t.Parallel()
		for _, provider := range config.Providers() {
			id := &config.Identity{Provider: provider}
			if discovery.WithPreset(id, "https://as.example") == id {
				t.Errorf("no preset %s", provider)
			}
		}
	})
}

// TestKnownEndpoints is of a provider that publishes nothing.
func TestKnownEndpoints(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]any{prm: resource(mcp, "https://github.com/login/oauth")})
	found, _, err := w.resolve(t, ask{identity: config.Identity{ClientID: "Iv1.x"}})
	if err != nil {
		t.Fatal(err)
	}
	m := found.Server
	if m.AuthorizationEndpoint != "https://github.com/login/oauth/authorize" || m.TokenEndpoint != "https://github.com/login/oauth/access_token" ||
		m.DeviceAuthorizationEndpoint != "https://github.com/login/device/code" || m.Issuer != "https://github.com/login/oauth" {
		t.Errorf("found %+v", m)
	}
}

// TestUnavailable: trouble on the way is no verdict about the server.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	as := server("https://as.example", nil)
	broken := func(rw http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }
	late := func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Retry-After", "7")
		rw.WriteHeader(http.StatusTooManyRequests)
	}
	huge := func(rw http.ResponseWriter, _ *http.Request) {
		chunk := []byte(strings.Repeat(" ", 1<<16))
		for range 1 << 8 {
			if _, err := rw.Write(chunk); err != nil {
				return
			}
		}
	}
	redirect := func(to string) func(http.ResponseWriter, *http.Request) {
		return func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, to, http.StatusFound) }
	}
	good := resource(mcp, "https://as.example")
	for name, c := range map[string]struct {
		pages map[string]any
		say   string
	}{
		"resource metadata, 503":                {map[string]any{prm + "/team/mcp": 503, prm: good, asDoc: as}, prm + "/team/mcp answers 503"},
		"resource metadata, cut":                {map[string]any{prm + "/team/mcp": broken, prm: good, asDoc: as}, "cannot be reached"},
		"resource metadata, too many":           {map[string]any{prm: late}, "429"},
		"resource metadata, too large":          {map[string]any{prm: huge}, "larger than 1 MiB"},
		"resource metadata, to another host":    {map[string]any{prm: redirect("https://other.example/x")}, "redirects to https://other.example"},
		"resource metadata, to http":            {map[string]any{prm: redirect("http://mcp.example/x")}, "redirects to http://mcp.example"},
		"resource metadata, in circles":         {map[string]any{prm: redirect("https://" + prm)}, "circles"},
		"server metadata, 500 once, then none":  {map[string]any{prm: good, asDoc: 500}, asDoc + " answers 500"},
		"server metadata, 502":                  {map[string]any{prm: good, asDoc: 502}, "502"},
		"server metadata, cut":                  {map[string]any{prm: good, asDoc: broken, "as.example" + openIDDoc: as}, "cannot be reached"},
		"the only hope is down":                 {map[string]any{"mcp.example" + oauthDoc: 503}, "503"},
		"redirect to another host, of a server": {map[string]any{prm: good, asDoc: redirect("https://other.example/x")}, "other.example"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.pages)
			_, steps, err := w.resolve(t, ask{challenge: "Bearer"})
			e := wantError[*discovery.UnavailableError](t, err, c.say)
			if strings.Contains(w.visited(), "other.example") {
				t.Error("went there")
			}
			if name == "resource metadata, too many" && e.RetryAfter.Seconds() != 7 {
				t.Errorf("retry after %s", e.RetryAfter)
			}
			if !hasStep(steps, "resource metadata", discovery.Unavailable, "") && !hasStep(steps, "server metadata", discovery.Unavailable, "") &&
				!hasStep(steps, "server metadata", discovery.Missing, "500") {
				t.Errorf("no step tells it: %+v", steps)
			}
		})
	}
	t.Run("a redirect on the same host is followed", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, map[string]any{prm: redirect("/elsewhere"), "mcp.example/elsewhere": good, asDoc: as})
		if _, _, err := w.resolve(t, ask{}); err != nil {
			t.Error(err)
		}
	})
	t.Run("another document is there", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, map[string]any{prm: good, asDoc: 500, "as.example" + openIDDoc: as})
		if _, _, err := w.resolve(t, ask{}); err != nil {
			t.Error(err)
		}
	})
}

// TestQueryStaysSecret: what a person put into the query of a URL is in no error and in no step.
func TestQueryStaysSecret(t *testing.T) {
	t.Parallel()
	for _, pages := range []map[string]any{
		nil, {prm + "/team/mcp": 503}, {prm + "/team/mcp": resource("https://bank.example?key=CANARY")}, {prm: resource(mcp, "https://as.example?key=CANARY")},
	} {
		_, steps, err := newWorld(t, pages).resolve(t, ask{url: mcp + "?key=CANARY", challenge: `Bearer resource_metadata="https://mcp.example/gone?key=CANARY"`})
		if err == nil {
			t.Fatal("no error")
		}
		if pages[prm+"/team/mcp"] == nil && strings.Contains(err.Error(), "CANARY") {
			t.Error(err)
		}
		for _, s := range steps {
			if strings.Contains(s.URL, "CANARY") {
				t.Errorf("step %+v", s)
			}
		}
	}
}
