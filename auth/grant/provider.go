package grant

import (
	"net/url"
	"strings"

	"github.com/plait-mcp/plait/config"
)

// Providers that do things in their own way at these endpoints.
const (
	google  = "google"
	cognito = "cognito"
	slack   = "slack"
	entra   = "entra"
)

// Provider returns whose ways an authorization server follows: as the identity says, else by the host of its issuer; ""
// for those of the standards.
func Provider(i *config.Identity, issuer string) string {
	u, err := url.Parse(issuer)
	if i.Provider != "" || err != nil {
		return i.Provider
	}
	host := "." + strings.ToLower(u.Hostname())
	for name, suffixes := range map[string][]string{
		google: {".accounts.google.com"}, slack: {".slack.com"}, entra: {".login.microsoftonline.com", ".login.microsoftonline.us"},
	} {
		for _, suffix := range suffixes {
			if strings.HasSuffix(host, suffix) {
				return name
			}
		}
	}
	if strings.HasPrefix(host, ".cognito-idp.") && strings.HasSuffix(host, ".amazonaws.com") {
		return cognito
	}
	return ""
}

func (e *Endpoint) provider() string { return Provider(e.Identity, e.Metadata.Issuer) }

// authorizeParams returns the parameters of an authorization request beside those of the standards. Google gives a
// refresh token only to who asks for it in this way.
func (e *Endpoint) authorizeParams() map[string]string {
	params := map[string]string{}
	if e.provider() == google {
		params["access_type"], params["prompt"] = "offline", "consent"
	}
	for name, value := range e.Identity.AuthorizeParams {
		params[name] = value.Reveal()
	}
	return params
}

// scopeParam returns the name of the scopes in an authorization request. Slack has those of people elsewhere than those
// of bots.
func (e *Endpoint) scopeParam() string {
	switch name := e.Identity.ScopeParam; {
	case name != "" && name != "scope":
		return name
	case e.provider() == slack:
		return "user_scope"
	}
	return "scope"
}

// tokenPath returns where in an answer the token is.
func (e *Endpoint) tokenPath() string {
	if e.Identity.TokenPath == "" && e.provider() == slack {
		return "authed_user"
	}
	return e.Identity.TokenPath
}
