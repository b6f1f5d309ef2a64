package grant_test

import (
	"net/http"
	"testing"

	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/config"
)

// TestProviders follows the ways of those that the standards do not describe.
func TestProviders(t *testing.T) {
	for issuer, want := range map[string]string{
		"https://accounts.google.com/":                              "google",
		"https://accounts.google.com.evil.example":                  "",
		"https://login.microsoftonline.com/tenant/v2.0":             "entra",
		"https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc": "cognito",
		"https://slack.com":                                         "slack",
		"https://notslack.com":                                      "",
		"https://as.example":                                        "",
		"://":                                                       "",
	} {
		if got := grant.Provider(config.NewIdentity("me", config.GrantAuto), issuer); got != want {
			t.Errorf("%s: %q", issuer, got)
		}
	}
	configured := config.NewIdentity("me", config.GrantAuto)
	configured.Provider = "okta"
	if got := grant.Provider(configured, "https://accounts.google.com"); got != "okta" {
		t.Errorf("%q", got)
	}
	s := serve(t, says(http.StatusOK, "application/json", `{"ok":true,"access_token":"bot","authed_user":{"access_token":"user"}}`))
	for provider, want := range map[string]struct{ param, value, resource, access string }{
		"":        {"scope", "x", "https://mcp.example", "bot"},
		"google":  {"access_type", "offline", "https://mcp.example", "bot"},
		"slack":   {"user_scope", "x", "https://mcp.example", "user"},
		"cognito": {"scope", "x", "", "bot"},
	} {
		e := newEndpoint(t, s.URL, config.GrantAuthorizationCode)
		e.Identity.Provider = provider
		q := authorize(t, e, grant.Authorize{State: "s", Verifier: "v", Scopes: []string{"x"}})
		token, err := e.Exchange(t.Context(), grant.Code{Code: "c"})
		if err != nil || q.Get(want.param) != want.value || e.Resource("https://mcp.example", nil) != want.resource || token.Access != want.access {
			t.Errorf("%s: %v %v %v", provider, q, token, err)
		}
	}
}
