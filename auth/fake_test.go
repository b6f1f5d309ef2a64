package auth_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// world is an authorization server and MCP servers behind it that misbehave on purpose. What it issues is good until
// somebody says otherwise.
type world struct {
	t    *testing.T
	as   *httptest.Server
	mcps []*httptest.Server

	mu       sync.Mutex
	n        int
	lifetime int               // expires_in; 0 leaves it out
	access   map[string]string // the good access tokens, with their resource
	refresh  map[string]bool   // the good refresh tokens
	codes    map[string]url.Values
	scopes   map[string]string // of access tokens
	clients  map[string]bool   // the registered ones
	issuer   string            // as the MCP servers name it

	knowsClients bool // a client that is not registered gets a page, and is not sent back

	token     func(url.Values) (status int, answer any, done bool) // instead of the token endpoint
	authorize func(url.Values) (answer url.Values, done bool)      // instead of a person who agrees
	serve     func(w http.ResponseWriter, r *http.Request) (done bool)
	metadata  map[string]any // added to that of the authorization server

	managed int // clients are told how to ask for their registration; counts the tokens for that, 0: they are not

	tokenCalls, authorizations, registrations, reuses, refreshes, probes int
	forms                                                                []url.Values // of the token endpoint
	proofs                                                               []string     // Authorization headers at the token endpoint
	seen                                                                 []string     // Authorization headers at the MCP servers
	asked                                                                []url.Values // authorization requests
}

// newWorld starts an authorization server with n MCP servers behind it.
func newWorld(t *testing.T, n int) *world {
	t.Helper()
	w := &world{
		t: t, lifetime: 3600, access: map[string]string{}, refresh: map[string]bool{}, codes: map[string]url.Values{},
		scopes: map[string]string{}, clients: map[string]bool{}, metadata: map[string]any{},
	}
	w.as = httptest.NewServer(http.HandlerFunc(w.serveAS))
	t.Cleanup(w.as.Close)
	w.issuer = w.as.URL
	for range n {
		s := httptest.NewServer(http.HandlerFunc(w.serveMCP))
		t.Cleanup(s.Close)
		w.mcps = append(w.mcps, s)
	}
	return w
}

// url returns that of an MCP server.
func (w *world) url(i int) string { return w.mcps[i].URL + "/mcp" }

// change changes how the servers behave.
func (w *world) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// expireAll has all access tokens refused from now on.
func (w *world) expireAll() { w.change(func() { clear(w.access) }) }

// revokeAll has all tokens refused from now on.
func (w *world) revokeAll() { w.change(func() { clear(w.access); clear(w.refresh) }) }

// count returns a counter.
func (w *world) count(of *int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return *of
}

func answerJSON(rw http.ResponseWriter, status int, body any) {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(status)
	_ = json.NewEncoder(rw).Encode(body)
}

func (w *world) serveAS(rw http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	switch r.URL.Path {
	case "/.well-known/oauth-authorization-server":
		w.mu.Lock()
		defer w.mu.Unlock()
		answer := map[string]any{
			"issuer": w.as.URL, "authorization_endpoint": w.as.URL + "/authorize", "token_endpoint": w.as.URL + "/token",
			"registration_endpoint": w.as.URL + "/register", "revocation_endpoint": w.as.URL + "/revoke",
			"code_challenge_methods_supported": []string{"S256"}, "token_endpoint_auth_methods_supported": []string{"none", "client_secret_basic"},
			"authorization_response_iss_parameter_supported": true,
		}
		for name, value := range w.metadata {
			if answer[name] = value; value == nil {
				delete(answer, name)
			}
		}
		answerJSON(rw, http.StatusOK, answer)
	case "/register":
		w.mu.Lock()
		defer w.mu.Unlock()
		w.registrations++
		id := fmt.Sprintf("client-%d", w.registrations)
		w.clients[id] = true
		var asked map[string]any
		_ = json.NewDecoder(r.Body).Decode(&asked)
		answer := map[string]any{"client_id": id, "redirect_uris": asked["redirect_uris"], "token_endpoint_auth_method": "none"}
		if w.managed > 0 {
			answer["registration_client_uri"] = w.as.URL + "/register/" + id
			answer["registration_access_token"] = fmt.Sprintf("manage-%d", w.managed)
		}
		answerJSON(rw, http.StatusCreated, answer)
	case "/authorize":
		w.serveAuthorize(rw, r)
	case "/token":
		status, answer := w.answerToken(r)
		if page, ok := answer.(string); ok {
			rw.Header().Set("Content-Type", "text/html")
			rw.WriteHeader(status)
			_, _ = io.WriteString(rw, page)
			return
		}
		answerJSON(rw, status, answer)
	case "/revoke":
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.refresh, r.Form.Get("token"))
		delete(w.access, r.Form.Get("token"))
	default:
		w.serveClient(rw, r)
	}
}

// serveClient tells of a registration, to who has the token of it, which is another one from then on (RFC 7592).
func (w *world) serveClient(rw http.ResponseWriter, r *http.Request) {
	id, ok := strings.CutPrefix(r.URL.Path, "/register/")
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !ok:
		http.NotFound(rw, r)
	case !w.clients[id] || r.Header.Get("Authorization") != fmt.Sprintf("Bearer manage-%d", w.managed):
		answerJSON(rw, http.StatusUnauthorized, map[string]any{"error": "invalid_token"})
	default:
		w.managed++
		answerJSON(rw, http.StatusOK, map[string]any{"client_id": id, "registration_access_token": fmt.Sprintf("manage-%d", w.managed)})
	}
}

func (w *world) serveAuthorize(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	q := r.Form
	if w.knowsClients && !w.clients[q.Get("client_id")] {
		if r.Header.Get("Accept") == "application/json" {
			answerJSON(rw, http.StatusBadRequest, object{"error": "invalid_client"})
			return
		}
		rw.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(rw, "<html>Internal Server Error")
		return
	}
	if r.Header.Get("Accept") == "application/json" { // no person
		http.Redirect(rw, r, "/login", http.StatusFound)
		return
	}
	w.authorizations++
	w.asked = append(w.asked, q)
	answer := url.Values{}
	done := false
	if w.authorize != nil {
		answer, done = w.authorize(q)
	}
	if !done {
		w.n++
		code := fmt.Sprintf("code-%d", w.n)
		w.codes[code] = q
		answer = url.Values{"code": {code}}
	}
	answer.Set("state", q.Get("state"))
	answer.Set("iss", w.as.URL)
	http.Redirect(rw, r, q.Get("redirect_uri")+"?"+answer.Encode(), http.StatusFound)
}

type object = map[string]any

func refusal(code string) (int, any) { return http.StatusBadRequest, object{"error": code} }

func (w *world) answerToken(r *http.Request) (int, any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	form := r.PostForm
	w.tokenCalls++
	w.forms, w.proofs = append(w.forms, form), append(w.proofs, r.Header.Get("Authorization"))
	if w.token != nil {
		if status, answer, done := w.token(form); done {
			return status, answer
		}
	}
	scope := form.Get("scope")
	switch form.Get("grant_type") {
	case "authorization_code":
		asked, ok := w.codes[form.Get("code")]
		delete(w.codes, form.Get("code"))
		sum := sha256.Sum256([]byte(form.Get("code_verifier")))
		if !ok || asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) || asked.Get("redirect_uri") != form.Get("redirect_uri") {
			return refusal("invalid_grant")
		}
		scope = asked.Get("scope")
	case "refresh_token":
		w.refreshes++
		if !w.refresh[form.Get("refresh_token")] {
			w.reuses++
			return refusal("invalid_grant")
		}
		delete(w.refresh, form.Get("refresh_token"))
	case "client_credentials":
	default:
		return refusal("unsupported_grant_type")
	}
	return http.StatusOK, w.issue(form.Get("resource"), scope, form.Get("grant_type") != "client_credentials")
}

// issue makes tokens. w is locked.
func (w *world) issue(resource, scope string, refreshable bool) object {
	w.n++
	name := fmt.Sprintf("%d-canary-of-%s", w.n, w.as.Listener.Addr()) // no other world issues the same
	access, refresh := "access-"+name, "refresh-"+name
	answer := object{"access_token": access, "token_type": "Bearer"}
	w.access[access], w.scopes[access] = resource, scope
	if w.lifetime > 0 {
		answer["expires_in"] = w.lifetime
	}
	if refreshable {
		answer["refresh_token"], w.refresh[refresh] = refresh, true
	}
	if scope != "" {
		answer["scope"] = scope
	}
	return answer
}

func (w *world) serveMCP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	serve, issuer := w.serve, w.issuer
	w.mu.Unlock()
	if serve != nil && serve(rw, r) {
		return
	}
	self := "http://" + r.Host
	metadata := self + "/.well-known/oauth-protected-resource/mcp"
	switch r.URL.Path {
	case "/.well-known/oauth-protected-resource/mcp":
		answerJSON(rw, http.StatusOK, object{"resource": self + "/mcp", "authorization_servers": []string{issuer}, "scopes_supported": []string{"read"}})
		return
	case "/mcp":
	default:
		http.NotFound(rw, r)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	shown := r.Header.Get("Authorization")
	w.seen = append(w.seen, shown)
	token, ok := strings.CutPrefix(shown, "Bearer ")
	if body, _ := io.ReadAll(r.Body); shown == "" && strings.Contains(string(body), `"initialize"`) {
		w.probes++
	}
	resource, good := w.access[token]
	if !ok || !good || resource != "" && resource != self+"/mcp" {
		rw.Header().Set("WWW-Authenticate", `Bearer resource_metadata="`+metadata+`"`)
		rw.WriteHeader(http.StatusUnauthorized)
		return
	}
	if need := r.URL.Query().Get("need"); need != "" && !slices.Contains(strings.Fields(w.scopes[token]), need) {
		rw.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="`+need+`", resource_metadata="`+metadata+`"`)
		rw.WriteHeader(http.StatusForbidden)
		return
	}
	_, _ = io.WriteString(rw, token)
}
