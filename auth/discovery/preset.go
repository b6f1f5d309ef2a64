package discovery

import (
	"maps"
	"net/url"
	"strings"

	"github.com/plait-mcp/plait/config"
)

// The providers that presets need a name for.
const (
	providerEntra   = "entra"
	providerCognito = "cognito"
	providerGitHub  = "github"
)

// preset is what is known of a provider. What the configuration says goes before it.
type preset struct {
	name  string
	hosts []string // of its issuers; with a dot in front, all below

	assumePKCE      bool              // its metadata do not tell of PKCE
	resource        string            // instead of auto
	offline         string            // instead of auto
	scopeParam      string            // instead of scope
	tokenPath       string            // where its token is
	authorizeParams map[string]string // sent with the authorization request
	unregistered    string            // where one registers a client, since plait cannot; "" if it can

	server *Metadata // what it does not publish itself; endpoints are relative to the issuer
}

const (
	always = "always"
	omit   = "omit"
	auto   = "auto"
	never  = "never"
)

// presets are the ways of providers, by the reports of people who met them.
func presets() []preset {
	return []preset{
		{
			name: providerEntra, assumePKCE: true, offline: always, unregistered: "the app registrations of Entra ID",
			hosts: []string{"login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn", "login.chinacloudapi.cn", ".ciamlogin.com"},
		},
		{
			name: providerCognito, assumePKCE: true, resource: omit, unregistered: "the app clients of the user pool",
			hosts: []string{".amazoncognito.com", "cognito-idp.*.amazonaws.com"},
		},
		{
			name: "google", hosts: []string{"accounts.google.com"}, offline: never, unregistered: "the credentials page of Google Cloud",
			authorizeParams: map[string]string{"access_type": "offline", "prompt": "consent"},
		},
		{
			name: providerGitHub, hosts: []string{"github.com"}, unregistered: "github.com/settings/developers",
			server: &Metadata{
				AuthorizationEndpoint: "/authorize", TokenEndpoint: "/access_token", DeviceAuthorizationEndpoint: "/../device/code",
				CodeChallengeMethods: []string{"S256"}, AuthMethods: []string{"client_secret_post"},
			},
		},
		{
			name: "slack", hosts: []string{"slack.com", ".slack.com"}, scopeParam: "user_scope", tokenPath: "authed_user", assumePKCE: true,
			unregistered: "api.slack.com/apps",
		},
		{name: "okta", hosts: []string{".okta.com", ".oktapreview.com", ".okta-emea.com"}},
		{name: "auth0", hosts: []string{".auth0.com"}},
		{name: "atlassian", hosts: []string{"auth.atlassian.com", ".atlassian.com"}},
		{name: "notion", hosts: []string{"mcp.notion.com", "api.notion.com"}},
		{name: "supabase", hosts: []string{"api.supabase.com", ".supabase.co"}},
		{name: "keycloak"},
	}
}

// find returns the preset of an identity at an issuer, if there is one.
func find(provider, issuer string) (preset, bool) {
	if provider == "" {
		provider = providerOf(issuer)
	}
	for _, p := range presets() {
		if p.name == provider && provider != "" {
			return p, true
		}
	}
	return preset{}, false
}

// providerOf names the provider whose host an issuer has, or "".
func providerOf(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil || u.Scheme != "https" {
		return ""
	}
	host := strings.ToLower(u.Hostname())
	for _, p := range presets() {
		for _, pattern := range p.hosts {
			if matchHost(pattern, host) {
				return p.name
			}
		}
	}
	return ""
}

// matchHost compares a host with a pattern: the host itself, all below one (".host"), or any label for a star.
func matchHost(pattern, host string) bool {
	if strings.HasPrefix(pattern, ".") {
		return strings.HasSuffix(host, pattern) && len(host) > len(pattern)
	}
	before, after, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == host
	}
	label, ok := strings.CutPrefix(host, before)
	if !ok {
		return false
	}
	label, ok = strings.CutSuffix(label, after)
	return ok && label != "" && !strings.Contains(label, ".")
}

// WithPreset returns the identity with what is known of the provider of an issuer, where it says nothing itself. It
// returns id when nothing is known, and never changes it. Grants work with the result.
func WithPreset(id *config.Identity, issuer string) *config.Identity {
	p, ok := find(id.Provider, issuer)
	if !ok {
		return id
	}
	with := *id
	with.Provider = p.name
	with.AssumePKCE = id.AssumePKCE || p.assumePKCE
	if p.resource != "" && (id.Resource == "" || id.Resource == auto) {
		with.Resource = p.resource
	}
	if p.offline != "" && (id.OfflineAccess == "" || id.OfflineAccess == auto) {
		with.OfflineAccess = p.offline
	}
	if p.scopeParam != "" && (id.ScopeParam == "" || id.ScopeParam == "scope") {
		with.ScopeParam = p.scopeParam
	}
	if id.TokenPath == "" {
		with.TokenPath = p.tokenPath
	}
	if len(p.authorizeParams) > 0 {
		params := make(map[string]config.Secret, len(p.authorizeParams)+len(id.AuthorizeParams))
		for name, value := range p.authorizeParams {
			params[name] = config.Secret(value)
		}
		maps.Copy(params, id.AuthorizeParams)
		with.AuthorizeParams = params
	}
	return &with
}

// RegisterAt says where a person registers a client at an issuer whose server is known not to register any itself, or
// is "".
func RegisterAt(provider, issuer string) string {
	p, _ := find(provider, issuer)
	return p.unregistered
}
