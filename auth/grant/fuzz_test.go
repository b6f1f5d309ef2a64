package grant_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode"

	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/auth/register"
	"github.com/plait-mcp/plait/config"
)

// FuzzAnswer has a server answer anything: the client gets a token or an error of the package, which shows nothing of
// what was sent and fits on one line.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"access_token":"a","expires_in":3600.5,"scope":["x"],"authed_user":{"access_token":"b"}}`,
		`access_token=a&expires_in=1e400`, `{"ok":false}`, `{"error":{"status":"x","message":"CANARY-f7Qx"}}`, "<html>",
		`{"error":"invalid_grant","error_description":"CANARY-f7Qx0vR2mJ9-pLw3\u001b[0m"}`, `{"access_token":"e30.eyJleHAiOjFlMzA4fQ.x"}`,
	} {
		f.Add(200, "application/json", seed, "authed_user")
		f.Add(400, "text/plain", seed, "")
	}
	f.Fuzz(func(t *testing.T, status int, kind, body, path string) {
		if status < 100 || status > 999 {
			return
		}
		e := &grant.Endpoint{
			HTTP: &http.Client{Transport: trip(func(*http.Request) (*http.Response, error) {
				return &http.Response{
					StatusCode: status, Header: http.Header{"Content-Type": {kind}, "Location": {body}, "Retry-After": {body}, "Date": {body}},
					Body: io.NopCloser(strings.NewReader(body)),
				}, nil
			})},
			Metadata: &discovery.Metadata{Issuer: "https://as.example", TokenEndpoint: "https://as.example/token"},
			Client:   &register.Client{ID: "id"},
			Identity: config.NewIdentity("me", config.GrantAuthorizationCode),
		}
		e.Identity.TokenPath = path
		token, err := e.Refresh(t.Context(), canary, nil, "")
		var refused *grant.Error
		switch {
		case err == nil && (token.Access == "" || token.Refresh == ""):
			t.Errorf("an empty token of %q", body)
		case err == nil:
		case !errors.As(err, &refused):
			t.Errorf("%T %v", err, err)
		case strings.Contains(err.Error(), canary), strings.ContainsFunc(refused.Description, unicode.IsControl), strings.ContainsFunc(refused.Code, unicode.IsSpace):
			t.Errorf("%q", err.Error())
		}
	})
}
