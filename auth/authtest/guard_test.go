package authtest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/plait-mcp/plait/auth/authtest"
)

func TestGuard(t *testing.T) {
	t.Parallel()
	g := authtest.Guard(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "inside") }))
	if got := get(t, g.URL, ""); got != http.StatusUnauthorized || g.Refused() != 1 {
		t.Errorf("without a token: %d", got)
	}
	token := svcToken(t, g)
	if got := get(t, g.URL, token); got != http.StatusOK {
		t.Errorf("with a token: %d", got)
	}
	if got := get(t, g.URL, token[:len(token)-8]+"AAAAAAAA"); got != http.StatusUnauthorized {
		t.Errorf("with a forged token: %d", got)
	}
	g.RefuseKnown()
	if got := get(t, g.URL, token); got != http.StatusUnauthorized {
		t.Errorf("with a forgotten token: %d", got)
	}
}

func get(t *testing.T, url, token string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func svcToken(t *testing.T, g *authtest.Guarded) string {
	t.Helper()
	body := strings.NewReader("grant_type=client_credentials&client_id=svc-post&client_secret=svc-secret&scope=mcp:read&resource=" + g.URL)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.Issuer+"/token", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Token == "" {
		t.Fatalf("no token: %s, %v", resp.Status, err)
	}
	return answer.Token
}
