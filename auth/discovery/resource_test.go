package discovery_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/config"
)

// Where metadata are looked for: where the challenge says, else for the whole path, else at the root.
func TestA5ResourceMetadata(t *testing.T) {
	t.Parallel()
	as := server("https://as.example", nil)
	good := resource(mcp, "https://as.example")
	for name, c := range map[string]struct {
		url       string
		challenge string
		pages     map[string]any
		want      string // what was asked for, up to the metadata of the server
	}{
		"the challenge wins": {
			challenge: `Bearer resource_metadata="https://mcp.example/custom/metadata.json"`,
			pages:     map[string]any{"mcp.example/custom/metadata.json": good, prm + "/team/mcp": resource("https://else.example"), asDoc: as},
			want:      "mcp.example/custom/metadata.json",
		},
		"a relative address": {
			challenge: `Bearer resource_metadata="/custom/metadata.json"`,
			pages:     map[string]any{"mcp.example/custom/metadata.json": good, asDoc: as},
			want:      "mcp.example/custom/metadata.json",
		},
		"nothing is where the challenge says": {
			challenge: `Bearer resource_metadata="https://mcp.example/gone"`,
			pages:     map[string]any{prm + "/team/mcp": good, asDoc: as},
			want:      "mcp.example/gone " + prm + "/team/mcp",
		},
		"path":              {pages: map[string]any{prm + "/team/mcp": good, prm: 500, asDoc: as}, want: prm + "/team/mcp"},
		"root":              {pages: map[string]any{prm: good, asDoc: as}, want: prm + "/team/mcp " + prm},
		"a page for all":    {pages: map[string]any{prm + "/team/mcp": "<!doctype html>", prm: good, asDoc: as}, want: prm + "/team/mcp " + prm},
		"an error for that": {pages: map[string]any{prm + "/team/mcp": 500, prm: good, asDoc: as}, want: prm + "/team/mcp " + prm},
		"a slash at the end": {
			url: mcp + "/", pages: map[string]any{prm + "/team/mcp": good, asDoc: as}, want: prm + "/team/mcp",
		},
		"no path": {
			url: "https://mcp.example", pages: map[string]any{prm: resource("https://mcp.example/", "https://as.example"), asDoc: as}, want: prm,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.pages)
			found, _, err := w.resolve(t, ask{url: c.url, challenge: c.challenge})
			if err != nil {
				t.Fatal(err)
			}
			if found.Server.TokenEndpoint != "https://as.example/token" {
				t.Errorf("found %+v", found.Server)
			}
			if got := strings.ReplaceAll(w.visited(), "\n", " "); got != c.want+" "+asDoc {
				t.Errorf("asked for %s, want %s", got, c.want+" "+asDoc)
			}
		})
	}
}

// TestA2ProtectedResource follows the metadata of the resource to the authorization server, on another host.
func TestA2ProtectedResource(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]any{
		prm: doc{"resource": "https://mcp.example/team", "authorization_servers": []string{"https://as.example"}, "scopes_supported": []string{"a"}}, asDoc: server("https://as.example", nil),
	})
	found, steps, err := w.resolve(t, ask{})
	if err != nil {
		t.Fatal(err)
	}
	// The name of the resource is for the `resource` parameter (RFC 8707): byte for byte as published.
	if found.Resource != "https://mcp.example/team" || found.ResourceMetadata != "https://"+prm || found.Server.Issuer != "https://as.example" {
		t.Errorf("found %+v", found)
	}
	for _, name := range []string{"resource metadata", "server metadata", "authorizationEndpoint", "tokenEndpoint", "scopes"} {
		if !hasStep(steps, name, discovery.OK, "") {
			t.Errorf("no step %s in %+v", name, steps)
		}
	}
}

func TestM3ForeignMetadata(t *testing.T) {
	t.Parallel()
	as := server("https://as.example", nil)
	own := resource(mcp, "https://own.example")
	pages := func(foreign any) map[string]any {
		return map[string]any{
			"cdn.example/metadata": foreign, prm: own, asDoc: as, "own.example/.well-known/oauth-authorization-server": server("https://own.example", nil),
		}
	}
	for name, c := range map[string]struct {
		at      string
		foreign any
		want    string // the issuer
		ignored string
	}{
		"that names us":            {"https://cdn.example/metadata", resource(mcp, "https://as.example"), "https://as.example", ""},
		"that names somebody else": {"https://cdn.example/metadata", resource("https://bank.example", "https://as.example"), "https://own.example", "cdn.example"},
		"that names nobody":        {"https://cdn.example/metadata", resource("", "https://as.example"), "https://own.example", "cdn.example"},
		"without https":            {"http://cdn.example/metadata", resource(mcp, "https://as.example"), "https://own.example", "cdn.example"},
		"a script":                 {"javascript:alert(1)", nil, "https://own.example", "javascript"},
		"with a password":          {"https://a:b@mcp.example/metadata", nil, "https://own.example", "mcp.example"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, pages(c.foreign))
			found, steps, err := w.resolve(t, ask{challenge: `Bearer resource_metadata="` + c.at + `"`})
			if err != nil {
				t.Fatal(err)
			}
			if found.Server.Issuer != c.want {
				t.Errorf("issuer %s, want %s", found.Server.Issuer, c.want)
			}
			if c.ignored != "" && !hasStep(steps, "resource metadata", discovery.Ignored, c.ignored) {
				t.Errorf("no step tells that it was ignored: %+v", steps)
			}
		})
	}
}

func TestM4ForeignResource(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		url, resource string
		ok            bool
	}{
		"identical":                {mcp, mcp, true},
		"origin":                   {mcp, "https://mcp.example", true},
		"origin with a slash":      {mcp, "https://mcp.example/", true},
		"a segment above":          {mcp, "https://mcp.example/team", true},
		"a slash more":             {mcp, mcp + "/", true},
		"a slash less":             {mcp + "/", mcp, true},
		"host in capitals":         {mcp, "https://MCP.example/team/mcp", true},
		"default port":             {mcp, "https://mcp.example:443/team/mcp", true},
		"another host":             {mcp, "https://bank.example/team/mcp", false},
		"a host that begins so":    {mcp, "https://mcp.example.evil.example/team/mcp", false},
		"another port":             {mcp, "https://mcp.example:8443/team/mcp", false},
		"another scheme":           {mcp, "http://mcp.example/team/mcp", false},
		"no boundary of the path":  {mcp, "https://mcp.example/te", false},
		"below":                    {mcp, mcp + "/deeper", false},
		"beside":                   {mcp, "https://mcp.example/other/mcp", false},
		"another query":            {mcp, mcp + "?tenant=2", false},
		"the same query":           {mcp + "?tenant=2", mcp + "?tenant=2", true},
		"a fragment":               {mcp, mcp + "#x", false},
		"a user":                   {mcp, "https://u@mcp.example/team/mcp", false},
		"no URL":                   {mcp, "mcp", false},
		"dots do not lead outside": {mcp, "https://mcp.example/team/../other", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, map[string]any{prm + "/team/mcp": resource(c.resource, "https://as.example"), asDoc: server("https://as.example", nil)})
			found, steps, err := w.resolve(t, ask{url: c.url})
			if c.ok {
				if err != nil || found.Resource != c.resource {
					t.Errorf("found %+v, error %v", found, err)
				}
				return
			}
			wantError[*discovery.ResourceError](t, err, "name another server", c.resource)
			if strings.Contains(w.visited(), "as.example") {
				t.Error("went to the authorization server nevertheless")
			}
			if !hasStep(steps, "resource metadata", discovery.Refused, "") {
				t.Errorf("no step tells it: %+v", steps)
			}
		})
	}
	t.Run("unless the configuration says what to ask for", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, map[string]any{prm: resource("api://backend", "https://as.example"), asDoc: server("https://as.example", nil)})
		if _, _, err := w.resolve(t, ask{identity: config.Identity{Resource: "api://backend"}}); err != nil {
			t.Error(err)
		}
	})
}

func FuzzCovers(f *testing.F) {
	f.Add("https://mcp.example/team", mcp)
	f.Add("https://mcp.example/team/..%2f", mcp+"/../x")
	f.Add("HTTPS://mcp.example:443/?a#", "https://MCP.example/?a")
	f.Fuzz(func(t *testing.T, name, server string) {
		if !discovery.Covers(name, server) || name == server {
			return
		}
		n, err := url.Parse(name)
		if err != nil {
			t.Fatalf("%q is no URL", name)
		}
		s, err := url.Parse(server)
		if err != nil || n.Scheme != s.Scheme || !strings.EqualFold(n.Hostname(), s.Hostname()) || n.User != nil || n.Fragment != "" {
			t.Fatalf("%q covers %q: %v", name, server, err)
		}
		above, below := segments(n), segments(s)
		if len(above) > len(below) || !slices.Equal(above, below[:len(above)]) {
			t.Errorf("%q covers %q", name, server)
		}
	})
}

func segments(u *url.URL) []string {
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	return strings.Split(path, "/")
}

func TestA12ScopeSelection(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		challenge string
		published any
		identity  config.Identity
		want      []string
	}{
		"the challenge":               {`Bearer scope="b a"`, []string{"x", "y"}, config.Identity{}, []string{"b", "a"}},
		"all that is published":       {"Bearer", []string{"x", "y"}, config.Identity{}, []string{"x", "y"}},
		"nothing, and nothing is":     {"Bearer", nil, config.Identity{}, nil},
		"nothing is published":        {"Bearer", []string{}, config.Identity{}, nil},
		"an empty challenge":          {`Bearer scope=""`, []string{"x"}, config.Identity{}, []string{"x"}},
		"the configuration":           {`Bearer scope="a"`, []string{"x"}, config.Identity{Scopes: []string{"c"}}, []string{"c"}},
		"the configuration says none": {`Bearer scope="a"`, []string{"x"}, config.Identity{Scopes: []string{}}, nil},
		"more":                        {`Bearer scope="a b"`, nil, config.Identity{ExtraScopes: []string{"b", "c"}}, []string{"a", "b", "c"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := resource(mcp, "https://as.example")
			if c.published != nil {
				d["scopes_supported"] = c.published
			}
			w := newWorld(t, map[string]any{prm: d, asDoc: server("https://as.example", nil)})
			found, _, err := w.resolve(t, ask{challenge: c.challenge, identity: c.identity})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, found.Scopes); d != "" {
				t.Errorf("scopes (-want +got):\n%s", d)
			}
		})
	}
}

// TestA7ChallengedScopes: what a challenge asks for need not be among what is published, and counts.
func TestA7ChallengedScopes(t *testing.T) {
	t.Parallel()
	d := resource(mcp, "https://as.example")
	d["scopes_supported"] = []string{"read"}
	w := newWorld(t, map[string]any{prm: d, asDoc: server("https://as.example", doc{"scopes_supported": []string{"read"}})})
	found, _, err := w.resolve(t, ask{challenge: `Bearer error="insufficient_scope", scope="admin:all"`})
	if err != nil || len(found.Scopes) != 1 || found.Scopes[0] != "admin:all" {
		t.Errorf("found %+v, error %v", found, err)
	}
}

func TestWantsOffline(t *testing.T) {
	t.Parallel()
	with := &discovery.Metadata{ScopesSupported: []string{"offline_access"}}
	for name, c := range map[string]struct {
		identity config.Identity
		server   *discovery.Metadata
		want     bool
	}{
		"known":             {config.Identity{}, with, true},
		"unknown":           {config.Identity{}, &discovery.Metadata{}, false},
		"no refresh tokens": {config.Identity{}, &discovery.Metadata{ScopesSupported: with.ScopesSupported, GrantTypes: []string{"authorization_code"}}, false},
		"refresh tokens":    {config.Identity{}, &discovery.Metadata{ScopesSupported: with.ScopesSupported, GrantTypes: []string{"refresh_token"}}, true},
		"exactly these":     {config.Identity{Scopes: []string{"a"}}, with, false},
		"always":            {config.Identity{OfflineAccess: "always", Scopes: []string{"a"}}, &discovery.Metadata{}, true},
		"never":             {config.Identity{OfflineAccess: "never"}, with, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := discovery.WantsOffline(&c.identity, c.server); got != c.want {
				t.Errorf("%t, want %t", got, c.want)
			}
		})
	}
}
