package grant_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/auth/register"
	"github.com/plait-mcp/plait/config"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "print" { // the command of the grant exec
		fmt.Print(strings.Join(os.Args[2:], " ")) //nolint:forbidigo // what a command does
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// newEndpoint returns an endpoint of a server with an origin, as a public client.
func newEndpoint(t *testing.T, origin string, g config.Grant) *grant.Endpoint {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &grant.Endpoint{
		HTTP: &http.Client{Transport: transport},
		Metadata: &discovery.Metadata{
			Issuer: origin, AuthorizationEndpoint: origin + "/authorize", TokenEndpoint: origin + "/token",
			DeviceAuthorizationEndpoint: origin + "/device", RevocationEndpoint: origin + "/revoke",
		},
		Client:   &register.Client{ID: "client"},
		Identity: config.NewIdentity("me", g),
	}
}

// server is a token endpoint that answers as a test says, and what it was sent.
type server struct {
	*httptest.Server

	mu    sync.Mutex
	forms []url.Values
	auths []string
}

// serve runs a server. Its answers are those of h, which finds the form parsed.
func serve(t *testing.T, h http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		s.mu.Lock()
		s.forms = append(s.forms, r.PostForm)
		s.auths = append(s.auths, r.Header.Get("Authorization"))
		s.mu.Unlock()
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// last returns the last form and how many there were.
func (s *server) last() (url.Values, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.forms) == 0 {
		return nil, 0
	}
	return s.forms[len(s.forms)-1], len(s.forms)
}

// says answers every request in the same way.
func says(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// gives answers with a token.
func gives(fields map[string]any) http.HandlerFunc {
	body, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return says(http.StatusOK, "application/json", string(body))
}

// trip is a transport that answers without a network, for tests in a bubble.
type trip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper. It tells the trace what a network would.
func (f trip) RoundTrip(r *http.Request) (*http.Response, error) {
	trace := httptrace.ContextClientTrace(r.Context())
	trace.GotConn(httptrace.GotConnInfo{})
	trace.WroteHeaders()
	return f(r)
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// newBrowser returns a client that keeps cookies and follows redirects.
func newBrowser(t *testing.T) *http.Client {
	t.Helper()
	jar, _ := cookiejar.New(nil) // which never fails
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Jar: jar}
}

// spy notes the addresses that requests go to.
type spy struct {
	next  http.RoundTripper
	asked *[]string
}

// RoundTrip implements http.RoundTripper.
func (s spy) RoundTrip(r *http.Request) (*http.Response, error) {
	*s.asked = append(*s.asked, r.URL.String())
	return s.next.RoundTrip(r)
}
