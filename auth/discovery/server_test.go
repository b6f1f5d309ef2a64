package discovery_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/config"
)

const (
	oauthDoc  = "/.well-known/oauth-authorization-server"
	openIDDoc = "/.well-known/openid-configuration"
)

// The order of MCP's "Authorization Server Metadata Discovery".
func TestA8MetadataOrder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		issuer string
		order  []string // all places, up to the one that has it
	}{
		"RFC 8414":                    {"https://as.example", []string{"as.example" + oauthDoc}},
		"OpenID":                      {"https://as.example", []string{"as.example" + oauthDoc, "as.example" + openIDDoc}},
		"path, RFC 8414":              {"https://as.example/t/1", []string{"as.example" + oauthDoc + "/t/1"}},
		"path, OpenID, as RFC 8414":   {"https://as.example/t/1", []string{"as.example" + oauthDoc + "/t/1", "as.example" + openIDDoc + "/t/1"}},
		"path, OpenID, behind":        {"https://as.example/t/1", []string{"as.example" + oauthDoc + "/t/1", "as.example" + openIDDoc + "/t/1", "as.example/t/1" + openIDDoc}},
		"path with a slash, RFC 8414": {"https://as.example/t/", []string{"as.example" + oauthDoc + "/t"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, map[string]any{prm: resource(mcp, c.issuer), c.order[len(c.order)-1]: server(c.issuer, nil)})
			found, _, err := w.resolve(t, ask{})
			if err != nil || found.Server.Issuer != c.issuer {
				t.Fatalf("found %+v, error %v", found, err)
			}
			want := prm + "/team/mcp " + prm + " " + strings.Join(c.order, " ")
			if got := strings.ReplaceAll(w.visited(), "\n", " "); got != want {
				t.Errorf("asked for %s\nwant %s", got, want)
			}
		})
	}
}

// TestA3BothMetadata takes both kinds of metadata, and of both what PKCE needs.
func TestA3BothMetadata(t *testing.T) {
	t.Parallel()
	noPKCE := doc{"code_challenge_methods_supported": nil, "token_endpoint": "https://as.example/first"}
	w := newWorld(t, map[string]any{
		prm: resource(mcp, "https://as.example"), asDoc: server("https://as.example", noPKCE), "as.example" + openIDDoc: server("https://as.example", nil),
	})
	found, _, err := w.resolve(t, ask{})
	if err != nil || found.Server.TokenEndpoint != "https://as.example/token" {
		t.Errorf("found %+v, error %v", found, err)
	}
	found, _, err = w.resolve(t, ask{identity: config.Identity{Grant: config.GrantClientCredentials}})
	if err != nil || found.Server.TokenEndpoint != "https://as.example/first" {
		t.Errorf("without a need of PKCE found %+v, error %v", found, err)
	}
}

func TestA19PKCEMetadata(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		methods  any
		identity config.Identity
		ok       bool
	}{
		"S256":               {[]string{"plain", "S256"}, config.Identity{}, true},
		"none":               {nil, config.Identity{}, false},
		"plain only":         {[]string{"plain"}, config.Identity{}, false},
		"assumePKCE":         {nil, config.Identity{AssumePKCE: true}, true},
		"known of provider":  {nil, config.Identity{Provider: "cognito"}, true},
		"no person, no PKCE": {nil, config.Identity{Grant: config.GrantClientCredentials}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, map[string]any{prm: resource(mcp, "https://as.example"), asDoc: server("https://as.example", doc{"code_challenge_methods_supported": c.methods})})
			_, steps, err := w.resolve(t, ask{identity: c.identity})
			if c.ok {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantError[*discovery.PKCEError](t, err, "assumePKCE: true", "https://as.example")
			if !hasStep(steps, "PKCE", discovery.Refused, "") {
				t.Errorf("no step tells it: %+v", steps)
			}
		})
	}
}

func TestM5SeveralServers(t *testing.T) {
	t.Parallel()
	at := func(host string) string { return host + oauthDoc }
	usable, unregistered := server("https://c.example", nil), server("https://b.example", doc{"registration_endpoint": nil})
	all := resource(mcp, "https://a.example", "https://b.example", "https://c.example", "https://d.example")
	pages := map[string]any{
		prm: all, at("b.example"): unregistered, at("c.example"): usable, at("d.example"): server("https://d.example", nil),
	}
	down := map[string]any{at("d.example"): http.StatusServiceUnavailable}
	for name, c := range map[string]struct {
		ask    ask
		change map[string]any
		want   string
	}{
		"the first that registers":          {ask{}, nil, "https://c.example"},
		"the first for a registered client": {ask{identity: config.Identity{ClientID: "x"}}, nil, "https://b.example"},
		"the one of last time":              {ask{prefer: "https://d.example/"}, nil, "https://d.example"},
		"one of last time that is gone":     {ask{prefer: "https://gone.example"}, nil, "https://c.example"},
		"the configured":                    {ask{identity: config.Identity{Issuer: "https://d.example"}}, nil, "https://d.example"},
		"none registers":                    {ask{}, map[string]any{at("c.example"): nil, at("d.example"): nil}, "https://b.example"},
		"another that is down":              {ask{}, down, "https://c.example"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			here := maps.Clone(pages)
			maps.Copy(here, c.change)
			found, _, err := newWorld(t, here).resolve(t, c.ask)
			if err != nil {
				t.Fatal(err)
			}
			if found.Server.Issuer != c.want {
				t.Errorf("issuer %s, want %s", found.Server.Issuer, c.want)
			}
		})
	}
	t.Run("the one of last time is down", func(t *testing.T) {
		t.Parallel()
		here := maps.Clone(pages)
		maps.Copy(here, down)
		_, _, err := newWorld(t, here).resolve(t, ask{prefer: "https://d.example"})
		wantError[*discovery.UnavailableError](t, err, "503")
	})
	t.Run("none can be used", func(t *testing.T) {
		t.Parallel()
		_, _, err := newWorld(t, map[string]any{prm: all}).resolve(t, ask{})
		wantError[*discovery.MetadataError](t, err, "https://a.example", "publishes no metadata", "tokenEndpoint")
	})
}

func TestM6IssuerMismatch(t *testing.T) {
	t.Parallel()
	const guid = "72f988bf-86f1-41af-91ab-2d7cd011db47"
	entra := "https://login.microsoftonline.com/"
	for name, c := range map[string]struct {
		expected, got string
		want          string // the issuer to work with; "" refuses
		strict        bool
	}{
		"identical":                {"https://as.example/t", "https://as.example/t", "https://as.example/t", true},
		"a slash more at the root": {"https://as.example", "https://as.example/", "https://as.example/", false},
		"a slash less at the root": {"https://as.example/", "https://as.example", "https://as.example", false},
		"a slash more":             {"https://as.example/t", "https://as.example/t/", "https://as.example/t/", false},
		"a slash less":             {"https://as.example/t/", "https://as.example/t", "https://as.example/t", false},
		"strict, at the root":      {"https://as.example", "https://as.example/", "", true},
		"strict, with a path":      {"https://as.example/t/", "https://as.example/t", "", true},
		"two slashes more":         {"https://as.example", "https://as.example//", "", false},
		"another host":             {"https://as.example", "https://evil.example", "", false},
		"capitals":                 {"https://as.example", "https://AS.example", "", false},
		"default port":             {"https://as.example", "https://as.example:443", "", false},
		"another path":             {"https://as.example/t", "https://as.example/u", "", false},
		"http":                     {"https://as.example", "http://as.example", "", false},
		"none":                     {"https://as.example", "", "", false},
		"an escape":                {"https://as.example/t", "https://as.example/%74", "", false},
		"a tenant for all":         {entra + "common/v2.0", entra + "{tenantid}/v2.0", entra + "common/v2.0", false},
		"a tenant's number":        {entra + "contoso.onmicrosoft.com/v2.0", entra + guid + "/v2.0", entra + guid + "/v2.0", false},
		"another tenant":           {entra + guid + "/v2.0", entra + "82f988bf-86f1-41af-91ab-2d7cd011db47/v2.0", "", false},
		"a tenant, strict":         {entra + "common/v2.0", entra + "{tenantid}/v2.0", "", true},
		"a tenant elsewhere":       {"https://as.example/common/v2.0", "https://as.example/{tenantid}/v2.0", "", false},
		"a tenant, another path":   {entra + "common/v2.0", entra + "{tenantid}/v1.0", "", false},
		"a tenant, another host":   {entra + "common/v2.0", "https://evil.example/{tenantid}/v2.0", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := strings.TrimPrefix(strings.TrimSuffix(c.expected, "/"), "https://") + openIDDoc
			w := newWorld(t, map[string]any{prm: resource(mcp, c.expected), at: server("https://x.example", doc{"issuer": c.got})})
			found, _, err := w.resolve(t, ask{identity: config.Identity{StrictIssuer: c.strict}})
			if c.want == "" {
				wantError[*discovery.IssuerError](t, err, "claim the issuer", "RFC 8414", "set issuer")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if found.Server.Issuer != c.want {
				t.Errorf("issuer %s, want %s", found.Server.Issuer, c.want)
			}
		})
	}
}

// TestB1IssuerIdentity: a document of somebody else is not used, not even in part; one of the right issuer at the next
// place is.
func TestB1IssuerIdentity(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]any{
		prm: resource(mcp, "https://as.example"), asDoc: server("https://evil.example", nil),
		"as.example" + openIDDoc: server("https://as.example", doc{"registration_endpoint": nil}),
	})
	found, steps, err := w.resolve(t, ask{})
	if err != nil || found.Server.TokenEndpoint != "https://as.example/token" || found.Server.RegistrationEndpoint != "" {
		t.Errorf("found %+v, error %v", found, err)
	}
	if !hasStep(steps, "server metadata", discovery.Refused, "evil.example") {
		t.Errorf("no step tells it: %+v", steps)
	}
}

func TestA18SecureEndpoints(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		issuer   string
		change   doc
		identity config.Identity
		refused  string // the key in the advice; "" is accepted
	}{
		"issuer without https":        {"http://as.example", nil, config.Identity{}, "issuer"},
		"issuer that is a script":     {"javascript:alert(1)", nil, config.Identity{}, "issuer"},
		"issuer with a query":         {"https://as.example?x=y", nil, config.Identity{}, "issuer"},
		"issuer with a fragment":      {"https://as.example#x", nil, config.Identity{}, "issuer"},
		"token endpoint":              {"https://as.example", doc{"token_endpoint": "http://as.example/token"}, config.Identity{}, "tokenEndpoint"},
		"no token endpoint":           {"https://as.example", doc{"token_endpoint": nil}, config.Identity{}, "tokenEndpoint"},
		"authorization endpoint":      {"https://as.example", doc{"authorization_endpoint": "javascript:alert(1)"}, config.Identity{}, "authorizationEndpoint"},
		"authorization on loopback":   {"https://as.example", doc{"authorization_endpoint": "http://127.0.0.1:8080/delete"}, config.Identity{}, "authorizationEndpoint"},
		"not needed":                  {"https://as.example", doc{"authorization_endpoint": "file:///etc/passwd"}, config.Identity{Grant: config.GrantClientCredentials}, ""},
		"another host":                {"https://as.example", doc{"token_endpoint": "https://oauth2.example/token"}, config.Identity{}, ""},
		"configured instead":          {"https://as.example", doc{"token_endpoint": "http://as.example/token"}, config.Identity{TokenEndpoint: "https://as.example/t"}, ""},
		"allowHttp":                   {"https://as.example", doc{"token_endpoint": "http://as.example/token"}, config.Identity{AllowHTTP: true}, ""},
		"no device endpoint":          {"https://as.example", nil, config.Identity{Grant: config.GrantDeviceCode}, "deviceAuthorizationEndpoint"},
		"registration without https":  {"https://as.example", doc{"registration_endpoint": "http://as.example/r"}, config.Identity{}, ""},
		"a scheme that is not one":    {"https://as.example", doc{"token_endpoint": "//as.example/token"}, config.Identity{}, "tokenEndpoint"},
		"a password in the endpoint":  {"https://as.example", doc{"token_endpoint": "https://u:p@as.example/token"}, config.Identity{}, "tokenEndpoint"},
		"device endpoint of no https": {"https://as.example", doc{"device_authorization_endpoint": "http://as.example/d"}, config.Identity{Grant: config.GrantDeviceCode}, "deviceAuthorizationEndpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, map[string]any{prm: resource(mcp, c.issuer), asDoc: server(c.issuer, c.change)})
			found, _, err := w.resolve(t, ask{identity: c.identity})
			if c.refused != "" {
				wantError[*discovery.MetadataError](t, err, "set "+c.refused)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range []string{found.Server.TokenEndpoint, found.Server.RegistrationEndpoint, found.Server.AuthorizationEndpoint} {
				if !c.identity.AllowHTTP && strings.HasPrefix(e, "http://") || strings.HasPrefix(e, "file:") {
					t.Errorf("endpoint %s was kept", e)
				}
			}
		})
	}
}

// TestConfigured: what the configuration says goes before what is found, and may be all there is.
func TestConfigured(t *testing.T) {
	t.Parallel()
	t.Run("an endpoint", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, map[string]any{prm: resource(mcp, "https://as.example"), asDoc: server("https://as.example", nil)})
		found, steps, err := w.resolve(t, ask{identity: config.Identity{TokenEndpoint: "https://other.example/token"}})
		if err != nil || found.Server.TokenEndpoint != "https://other.example/token" || found.Server.AuthorizationEndpoint != "https://as.example/authorize" {
			t.Errorf("found %+v, error %v", found, err)
		}
		if !hasStep(steps, "tokenEndpoint", discovery.Configured, "other.example") {
			t.Errorf("no step tells it: %+v", steps)
		}
	})
	all := config.Identity{AuthorizationEndpoint: "https://old.example/a", TokenEndpoint: "https://old.example/t"}
	t.Run("all endpoints", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, nil)
		found, _, err := w.resolve(t, ask{identity: all})
		if err != nil || found.Server.Issuer != "https://old.example" || found.Resource != "" || strings.Contains(w.visited(), "old.example") {
			t.Errorf("found %+v, error %v, asked for %s", found, err, w.visited())
		}
	})
	t.Run("all endpoints and an issuer without metadata", func(t *testing.T) {
		t.Parallel()
		id := all
		id.Issuer = "https://as.example/x"
		found, _, err := newWorld(t, nil).resolve(t, ask{identity: id})
		if err != nil || found.Server.Issuer != id.Issuer || found.Server.TokenEndpoint != id.TokenEndpoint {
			t.Errorf("found %+v, error %v", found, err)
		}
	})
	t.Run("everything", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, nil)
		id := all
		id.Grant, id.Resource, id.Scopes = config.GrantClientCredentials, "omit", []string{"a"}
		if _, _, err := w.resolve(t, ask{identity: id}); err != nil || w.visited() != "" {
			t.Errorf("error %v, asked for %s", err, w.visited())
		}
	})
	t.Run("an issuer that the server does not name", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, map[string]any{prm: resource(mcp, "https://other.example"), asDoc: server("https://as.example", nil)})
		found, steps, err := w.resolve(t, ask{identity: config.Identity{Issuer: "https://as.example"}})
		if err != nil || found.Resource != mcp || found.Server.Issuer != "https://as.example" {
			t.Errorf("found %+v, error %v", found, err)
		}
		if !hasStep(steps, "authorization server", discovery.Configured, "other.example") {
			t.Errorf("no step tells it: %+v", steps)
		}
	})
}
