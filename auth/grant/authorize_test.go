package grant_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/config"
)

func authorize(t *testing.T, e *grant.Endpoint, a grant.Authorize) url.Values {
	t.Helper()
	if a.State == "" {
		a.State, a.Verifier, a.RedirectURI = "state", grant.NewVerifier(), "http://127.0.0.1:33419/callback"
	}
	text, err := e.AuthorizeURL(a)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

// TestA19PKCE sends the S256 challenge of a verifier that has the length of RFC 7636, and the verifier with the code.
func TestA19PKCE(t *testing.T) {
	s := serve(t, gives(map[string]any{"access_token": "a"}))
	e := newEndpoint(t, s.URL, config.GrantAuthorizationCode)
	verifier := grant.NewVerifier()
	q := authorize(t, e, grant.Authorize{State: "st", Verifier: verifier, RedirectURI: "http://127.0.0.1:33419/callback", Scopes: []string{"x", "y"}})
	sum := sha256.Sum256([]byte(verifier))
	want := url.Values{
		"client_id": {"client"}, "response_type": {"code"}, "state": {"st"}, "redirect_uri": {"http://127.0.0.1:33419/callback"}, "scope": {"x y"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	if !maps.EqualFunc(q, want, slices.Equal) {
		t.Errorf("%v", q)
	}
	if len(verifier) < 43 || verifier == grant.NewVerifier() {
		t.Errorf("verifier %q", verifier)
	}
	if _, err := e.Exchange(t.Context(), grant.Code{Code: "c", Verifier: verifier, RedirectURI: "http://127.0.0.1:33419/callback"}); err != nil {
		t.Fatal(err)
	}
	if form, _ := s.last(); form.Get("code_verifier") != verifier || form.Get("redirect_uri") != "http://127.0.0.1:33419/callback" || form.Get("code") != "c" {
		t.Errorf("%v", form)
	}
	for _, a := range []grant.Authorize{{State: "st"}, {Verifier: verifier}} {
		if _, err := e.AuthorizeURL(a); err == nil {
			t.Errorf("%+v", a)
		}
	}
}

// TestA14NothingInQuery looks at the addresses that a token endpoint is asked by: secrets are in bodies and headers only.
func TestA14NothingInQuery(t *testing.T) {
	s := serve(t, gives(map[string]any{"access_token": "a"}))
	e := newEndpoint(t, s.URL, config.GrantAuthorizationCode)
	e.Client.Secret = canary
	var asked []string
	e.HTTP.Transport = spy{e.HTTP.Transport, &asked}
	ctx := t.Context()
	for _, err := range []error{
		second(e.Exchange(ctx, grant.Code{Code: canary, Verifier: canary})),
		second(e.Refresh(ctx, canary, nil, "")),
		second(e.ClientCredentials(ctx, nil, "")),
		e.Revoke(ctx, canary, "access_token"),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	const requests = 4
	if len(asked) != requests || slices.ContainsFunc(asked, func(u string) bool { return strings.ContainsAny(u, "?") || strings.Contains(u, "CANARY") }) {
		t.Errorf("%q", asked)
	}
	for name := range authorize(t, e, grant.Authorize{}) {
		if name == "client_secret" || name == "access_token" {
			t.Errorf("%s is in the authorization URL", name)
		}
	}
}

func second(_ *grant.Token, err error) error { return err }

func TestAuthorizeParameters(t *testing.T) {
	e := newEndpoint(t, "https://as.example", config.GrantAuthorizationCode)
	e.Metadata.AuthorizationEndpoint = "https://as.example/authorize?tenant=x#fragment"
	e.Identity.ScopeParam = "user_scope"
	e.Identity.AuthorizeParams = map[string]config.Secret{"access_type": "offline", "prompt": "consent"}
	a := grant.Authorize{State: "st", Verifier: "v", Scopes: []string{"x"}, Resources: []string{"https://one.example/mcp", "https://two.example/mcp/"}}
	text, err := e.AuthorizeURL(a)
	if err != nil || strings.Contains(text, "#") {
		t.Fatalf("%s %v", text, err)
	}
	q := authorize(t, e, a)
	if q.Get("tenant") != "x" || q.Get("user_scope") != "x" || q.Has("scope") || q.Get("prompt") != "consent" || !slices.Equal(q["resource"], a.Resources) {
		t.Errorf("%v", q)
	}
	if q := authorize(t, e, grant.Authorize{}); q.Has("user_scope") || q.Has("resource") {
		t.Errorf("%v", q)
	}
	for _, name := range []string{"state", "code_challenge", "redirect_uri", "client_secret"} {
		e.Identity.AuthorizeParams = map[string]config.Secret{name: canary}
		var setup *grant.SetupError
		if _, err := e.AuthorizeURL(a); !errors.As(err, &setup) || setup.Key != "authorizeParams" || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAuthorizeHostile refuses endpoints that a browser must not be sent to.
func TestAuthorizeHostile(t *testing.T) {
	for endpoint, ok := range map[string]bool{
		"https://as.example/authorize":       true,
		"http://127.0.0.1:9/authorize":       true,
		"http://localhost:9/authorize":       true,
		"http://[::1]:9/authorize":           true,
		"http://as.example/authorize":        false,
		"http://127.0.0.1.evil.example/":     false,
		"http://localhost.evil.example/":     false,
		"javascript:alert(document.cookie)":  false,
		"javascript://as.example/%0aalert()": false,
		"data:text/html,x":                   false,
		"file:///etc/passwd":                 false,
		"vbscript:x":                         false,
		"":                                   false,
		"as.example/authorize":               false,
		"https:///authorize":                 false,
		"https://as.example/\x00":            false,
	} {
		e := newEndpoint(t, "https://as.example", config.GrantAuthorizationCode)
		e.Metadata.AuthorizationEndpoint = endpoint
		if _, err := e.AuthorizeURL(grant.Authorize{State: "s", Verifier: "v"}); (err == nil) != ok {
			t.Errorf("%q: %v", endpoint, err)
		}
	}
	e := newEndpoint(t, "https://as.example", config.GrantAuthorizationCode)
	e.Metadata.AuthorizationEndpoint, e.Identity.AllowHTTP = "http://intra.example/authorize", true
	if _, err := e.AuthorizeURL(grant.Authorize{State: "s", Verifier: "v"}); err != nil {
		t.Error(err)
	}
	e.Metadata.AuthorizationEndpoint = "https://as.example/a;`touch x`$(id)|&calc.exe"
	if text, err := e.AuthorizeURL(grant.Authorize{State: "s", Verifier: "v"}); err == nil && strings.ContainsAny(text, "`| \"") {
		t.Errorf("%s", text)
	}
}

// TestB8OfflineAccess asks for offline_access where the authorization server has it and a person signs in, and may leave
// out only what nobody wrote.
func TestB8OfflineAccess(t *testing.T) {
	const offline = "offline_access"
	for name, c := range map[string]struct {
		grant    config.Grant
		change   func(*config.Identity)
		offered  []string
		found    []string
		want     []string
		narrower bool
	}{
		"offered":            {config.GrantAuthorizationCode, nil, []string{offline}, []string{"x"}, []string{"x", offline}, true},
		"auto":               {config.GrantAuto, nil, []string{offline}, nil, []string{offline}, true},
		"device":             {config.GrantDeviceCode, nil, []string{offline}, nil, []string{offline}, true},
		"not offered":        {config.GrantAuthorizationCode, nil, []string{"x"}, []string{"x"}, []string{"x"}, false},
		"nobody signs in":    {config.GrantClientCredentials, nil, []string{offline}, []string{"x"}, []string{"x"}, false},
		"never":              {config.GrantAuthorizationCode, func(i *config.Identity) { i.OfflineAccess = "never" }, []string{offline}, []string{"x"}, []string{"x"}, false},
		"always":             {config.GrantAuthorizationCode, func(i *config.Identity) { i.OfflineAccess = "always" }, nil, []string{"x"}, []string{"x", offline}, false},
		"exactly these":      {config.GrantAuthorizationCode, func(i *config.Identity) { i.Scopes = []string{"y"} }, []string{offline}, []string{"x"}, []string{"y"}, false},
		"exactly none":       {config.GrantAuthorizationCode, func(i *config.Identity) { i.Scopes = []string{} }, []string{offline}, []string{"x"}, []string{}, false},
		"extra":              {config.GrantAuthorizationCode, func(i *config.Identity) { i.ExtraScopes = []string{"z", "x"} }, nil, []string{"x", "x"}, []string{"x", "z"}, false},
		"somebody wrote it":  {config.GrantAuthorizationCode, func(i *config.Identity) { i.ExtraScopes = []string{offline} }, []string{offline}, nil, []string{offline}, false},
		"nothing to ask for": {config.GrantAuthorizationCode, nil, nil, nil, []string{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEndpoint(t, "https://as.example", c.grant)
			e.Metadata.ScopesSupported = c.offered
			if c.change != nil {
				c.change(e.Identity)
			}
			got := e.Scopes(c.found)
			if !slices.Equal(got, c.want) {
				t.Errorf("%q", got)
			}
			narrower, ok := e.Narrower(got)
			if ok != c.narrower || slices.Contains(narrower, offline) {
				t.Errorf("narrower: %q %t", narrower, ok)
			}
		})
	}
}

// TestResourcePolicy says what `resource` is sent: as published byte for byte, or as the identity says.
func TestResourcePolicy(t *testing.T) {
	const published = "https://MCP.example:443/mcp/"
	for name, c := range map[string]struct {
		policy, published string
		scopes            []string
		want              string
		may               bool
	}{
		"auto":             {"auto", published, []string{"x"}, published, true},
		"nothing known":    {"auto", "", []string{"/x"}, "", true},
		"always":           {"always", "api://id", []string{"api://id/x"}, "api://id", false},
		"omit":             {"omit", published, nil, "", false},
		"a URI":            {"https://other.example", published, nil, "https://other.example", false},
		"scope of Entra":   {"auto", "api://id", []string{"openid", "api://id/.default"}, "", true},
		"another resource": {"auto", "api://id", []string{"api://id2/.default"}, "api://id", true},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEndpoint(t, "https://as.example", config.GrantAuthorizationCode)
			e.Identity.Resource = c.policy
			if got := e.Resource(c.published, c.scopes); got != c.want || e.MayOmitResource() != c.may {
				t.Errorf("%q, may omit %t", got, e.MayOmitResource())
			}
		})
	}
}
