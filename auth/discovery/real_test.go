package discovery_test

import (
	"net/http"
	"testing"

	"github.com/plait-mcp/plait/auth/authtest"
	"github.com/plait-mcp/plait/auth/challenge"
	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/config"
)

// TestB10Standards goes from the challenge (RFC 6750) of a real server to what it says of itself (RFC 9728, with the
// name for RFC 8707) and to a real authorization server (RFC 8414, OpenID Connect Discovery), which says what it knows:
// registration (RFC 7591), PKCE (RFC 7636), devices (RFC 8628), revocation (RFC 7009) and `iss` (RFC 9207).
func TestB10Standards(t *testing.T) {
	t.Parallel()
	for name, env := range map[string][]string{
		"issuer at the root": nil, "issuer with a path": {"AS_PATH=/tenant1"}, "no word of PKCE": {"AS_HIDE=code_challenge_methods_supported"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := authtest.Start(t, env...)
			id := &config.Identity{}
			transport := discovery.Transport(&http.Transport{}, s.Resource, id)
			t.Cleanup(transport.CloseIdleConnections)
			hc := &http.Client{Transport: transport}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Resource, nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := hc.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			bearer, ok := challenge.Bearer(response.Header)
			if !ok || response.StatusCode != http.StatusUnauthorized {
				t.Fatalf("%s with %v", response.Status, response.Header)
			}
			for _, c := range []challenge.Challenge{bearer, {}} {
				found, err := discovery.Resolve(t.Context(), discovery.Request{HTTP: hc, URL: s.Resource, Identity: id, Challenge: c})
				if name == "no word of PKCE" {
					wantError[*discovery.PKCEError](t, err, "assumePKCE")
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				m := found.Server
				if found.Resource != s.Resource || m.Issuer != s.Issuer || !m.IssInResponse || len(found.Scopes) == 0 {
					t.Errorf("found %+v with %+v", found, m)
				}
				for _, endpoint := range []string{
					m.AuthorizationEndpoint, m.TokenEndpoint, m.RegistrationEndpoint, m.DeviceAuthorizationEndpoint, m.RevocationEndpoint,
				} {
					if endpoint == "" {
						t.Errorf("an endpoint is missing: %+v", m)
					}
				}
			}
		})
	}
}
