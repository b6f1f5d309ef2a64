package auth_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/auth/authtest"
	"github.com/plait-mcp/plait/config"
)

// TestClientCredentials gets tokens at a real authorization server with nobody there, and a second process uses the same.
func TestClientCredentials(t *testing.T) {
	as := authtest.Start(t)
	for _, tt := range []struct{ id, secret, method string }{
		{"svc", "svc-secret-with-reserved:+/%", ""}, {"svc-post", "svc-secret", "client_secret_post"},
	} {
		identity := config.NewIdentity("bot", config.GrantClientCredentials)
		identity.ClientID, identity.ClientSecret, identity.Auth.Method = tt.id, config.Secret(tt.secret), tt.method
		server, dir := remote("api", as.Resource, identity), folder(t)
		before := as.Stats(t).Token
		p := newProcess(t, dir)
		c := p.client(server)
		works(t, c, as.Resource)
		works(t, newProcess(t, dir).client(server), as.Resource)
		if n := as.Stats(t).Token - before; n != 1 {
			t.Errorf("%s: %d token requests", tt.id, n)
		}
		works(t, c, as.Resource+"?need=mcp:write") // which it may have, so it asks for it by itself
		if got, err := p.Token(t.Context(), server); err != nil || got == "" {
			t.Errorf("Token() = %v", err)
		}
		if s := p.Status(t.Context(), []*config.Server{server})[0]; s.State != auth.StateReady || !s.Refreshable || s.Interactive() {
			t.Errorf("status = %+v", s)
		}
	}
}

// TestEnterpriseSignIn has a person sign in at an identity provider, once for two servers, and never at the servers' own
// authorization server.
func TestEnterpriseSignIn(t *testing.T) {
	nothing := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	guarded := authtest.GuardAll(t, []http.Handler{nothing, nothing})
	identity := config.NewIdentity("corp", config.GrantEnterprise)
	identity.ClientID, identity.ClientSecret = "idjag", "idjag-secret"
	identity.IDP = &config.IdentityProvider{Issuer: guarded[0].Issuer, ClientID: "idjag", ClientSecret: "idjag-secret"}
	a, b := remote("a", guarded[0].URL, identity), remote("b", guarded[1].URL, identity)
	dir := folder(t)
	p := newProcess(t, dir, a, b)
	fails[*auth.LoginRequiredError](t, p.client(a), a.URL)
	p.mustSignIn(a)
	works(t, p.client(a), a.URL)
	works(t, p.client(b), b.URL)
	q := newProcess(t, dir, a, b)
	c := q.client(b)
	works(t, c, b.URL)
	guarded[1].RefuseKnown()
	works(t, c, b.URL)
	if stats := guarded[0].Stats(t); stats.Authorize != 1 || stats.Register != 0 {
		t.Errorf("stats = %+v, want one sign-in", stats)
	}
	if s := q.Status(t.Context(), []*config.Server{a, b}); len(s) != 1 || s[0].State != auth.StateReady || s[0].Account != "alice" {
		t.Errorf("status = %+v", s)
	}
}

// jwt returns something that looks like an ID token and ends at a time.
func jwt(ends time.Time) string {
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	return encode("{}") + "." + encode(fmt.Sprintf(`{"sub":"alice","exp":%d}`, ends.Unix())) + "." + encode("x")
}

// TestEnterpriseRenewsItsSubject has the ID token be over: it is renewed at the identity provider, and what that rotates
// is kept although the exchange behind it fails.
func TestEnterpriseRenewsItsSubject(t *testing.T) {
	w, idp := newWorld(t, 1), newWorld(t, 0)
	refuse := false
	idp.token = func(form url.Values) (int, any, bool) {
		switch form.Get("grant_type") {
		case "authorization_code", "refresh_token":
			if old := form.Get("refresh_token"); old != "" && !idp.refresh[old] {
				idp.reuses++
				return http.StatusBadRequest, object{"error": "invalid_grant"}, true
			}
			delete(idp.refresh, form.Get("refresh_token"))
			answer := idp.issue("", "", true)
			answer["id_token"] = jwt(time.Now().Add(10 * time.Second)) // which is too short for an exchange
			return http.StatusOK, answer, true
		case "urn:ietf:params:oauth:grant-type:token-exchange":
			if refuse {
				return http.StatusServiceUnavailable, object{}, true
			}
			return http.StatusOK, object{"access_token": "jag-canary", "token_type": "N_A", "issued_token_type": "urn:ietf:params:oauth:token-type:id-jag"}, true
		}
		return 0, nil, false
	}
	w.token = func(form url.Values) (int, any, bool) {
		if form.Get("assertion") != "jag-canary" {
			return 0, nil, false
		}
		return http.StatusOK, w.issue(w.url(0), "", false), true
	}
	identity := config.NewIdentity("corp", config.GrantEnterprise)
	identity.ClientID = "at-the-server"
	identity.IDP = &config.IdentityProvider{Issuer: idp.as.URL, ClientID: "at-the-provider"}
	server, dir := remote("api", w.url(0), identity), folder(t)
	p := newProcess(t, dir)
	p.mustSignIn(server)
	c := p.client(server)
	works(t, c, server.URL)
	idp.change(func() { refuse = true })
	w.expireAll()
	fails[*auth.UnavailableError](t, c, server.URL)
	idp.change(func() { refuse = false })
	c.Retry()
	works(t, c, server.URL)
	w.expireAll()
	works(t, newProcess(t, dir).client(server), server.URL)
	if idp.reuses != 0 || w.authorizations != 0 || idp.authorizations != 1 {
		t.Errorf("%d refresh tokens used twice, %d and %d sign-ins", idp.reuses, w.authorizations, idp.authorizations)
	}
	idp.change(func() { clear(idp.refresh) })
	w.expireAll()
	if need := fails[*auth.LoginRequiredError](t, c, server.URL); need.ID != auth.IDExpired {
		t.Errorf("error = %v", need)
	}
	if log := p.log.String(); strings.Contains(log, "canary") {
		t.Error("the log has a secret")
	}
}

// TestGivenTokens begins with what somebody gave from outside, and goes on with what comes of it.
func TestGivenTokens(t *testing.T) {
	w := newWorld(t, 1)
	w.change(func() {
		w.refresh["given-canary"] = true
		w.codes["code-canary"] = url.Values{"code_challenge": {"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"}, "redirect_uri": {"http://127.0.0.1/callback"}}
	})
	for name, give := range map[string]func(i *config.Identity){
		"refresh token": func(i *config.Identity) { i.RefreshToken = "given-canary" },
		"code": func(i *config.Identity) {
			i.AuthorizationCode, i.RedirectURI = "code-canary", "http://127.0.0.1/callback"
		},
	} {
		t.Run(name, func(t *testing.T) {
			identity := config.NewIdentity("given", config.GrantAuthorizationCode)
			identity.ClientID = "c"
			give(identity)
			server, dir := remote("api", w.url(0), identity), folder(t)
			p := newProcess(t, dir)
			works(t, p.client(server), server.URL)
			w.expireAll()
			works(t, newProcess(t, dir).client(server), server.URL)
			if w.count(&w.reuses) != 0 || w.count(&w.authorizations) != 0 {
				t.Errorf("%d used twice, %d sign-ins", w.reuses, w.authorizations)
			}
			if strings.Contains(p.log.String(), "canary") {
				t.Error("the log has a secret")
			}
		})
	}
}

// TestAssertions gets tokens for assertions of others, without a client.
func TestAssertions(t *testing.T) {
	w := newWorld(t, 1)
	var grants []string
	w.token = func(form url.Values) (int, any, bool) {
		grants = append(grants, form.Get("grant_type")+" "+form.Get("assertion")+form.Get("subject_token"))
		return http.StatusOK, w.issue(form.Get("resource"), "", false), true
	}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("proof-canary\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	source := config.Assertion{From: "file", File: file}
	bearer, exchange := config.NewIdentity("bearer", config.GrantJWTBearer), config.NewIdentity("exchange", config.GrantTokenExchange)
	bearer.Assertion, exchange.Subject = source, source
	exchange.ClientID = "c"
	for _, identity := range []*config.Identity{bearer, exchange} {
		server := remote("api", w.url(0), identity)
		works(t, newProcess(t, folder(t)).client(server), server.URL)
	}
	want := []string{
		"urn:ietf:params:oauth:grant-type:jwt-bearer proof-canary", "urn:ietf:params:oauth:grant-type:token-exchange proof-canary",
	}
	if !slices.Equal(grants, want) || w.registrations != 0 {
		t.Errorf("asked for %q, registered %d times", grants, w.registrations)
	}
}

// TestExec has a command print the token, once for all processes.
func TestExec(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell")
	}
	w := newWorld(t, 1)
	w.change(func() { w.access["printed-canary"] = "" })
	runs := filepath.Join(t.TempDir(), "runs")
	identity := config.NewIdentity("cmd", config.GrantExec)
	identity.Command = config.CommandLine{"/bin/sh", "-c", `echo run >> "$0"; echo '{"access_token":"printed-canary","expires_in":3600}'`, runs}
	server, dir := remote("api", w.url(0), identity), folder(t)
	works(t, newProcess(t, dir).client(server), server.URL)
	p := newProcess(t, dir)
	works(t, p.client(server), server.URL)
	if text, err := os.ReadFile(runs); err != nil || string(text) != "run\n" {
		t.Errorf("the command ran: %q %v", text, err)
	}
	broken := *identity
	broken.Command = config.CommandLine{"/nonexistent/command"}
	refused := fails[*auth.RefusedError](t, p.client(remote("api", w.url(0), &broken)), server.URL)
	if refused.ID != auth.IDSource || strings.Contains(refused.Error(), "canary") {
		t.Errorf("error = %v", refused)
	}
}

// TestStaticCredentials shows headers, or a name and a password, and takes 401 as it is.
func TestStaticCredentials(t *testing.T) {
	header, basic := config.NewIdentity("key", config.GrantHeader), config.NewIdentity("who", config.GrantBasic)
	header.Headers = map[string]config.Secret{"X-Key": "k-canary", "Authorization": "Token t-canary"}
	basic.Username, basic.Password = "me", "pass:canary"
	for _, tt := range []struct {
		identity *config.Identity
		want     string
	}{{header, "k-canary Token t-canary"}, {basic, " Basic bWU6cGFzczpjYW5hcnk="}} {
		got := make(chan string, 4)
		status := http.StatusOK
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			got <- r.Header.Get("X-Key") + " " + r.Header.Get("Authorization")
			w.WriteHeader(status)
		})
		server := remote("api", s.URL, tt.identity)
		p := newProcess(t, folder(t))
		c := p.client(server)
		works(t, c, server.URL)
		if shown := <-got; shown != tt.want {
			t.Errorf("shown %q, want %q", shown, tt.want)
		}
		status = http.StatusUnauthorized
		if status, _, err := post(t, c, server.URL); status != http.StatusUnauthorized || err != nil {
			t.Errorf("%d %v", status, err)
		}
		if s := p.Status(t.Context(), []*config.Server{server})[0]; s.State != auth.StateReady {
			t.Errorf("status = %+v", s)
		}
		p.mustSignIn(server) // which has nothing to do
	}
}
