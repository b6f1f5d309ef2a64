package grant_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/config"
)

// myself returns a command that prints a text: this test.
func myself(t *testing.T, text string) config.CommandLine {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return config.CommandLine{program, "print", text}
}

func from(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { value, ok := vars[name]; return value, ok }
}

// TestJWTBearer gives assertions of every source for a token.
func TestJWTBearer(t *testing.T) {
	s := serve(t, gives(map[string]any{"access_token": "a"}))
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+canary || r.URL.Query().Get("api-version") != "2.0" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprintf(w, `{"count":1,"value":"for %s"}`, r.URL.Query().Get("audience"))
	}))
	defer platform.Close()
	vars := map[string]string{
		"ACTIONS_ID_TOKEN_REQUEST_URL": platform.URL + "/token?api-version=2.0", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": canary,
		"MINE": "mine\n",
	}
	file := write(t, "token", "projected\n")
	for name, c := range map[string]struct {
		assertion config.Assertion
		want      string
	}{
		"GitHub":             {config.Assertion{From: "github-actions", Audience: "api://x"}, "for api://x"},
		"GitHub, the issuer": {config.Assertion{From: "github-actions"}, "for " + s.URL},
		"GitLab":             {config.Assertion{From: "gitlab", Env: "MINE"}, "mine"},
		"Kubernetes":         {config.Assertion{From: "kubernetes", File: file}, "projected"},
		"file":               {config.Assertion{From: "file", File: file}, "projected"},
		"env":                {config.Assertion{From: "env", Env: "MINE"}, "mine"},
		"command":            {config.Assertion{From: "command", Command: myself(t, "printed\n")}, "printed"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEndpoint(t, s.URL, config.GrantJWTBearer)
			e.Client.ID, e.LookupEnv, e.Identity.Assertion = "", from(vars), c.assertion
			if _, err := e.JWTBearer(t.Context(), []string{"x"}, "https://mcp.example/mcp"); err != nil {
				t.Fatal(err)
			}
			form, _ := s.last()
			if form.Get("assertion") != c.want || form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" || form.Has("client_id") || form.Get("scope") != "x" || form.Get("resource") == "" {
				t.Errorf("%v", form)
			}
		})
	}
}

// TestAssertFails is about assertions that cannot be had: no error shows a secret, each says what to do.
func TestAssertFails(t *testing.T) {
	redirect := httptest.NewServer(http.RedirectHandler("https://elsewhere.example/", http.StatusFound))
	defer redirect.Close()
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `{"message":"no id for %s"}`, r.Header.Get("Authorization"))
	}))
	defer echo.Close()
	request := func(address string) map[string]string {
		return map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": address, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": canary}
	}
	long := write(t, "long", strings.Repeat("a", 1<<20+1))
	for name, c := range map[string]struct {
		assertion config.Assertion
		vars      map[string]string
		says      string
	}{
		"none":                    {config.Assertion{}, nil, "set where it comes from"},
		"unknown":                 {config.Assertion{From: "magic"}, nil, "use github-actions"},
		"GitHub without rights":   {config.Assertion{From: "github-actions"}, nil, "id-token: write"},
		"GitHub in clear":         {config.Assertion{From: "github-actions"}, request("http://actions.example/x?" + canary), "not an https URL"},
		"GitHub says no":          {config.Assertion{From: "github-actions"}, request(echo.URL + "/x?" + canary), "no id for Bearer [redacted]"},
		"GitHub points elsewhere": {config.Assertion{From: "github-actions"}, request(redirect.URL), "redirects to elsewhere.example/"},
		"GitLab":                  {config.Assertion{From: "gitlab", Env: "GITLAB_OIDC_TOKEN"}, nil, "GITLAB_OIDC_TOKEN is not set"},
		"env":                     {config.Assertion{From: "env", Env: "X"}, map[string]string{"X": ""}, "X is not set"},
		"empty":                   {config.Assertion{From: "env", Env: "X"}, map[string]string{"X": " \n"}, "empty"},
		"no file":                 {config.Assertion{From: "file", File: filepath.Join(t.TempDir(), "none")}, nil, "none"},
		"long file":               {config.Assertion{From: "kubernetes", File: long}, nil, "longer than 1 MiB"},
		"no command":              {config.Assertion{From: "command"}, nil, "needs command"},
		"no such command":         {config.Assertion{From: "command", Command: config.CommandLine{"no-such-command-here", canary}}, nil, "not found"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, gives(map[string]any{"access_token": "a"}))
			e := newEndpoint(t, s.URL, config.GrantJWTBearer)
			e.LookupEnv, e.Identity.Assertion = from(c.vars), c.assertion
			_, err := e.JWTBearer(t.Context(), nil, "")
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "CANARY") {
				t.Errorf("%v", err)
			}
			if _, n := s.last(); n != 0 {
				t.Error("the token endpoint was asked")
			}
		})
	}
}

// TestTokenExchange sends what RFC 8693 wants.
func TestTokenExchange(t *testing.T) {
	s := serve(t, gives(map[string]any{"access_token": "a", "issued_token_type": "urn:ietf:params:oauth:token-type:jwt"}))
	e := newEndpoint(t, s.URL, config.GrantTokenExchange)
	e.LookupEnv = from(map[string]string{"SUBJECT": "subject"})
	e.Identity.Subject = config.Assertion{From: "env", Env: "SUBJECT"}
	e.Identity.Audience, e.Identity.SubjectTokenType = "api", "urn:ietf:params:oauth:token-type:access_token"
	token, err := e.TokenExchange(t.Context(), nil, "https://mcp.example/mcp")
	if err != nil {
		t.Fatal(err)
	}
	form, _ := s.last()
	if form.Get("subject_token") != "subject" || form.Get("subject_token_type") != "urn:ietf:params:oauth:token-type:access_token" ||
		form.Has("requested_token_type") || form.Get("audience") != "api" || token.Issued != "urn:ietf:params:oauth:token-type:jwt" {
		t.Errorf("%v, issued %s", form, token.Issued)
	}
	e.Identity.SubjectTokenType, e.Identity.RequestedTokenType = "urn:x:subject", "urn:x:requested"
	if _, err := e.TokenExchange(t.Context(), nil, ""); err != nil {
		t.Fatal(err)
	}
	if form, _ = s.last(); form.Get("subject_token_type") != "urn:x:subject" || form.Get("requested_token_type") != "urn:x:requested" || form.Has("resource") {
		t.Errorf("%v", form)
	}
}

// TestEnterprise looks at both requests, and at providers that answer with something else.
func TestEnterprise(t *testing.T) {
	const jag = "urn:ietf:params:oauth:token-type:id-jag"
	provider := serve(t, gives(map[string]any{"access_token": canary, "token_type": "N_A", "issued_token_type": jag}))
	s := serve(t, gives(map[string]any{"access_token": "a"}))
	e, idp := newEndpoint(t, s.URL, config.GrantEnterprise), newEndpoint(t, provider.URL, config.GrantEnterprise)
	e.Client.Secret, idp.Client.ID = "s", "at-idp"
	e.Identity.IDP = &config.IdentityProvider{}
	want := grant.Want{Scopes: []string{"x"}, Resource: "https://mcp.example/mcp"}
	if _, err := e.Enterprise(t.Context(), idp, grant.Subject{Token: "id"}, want); err != nil {
		t.Fatal(err)
	}
	first, _ := provider.last()
	if first.Get("requested_token_type") != jag || first.Get("audience") != s.URL || first.Get("subject_token_type") != "urn:ietf:params:oauth:token-type:id_token" ||
		first.Get("resource") != want.Resource || first.Get("scope") != "x" || first.Get("client_id") != "at-idp" {
		t.Errorf("%v", first)
	}
	if then, _ := s.last(); then.Get("assertion") != canary || !strings.HasPrefix(s.auths[0], "Basic ") {
		t.Errorf("%v", then)
	}
	other := serve(t, gives(map[string]any{"access_token": canary, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}))
	if _, err := e.Enterprise(t.Context(), newEndpoint(t, other.URL, config.GrantEnterprise), grant.Subject{Token: "id"}, want); err == nil || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("a token of another type: %v", err)
	}
	if _, n := s.last(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// TestExec reads what commands print.
func TestExec(t *testing.T) {
	soon := time.Now().Add(time.Hour).UTC()
	for name, c := range map[string]struct {
		out    string
		access string
		life   time.Duration
	}{
		"bare":            {"token-1\n", "token-1", 0},
		"bare JWT":        {jwtOf(map[string]any{"exp": soon.Unix()}), "eyJ", time.Hour},
		"answer":          {`{"access_token":"a","expires_in":3600.5,"token_type":"Bearer"}`, "a", time.Hour},
		"gcloud":          {`{"token":"a","expiry":"` + soon.Format(time.RFC3339) + `"}`, "a", time.Hour},
		"az":              {`{"accessToken":"a","expiresOn":"` + soon.Local().Format("2006-01-02 15:04:05.000000") + `","expires_on":` + strconv.FormatInt(soon.Unix(), 10) + `,"tokenType":"Bearer"}`, "a", time.Hour},
		"kubectl":         {`{"kind":"ExecCredential","status":{"token":"a","expirationTimestamp":"` + soon.Format(time.RFC3339) + `"}}`, "a", time.Hour},
		"nothing":         {"", "", 0},
		"a sentence":      {"please log in", "", 0},
		"no JSON":         {"{" + canary, "", 0},
		"JSON of another": {`{"hello":"` + canary + `"}`, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			i := config.NewIdentity("me", config.GrantExec)
			i.Command = myself(t, c.out)
			var learnt []string
			token, err := grant.Exec(t.Context(), i, func(s string) { learnt = append(learnt, s) })
			var setup *grant.SetupError
			switch {
			case c.access == "" && (!errors.As(err, &setup) || setup.Key != "command" || strings.Contains(err.Error(), "CANARY")):
				t.Errorf("%v", err)
			case c.access != "" && err != nil:
				t.Error(err)
			case c.access != "" && (!strings.HasPrefix(token.Access, c.access) || !near(token, c.life) || len(learnt) != 1):
				t.Errorf("%q, %v, learnt %d", token.Access, token, len(learnt))
			}
		})
	}
	if runtime.GOOS != "windows" {
		i := config.NewIdentity("me", config.GrantExec)
		i.Command = config.CommandLine{"/bin/sh", "-c", "echo " + canary + "; echo " + canary + " >&2; exit 3"}
		if _, err := grant.Exec(t.Context(), i, nil); err == nil || !strings.Contains(err.Error(), "exit status 3") || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%v", err)
		}
	}
}

// TestRevoke revokes tokens at servers that can, and says when they cannot.
func TestRevoke(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	e := newEndpoint(t, s.URL, config.GrantAuthorizationCode)
	e.Client.Secret = svcSecret
	if err := e.Revoke(t.Context(), canary, "refresh_token"); err != nil {
		t.Error(err)
	}
	if form, _ := s.last(); form.Get("token") != canary || form.Get("token_type_hint") != "refresh_token" || !strings.HasPrefix(s.auths[0], "Basic ") {
		t.Errorf("%v", form)
	}
	for _, h := range []http.HandlerFunc{
		says(http.StatusServiceUnavailable, "text/plain", canary),
		says(http.StatusBadRequest, "application/json", `{"error":"unsupported_token_type","error_description":"`+canary+`"}`),
		says(http.StatusOK, "text/html", "<html>"+canary),
	} {
		s := serve(t, h)
		var refused *grant.Error
		if err := newEndpoint(t, s.URL, config.GrantAuthorizationCode).Revoke(t.Context(), canary, ""); err != nil && (!errors.As(err, &refused) || strings.Contains(err.Error(), "CANARY")) {
			t.Errorf("%v", err)
		}
	}
	e.Metadata.RevocationEndpoint = ""
	if err := e.Revoke(t.Context(), canary, ""); !errors.Is(err, grant.ErrNoRevocation) {
		t.Errorf("%v", err)
	}
}

// TestLearn tells every secret to whoever cleans logs.
func TestLearn(t *testing.T) {
	s := serve(t, gives(map[string]any{"access_token": "the-access", "refresh_token": "the-refresh", "id_token": "the-id"}))
	e := newEndpoint(t, s.URL, config.GrantAuthorizationCode)
	learnt := map[string]bool{}
	e.Learn = func(s string) { learnt[s] = true }
	e.Client.Secret = svcSecret
	e.Identity.TokenParams = map[string]config.Secret{"api_key": "the-key"}
	if _, err := e.AuthorizeURL(grant.Authorize{State: "the-state", Verifier: "the-verifier"}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Exchange(t.Context(), grant.Code{Code: "the-code", Verifier: "the-verifier"}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Refresh(t.Context(), "the-old", nil, ""); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"the-access", "the-refresh", "the-id", "the-state", "the-verifier", "the-code", "the-old", "the-key", svcSecret} {
		if !learnt[want] {
			t.Errorf("%s was not learnt", want)
		}
	}
	if learnt["client"] || learnt["refresh_token"] {
		t.Error("what is no secret was learnt")
	}
}
