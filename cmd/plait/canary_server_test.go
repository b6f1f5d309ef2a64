package main_test

import (
	"crypto/rand"
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
	"time"
)

// canaries are secrets that were made up for a test, or that plait made up and sent: who finds one where it does not
// belong has found a leak.
type canaries struct {
	mu    sync.Mutex
	kinds map[string]string // what each is
}

// make makes a secret up. Its characters are those that have to be escaped in headers, queries and JSON.
func (c *canaries) make(kind string) string {
	value := "c4n" + rand.Text()
	if strings.HasSuffix(kind, "secret") {
		value += `:+/%"&`
	}
	c.saw(kind, value)
	return value
}

// jwt makes up a secret that looks like a signed token.
func (c *canaries) jwt(kind, subject string) string {
	claims := fmt.Sprintf(`{"iss":"as","sub":%q,"exp":%d,"jti":%q}`, subject, time.Now().Add(time.Hour).Unix(), rand.Text())
	encode := base64.RawURLEncoding.EncodeToString
	value := encode([]byte(`{"alg":"ES256"}`)) + "." + encode([]byte(claims)) + "." + encode([]byte(c.make(kind+" signature")))
	c.saw(kind, value)
	return value
}

// saw adds a secret.
func (c *canaries) saw(kind, value string) {
	const shortest = 8
	if len(value) < shortest {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kinds == nil {
		c.kinds = map[string]string{}
	}
	if _, known := c.kinds[value]; !known {
		c.kinds[value] = kind
	}
}

// count returns how many there are of a kind.
func (c *canaries) count(kind string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, k := range c.kinds {
		if k == kind {
			n++
		}
	}
	return n
}

// find returns the kinds of the secrets that are in a text, however they are written there.
func (c *canaries) find(text string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []string
	for value, kind := range c.kinds {
		inJSON, _ := json.Marshal(value)
		forms := []string{
			value, url.QueryEscape(value), url.PathEscape(value), string(inJSON[1 : len(inJSON)-1]),
			base64.StdEncoding.EncodeToString([]byte(value)), base64.RawURLEncoding.EncodeToString([]byte(value)),
		}
		if slices.ContainsFunc(forms, func(form string) bool { return strings.Contains(text, form) }) {
			found = append(found, kind)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// leaky is an authorization server and MCP servers at one origin, who repeat every secret that they are sent wherever a
// client might print it.
type leaky struct {
	*canaries
	*httptest.Server

	mu      sync.Mutex
	how     string            // how token requests fail: "" not at all, "refused", "page", "elsewhere"
	granted map[string]string // the scopes of access tokens, codes, device and refresh tokens that are good
	grants  map[string]int    // how many token requests of each grant came
	asked   []string          // tokens that MCP servers were shown
}

func newLeaky(t *testing.T, c *canaries) *leaky {
	t.Helper()
	l := &leaky{canaries: c, granted: map[string]string{}, grants: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/oauth-protected-resource/mcp/{name}", func(w http.ResponseWriter, r *http.Request) {
		answerJSON(w, http.StatusOK, map[string]any{
			"resource": l.URL + "/mcp/" + r.PathValue("name"), "authorization_servers": []string{l.URL}, "scopes_supported": []string{"use"},
		})
	})
	mux.HandleFunc("/.well-known/oauth-authorization-server", l.metadata)
	mux.HandleFunc("POST /register", l.register)
	mux.HandleFunc("GET /authorize", l.authorize)
	mux.HandleFunc("POST /token", l.token)
	mux.HandleFunc("POST /device", l.device)
	mux.HandleFunc("POST /revoke", l.revoke)
	mux.HandleFunc("/mcp/{name}", l.mcp)
	l.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		l.CloseClientConnections()
		l.Close()
	})
	return l
}

func (l *leaky) metadata(w http.ResponseWriter, _ *http.Request) {
	at := func(path string) string { return l.URL + path }
	answerJSON(w, http.StatusOK, map[string]any{
		"issuer": l.URL, "authorization_endpoint": at("/authorize"), "token_endpoint": at("/token"), "registration_endpoint": at("/register"),
		"device_authorization_endpoint": at("/device"), "revocation_endpoint": at("/revoke"), "scopes_supported": []string{"use", "admin", "offline_access"},
		"response_types_supported": []string{"code"}, "code_challenge_methods_supported": []string{"S256"},
		"authorization_response_iss_parameter_supported": true, "authorization_grant_profiles_supported": []string{"urn:ietf:params:oauth:grant-profile:id-jag"},
		"token_endpoint_auth_methods_supported": []string{"none", "client_secret_basic", "client_secret_post", "private_key_jwt"},
	})
}

func (l *leaky) register(w http.ResponseWriter, r *http.Request) {
	var asked map[string]any
	_ = json.NewDecoder(r.Body).Decode(&asked)
	id := "client-" + rand.Text()
	asked["client_id"], asked["client_secret"] = id, l.make("client secret")
	asked["token_endpoint_auth_method"] = "client_secret_basic"
	asked["registration_access_token"], asked["registration_client_uri"] = l.make("registration token"), l.URL+"/register/"+id
	answerJSON(w, http.StatusCreated, asked)
}

// authorize is a person who consents at once.
func (l *leaky) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	l.saw("state", q.Get("state"))
	code := l.make("code")
	l.allow(code, q.Get("scope"))
	http.SetCookie(w, &http.Cookie{Name: "session", Value: l.make("cookie")})
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil {
		http.Error(w, "no redirect_uri", http.StatusBadRequest)
		return
	}
	back.RawQuery = url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {l.URL}}.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

func (l *leaky) allow(token, scope string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.granted[token] = scope
}

func (l *leaky) scopeOf(token string) (string, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	scope, ok := l.granted[token]
	return scope, ok
}

// fail has token requests fail from now on; "" ends that.
func (l *leaky) fail(how string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.how = how
}

// requests returns how many token requests of a grant came.
func (l *leaky) requests(grant string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.grants[grant]
}

// forget makes all tokens void, and those that were for renewing them stay.
func (l *leaky) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, token := range l.asked {
		delete(l.granted, token)
	}
}

// secretParams are the parameters of token requests that are secrets.
var secretParams = map[string]string{
	"code": "code", "code_verifier": "verifier", "refresh_token": "refresh token", "client_secret": "client secret", "assertion": "assertion",
	"client_assertion": "client assertion", "subject_token": "subject token", "device_code": "device code", "token": "token",
}

// received notes the secrets of a request and returns all of them in a sentence.
func (l *leaky) received(r *http.Request) string {
	_ = r.ParseForm()
	said := []string{r.Header.Get("Authorization")}
	if id, secret, ok := r.BasicAuth(); ok {
		l.saw("client secret", unescape(secret))
		_, credentials, _ := strings.Cut(said[0], " ")
		l.saw("basic credentials", credentials)
		said = append(said, id, secret, unescape(secret))
	}
	for name, kind := range secretParams {
		if value := r.PostForm.Get(name); value != "" {
			l.saw(kind, value)
			said = append(said, name+" = "+value+" is not good")
		}
	}
	return strings.Join(said, ", ")
}

func unescape(s string) string {
	plain, err := url.QueryUnescape(s)
	if err != nil {
		return s
	}
	return plain
}

func (l *leaky) token(w http.ResponseWriter, r *http.Request) {
	said := l.received(r)
	form := r.PostForm
	l.mu.Lock()
	how := l.how
	l.grants[form.Get("grant_type")]++
	l.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: "token-session", Value: l.make("cookie")})
	switch how {
	case "refused":
		answerJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant", "error_description": said, "error_uri": "https://as.example/?" + url.QueryEscape(said)})
		return
	case "page":
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		fmt.Fprintf(w, "<!doctype html><title>%s</title>", said)
		return
	case "elsewhere":
		w.Header().Set("Location", "https://elsewhere.example/token?"+form.Encode())
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	scope := form.Get("scope")
	switch form.Get("grant_type") {
	case "authorization_code":
		scope, _ = l.scopeOf(form.Get("code"))
	case "refresh_token":
		scope, _ = l.scopeOf(form.Get("refresh_token"))
	case "urn:ietf:params:oauth:grant-type:device_code":
		scope, _ = l.scopeOf(form.Get("device_code"))
	}
	access, refresh := l.make("access token"), l.make("refresh token")
	l.allow(access, scope)
	l.allow(refresh, scope)
	answer := map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 3600, "scope": scope, "id_token": l.jwt("ID token", "alice")}
	if !strings.HasSuffix(form.Get("grant_type"), "credentials") {
		answer["refresh_token"] = refresh
	}
	if wanted := form.Get("requested_token_type"); wanted != "" {
		answer["issued_token_type"], answer["token_type"] = wanted, "N_A"
		answer["access_token"] = l.jwt("ID-JAG", "alice")
	}
	answerJSON(w, http.StatusOK, answer)
}

func (l *leaky) device(w http.ResponseWriter, r *http.Request) {
	l.received(r)
	code := l.make("device code")
	l.allow(code, r.PostForm.Get("scope"))
	answerJSON(w, http.StatusOK, map[string]any{
		"device_code": code, "user_code": "WDJB-MJHT", "verification_uri": l.URL + "/activate", "expires_in": 300, "interval": 1,
	})
}

func (l *leaky) revoke(w http.ResponseWriter, r *http.Request) {
	said := l.received(r)
	answerJSON(w, http.StatusServiceUnavailable, map[string]any{"error": "server_error", "error_description": said})
}

// mcp is an MCP server that wants a token, or headers that were agreed on (/mcp/header, /mcp/basic). Its tools are use,
// broken, which fails and says why, and admin, which needs the scope admin.
func (l *leaky) mcp(w http.ResponseWriter, r *http.Request) {
	shown := r.Header.Get("Authorization")
	_, token, _ := strings.Cut(shown, " ")
	http.SetCookie(w, &http.Cookie{Name: "mcp-session", Value: l.make("cookie")})
	scope, known := l.scopeOf(token)
	if !known {
		metadata := l.URL + "/.well-known/oauth-protected-resource" + r.URL.Path
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer resource_metadata=%q, scope="use", error="invalid_token", error_description=%q`, metadata, "no "+shown))
		answerJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_token", "error_description": "no " + token + " " + r.Header.Get("Cookie")})
		return
	}
	l.mu.Lock()
	l.asked = append(l.asked, token)
	l.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	var m struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
		Params struct{ Name string }
	}
	if r.Method != http.MethodPost || json.Unmarshal(body, &m) != nil {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	switch m.Params.Name {
	case "broken":
		http.Error(w, "no use: "+token+" "+r.Header.Get("Cookie"), http.StatusInternalServerError)
		return
	case "admin":
		if !slices.Contains(strings.Fields(scope), "admin") {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer error="insufficient_scope", scope="admin", error_description=%q`, "not with "+token))
			answerJSON(w, http.StatusForbidden, map[string]any{"error": "insufficient_scope", "error_description": "not with " + token})
			return
		}
	}
	result, known := map[string]string{
		"initialize": `{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"leaky","version":"1"}}`,
		"ping":       `{}`,
		"tools/list": `{"tools":[{"name":"use","inputSchema":{"type":"object"}},{"name":"broken","inputSchema":{"type":"object"}},{"name":"admin","inputSchema":{"type":"object"}}]}`,
		"tools/call": `{"content":[{"type":"text","text":"done"}]}`,
	}[m.Method]
	switch {
	case m.ID == nil:
		w.WriteHeader(http.StatusAccepted)
	case !known:
		sendJSON(w, fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"unknown"}}`, m.ID))
	default:
		sendJSON(w, fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID, result))
	}
}

func answerJSON(w http.ResponseWriter, status int, fields map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(fields)
}
