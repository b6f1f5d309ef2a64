package authtest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/plait-mcp/plait/auth/authtest"
)

func TestServer(t *testing.T) {
	t.Parallel()
	s := authtest.Start(t, "AS_TTL=5")
	if !strings.HasPrefix(s.Issuer, "http://127.0.0.1:") || !strings.HasSuffix(s.Resource, "/mcp") {
		t.Fatalf("started with %+v", s)
	}
	if got := s.Get(t, "/.well-known/oauth-authorization-server"); !strings.Contains(got, `"registration_endpoint"`) {
		t.Errorf("metadata: %s", got)
	}
	callback := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "landed with "+r.URL.Query().Get("code"))
	}))
	defer callback.Close()
	query := url.Values{
		"response_type": {"code"}, "client_id": {"cli"}, "state": {"x"}, "scope": {"mcp:read"}, "resource": {s.Resource},
		"redirect_uri": {callback.URL + "/callback"}, "code_challenge_method": {"S256"}, "code_challenge": {strings.Repeat("x", 43)},
	}
	if page := authtest.Visit(t, s.Issuer+"/auth?"+query.Encode()); len(page) < len("landed with ")+20 {
		t.Errorf("the person saw: %s", page)
	}
	if got := s.Stats(t); got.Authorize != 1 || got.Register != 0 {
		t.Errorf("stats: %+v", got)
	}
}
