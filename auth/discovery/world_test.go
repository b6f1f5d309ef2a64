package discovery_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/plait-mcp/plait/auth/challenge"
	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a web server with TLS that is all hosts there are.
type world struct {
	pages  map[string]any // by host and path: a document, a status, or an http.HandlerFunc; 404 without
	client *http.Client

	mu    sync.Mutex
	asked []string // hosts and paths, in their order
}

func newWorld(tb testing.TB, pages map[string]any) *world {
	tb.Helper()
	w := &world{pages: pages}
	server := httptest.NewTLSServer(w)
	tb.Cleanup(server.Close)
	transport, ok := server.Client().Transport.(*http.Transport)
	if !ok {
		tb.Fatal("no transport")
	}
	transport = transport.Clone()
	transport.TLSClientConfig.ServerName = "example.com"
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}
	tb.Cleanup(transport.CloseIdleConnections)
	w.client = &http.Client{Transport: transport}
	return w
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.asked = append(w.asked, r.Host+r.URL.Path)
	w.mu.Unlock()
	switch page := w.pages[r.Host+r.URL.Path].(type) {
	case nil:
		http.NotFound(rw, r)
	case int:
		rw.WriteHeader(page)
	case string:
		_, _ = rw.Write([]byte(page))
	case func(http.ResponseWriter, *http.Request):
		page(rw, r)
	default:
		rw.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(rw).Encode(page)
	}
}

func (w *world) visited() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.asked, "\n")
}

type doc = map[string]any

// server returns the metadata of an authorization server that has all there is, changed by some members; nil removes
// one.
func server(issuer string, change doc) doc {
	at := strings.TrimSuffix(issuer, "/")
	d := doc{
		"issuer": issuer, "authorization_endpoint": at + "/authorize", "token_endpoint": at + "/token",
		"registration_endpoint": at + "/register", "code_challenge_methods_supported": []string{"S256"},
		"scopes_supported": []string{"all", "offline_access"}, "response_types_supported": []string{"code"},
	}
	for name, value := range change {
		d[name] = value
		if value == nil {
			delete(d, name)
		}
	}
	return d
}

// resource returns the metadata of a protected resource.
func resource(name string, servers ...string) doc {
	return doc{"resource": name, "authorization_servers": servers}
}

const (
	mcp   = "https://mcp.example/team/mcp"
	prm   = "mcp.example/.well-known/oauth-protected-resource"
	asDoc = "as.example/.well-known/oauth-authorization-server"
)

// ask is what a test changes about a request.
type ask struct {
	url       string // mcp unless set
	challenge string
	identity  config.Identity
	prefer    string
}

// resolve returns what was found, and the steps.
func (w *world) resolve(tb testing.TB, a ask) (*discovery.Found, []discovery.Step, error) {
	tb.Helper()
	var steps []discovery.Step
	req := discovery.Request{
		HTTP: w.client, URL: mcp, Identity: &a.identity, Prefer: a.prefer, Trail: func(s discovery.Step) { steps = append(steps, s) },
	}
	if a.url != "" {
		req.URL = a.url
	}
	if a.challenge != "" {
		all := challenge.Parse(http.Header{"Www-Authenticate": {a.challenge}})
		req.Challenge = all[0]
	}
	found, err := discovery.Resolve(tb.Context(), req)
	return found, steps, err
}

// wantError wants an error of a type, whose text has some words in it.
func wantError[E error](tb testing.TB, err error, words ...string) E {
	tb.Helper()
	e, ok := errors.AsType[E](err)
	if !ok {
		tb.Fatalf("error %T %v, want %T", err, err, e)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			tb.Errorf("error %q says nothing of %q", err, word)
		}
	}
	return e
}

func hasStep(steps []discovery.Step, name, result, detail string) bool {
	for _, s := range steps {
		if s.Name == name && s.Result == result && strings.Contains(s.Detail+s.URL, detail) {
			return true
		}
	}
	return false
}
