package main_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/mark3labs/mcp-go/server"
)

// witness is an authorization server with the MCP server that it protects, at /mcp, which remembers what it was asked
// for. It signs everybody in at once.
type witness struct {
	*httptest.Server

	story http.Handler

	mu         sync.Mutex
	idToken    bool // only an ID token is let in
	authorized []url.Values
	asked      []url.Values // at the token endpoint; user and password of Basic are basic_user and basic_password
	registered []map[string]any
	codes      map[string]string // the challenge of each code that was not used yet
	good       map[string]bool   // tokens
	shown      []string          // values of Authorization that /mcp got
}

// newWitness starts a witness that ends with the test.
func newWitness(tb testing.TB) *witness {
	tb.Helper()
	w := &witness{
		codes: map[string]string{}, good: map[string]bool{},
		story: server.NewStreamableHTTPServer(newStory()),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/mcp", w.mcp)
	mux.HandleFunc("GET /.well-known/oauth-protected-resource/mcp", func(to http.ResponseWriter, _ *http.Request) {
		w.answer(to, http.StatusOK, map[string]any{"resource": w.URL + "/mcp", "authorization_servers": []string{w.URL}, "scopes_supported": []string{"mcp:read"}})
	})
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", w.metadata)
	mux.HandleFunc("POST /register", w.register)
	mux.HandleFunc("GET /authorize", w.authorize)
	mux.HandleFunc("POST /device", w.device)
	mux.HandleFunc("POST /token", w.token)
	w.Server = httptest.NewUnstartedServer(mux) // its handlers read w
	w.Start()
	tb.Cleanup(func() {
		w.CloseClientConnections()
		w.Close()
	})
	return w
}

func (w *witness) answer(to http.ResponseWriter, code int, body any) {
	to.Header().Set("Content-Type", "application/json")
	to.WriteHeader(code)
	_ = json.NewEncoder(to).Encode(body)
}

func (w *witness) mcp(to http.ResponseWriter, r *http.Request) {
	shown := r.Header.Get("Authorization")
	token, _ := strings.CutPrefix(shown, "Bearer ")
	w.mu.Lock()
	w.shown = append(w.shown, shown)
	good := w.good[token] && w.idToken == strings.HasPrefix(token, "eyJ")
	w.mu.Unlock()
	if !good {
		to.Header().Set("WWW-Authenticate", `Bearer resource_metadata="`+w.URL+`/.well-known/oauth-protected-resource/mcp"`)
		w.answer(to, http.StatusUnauthorized, map[string]any{"error": "invalid_token"})
		return
	}
	w.story.ServeHTTP(to, r)
}

func (w *witness) metadata(to http.ResponseWriter, _ *http.Request) {
	all := map[string]any{
		"issuer": w.URL, "authorization_endpoint": w.URL + "/authorize", "token_endpoint": w.URL + "/token",
		"registration_endpoint": w.URL + "/register", "device_authorization_endpoint": w.URL + "/device",
		"code_challenge_methods_supported": []string{"S256"}, "response_types_supported": []string{"code"},
		"client_id_metadata_document_supported": true, "authorization_response_iss_parameter_supported": true,
		"token_endpoint_auth_methods_supported": []string{"none", "client_secret_post", "client_secret_basic"},
		"grant_types_supported": []string{
			"authorization_code", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:device_code",
		},
	}
	w.answer(to, http.StatusOK, all)
}

func (w *witness) register(to http.ResponseWriter, r *http.Request) {
	client := map[string]any{}
	if err := json.NewDecoder(r.Body).Decode(&client); err != nil {
		w.answer(to, http.StatusBadRequest, map[string]any{"error": "invalid_client_metadata"})
		return
	}
	w.mu.Lock()
	w.registered = append(w.registered, client)
	answer := map[string]any{"client_id": fmt.Sprintf("registered-%d", len(w.registered))}
	w.mu.Unlock()
	maps.Copy(answer, client)
	if method := client["token_endpoint_auth_method"]; method != nil && method != "none" {
		answer["client_secret"] = "given-secret"
	}
	w.answer(to, http.StatusCreated, answer)
}

func (w *witness) authorize(to http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	w.mu.Lock()
	w.authorized = append(w.authorized, query)
	code := fmt.Sprintf("code-%d", len(w.authorized))
	w.codes[code] = query.Get("code_challenge")
	w.mu.Unlock()
	back := url.Values{"code": {code}, "state": {query.Get("state")}, "iss": {w.URL}}
	http.Redirect(to, r, query.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

func (w *witness) device(to http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	w.mu.Lock()
	w.authorized = append(w.authorized, r.PostForm)
	w.mu.Unlock()
	w.answer(to, http.StatusOK, map[string]any{
		"device_code": "device-1", "user_code": "WDJB-MJHT", "verification_uri": w.URL + "/activate", "expires_in": 60, "interval": 1,
	})
}

func (w *witness) token(to http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	form := r.PostForm
	if user, password, ok := r.BasicAuth(); ok {
		form.Set("basic_user", user)
		form.Set("basic_password", password)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, form)
	if form.Get("grant_type") == "authorization_code" {
		sum := sha256.Sum256([]byte(form.Get("code_verifier")))
		challenge, ok := w.codes[form.Get("code")]
		delete(w.codes, form.Get("code"))
		if !ok || challenge != base64.RawURLEncoding.EncodeToString(sum[:]) {
			w.answer(to, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
			return
		}
	}
	n := len(w.asked)
	part := base64.RawURLEncoding.EncodeToString
	access := fmt.Sprintf("hunter2-access-%d", n)
	id := part([]byte(`{"alg":"none"}`)) + "." + part(fmt.Appendf(nil, `{"iss":%q,"sub":"kim","n":%d,"exp":4102444800}`, w.URL, n)) + ".x"
	w.good[access], w.good[id] = true, true
	answer := map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 3600, "id_token": id}
	if form.Get("grant_type") != "client_credentials" {
		answer["refresh_token"] = fmt.Sprintf("hunter2-refresh-%d", n)
	}
	w.answer(to, http.StatusOK, answer)
}

// code lets a code be used, as if somebody had signed in elsewhere with that verifier.
func (w *witness) code(code, verifier string) {
	sum := sha256.Sum256([]byte(verifier))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.codes[code] = base64.RawURLEncoding.EncodeToString(sum[:])
}

// last returns the last of what was asked: at authorize, or at token.
func (w *witness) last(tb testing.TB, where string) url.Values {
	tb.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.authorized
	if where == "token" {
		all = w.asked
	}
	if len(all) == 0 {
		tb.Fatalf("nobody came to %s", where)
	}
	return all[len(all)-1]
}

// counts returns how many came to authorize, to token and to register.
func (w *witness) counts() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprintf("authorize %d, token %d, register %d", len(w.authorized), len(w.asked), len(w.registered))
}

// client returns what was registered last.
func (w *witness) client(tb testing.TB) map[string]any {
	tb.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.registered) == 0 {
		tb.Fatal("nobody registered")
	}
	return w.registered[len(w.registered)-1]
}

// seat is a home with a browser in front of which a person sits: whatever it opens is signed in to.
type seat struct {
	home string
	port string
}

func newSeat(tb testing.TB) *seat {
	tb.Helper()
	return &seat{home: tb.TempDir(), port: strconv.Itoa(freePort(tb))}
}

// env are the variables of a program there.
func (d *seat) env(more ...string) []string {
	return append(append(homeIn(d.home), "BROWSER=browser", "BROWSER_LOG="+d.log(), "DISPLAY=:0", "CI="), more...)
}

func (d *seat) log() string { return filepath.Join(d.home, "browser.log") }

// opened returns how many pages the browser was asked for.
func (d *seat) opened() int {
	text, _ := os.ReadFile(d.log())
	return strings.Count(string(text), "\n")
}

// connect starts plait connect there, and returns when the person has signed in.
func (d *seat) connect(tb testing.TB, env []string, args ...string) *faultClient {
	tb.Helper()
	c := connectTo(tb, d.env(env...), args...)
	until(tb, "the sign-in", func() bool {
		a, err := c.request("tools/call", `{"name":"echo","arguments":{"text":"signed in"}}`)
		if err != nil {
			tb.Fatal(err)
		}
		return a.Error == nil && a.text() == "signed in"
	})
	return c
}

// use is connect and then the end of it. It returns what plait says.
func (d *seat) use(tb testing.TB, env []string, args ...string) string {
	tb.Helper()
	c := d.connect(tb, env, args...)
	c.quit(tb)
	return c.said(tb)
}

// kept returns all that lies in the folder of sign-ins, by file.
func (d *seat) kept(tb testing.TB) map[string]string {
	tb.Helper()
	files := map[string]string{}
	folder := filepath.Join(d.home, ".state", "plait", "auth")
	err := filepath.WalkDir(folder, func(name string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(name)
		files[fmt.Sprintf("%v %s", info.Mode(), name)] = string(text)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return files
}
