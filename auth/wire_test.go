package auth_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/config"
)

func client(t *testing.T, s *config.Server) *http.Client {
	t.Helper()
	c, err := auth.HTTP(s)
	if err != nil {
		t.Fatalf("HTTP() = %v", err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func TestHeadersGoOnlyToTheServer(t *testing.T) {
	foreign := make(chan http.Header, 1)
	other := serve(t, func(_ http.ResponseWriter, r *http.Request) { foreign <- r.Header })
	own := make(chan *http.Request, 1)
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) { own <- r })
	c := client(t, &config.Server{URL: s.URL + "/mcp", Headers: map[string]config.Secret{
		"authorization": "Bearer x", "Host": "mcp.example", "Accept": "text/html",
	}})

	r, _ := http.NewRequestWithContext(t.Context(), http.MethodDelete, s.URL+"/elsewhere", nil)
	r.Header.Set("Accept", "application/json")
	do(t, c, r)
	got := <-own
	if got.Header.Get("Authorization") != "Bearer x" || got.Host != "mcp.example" {
		t.Errorf("the server got %v for host %q", got.Header, got.Host)
	}
	if got.Header.Get("Accept") != "application/json" {
		t.Errorf("Accept = %q, want what the wire said", got.Header.Get("Accept"))
	}
	if len(r.Header) != 1 {
		t.Errorf("the request was changed: %v", r.Header)
	}

	r, _ = http.NewRequestWithContext(t.Context(), http.MethodGet, other.URL, nil)
	do(t, c, r)
	if h := <-foreign; h.Get("Authorization") != "" {
		t.Errorf("another origin got %v", h)
	}
}

func do(t *testing.T, c *http.Client, r *http.Request) {
	t.Helper()
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

func TestRedirects(t *testing.T) {
	other := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the other origin was asked") })
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/here":
			http.Redirect(w, r, "/there", http.StatusTemporaryRedirect)
		case "/away":
			http.Redirect(w, r, other.URL+"/mcp?token=1", http.StatusTemporaryRedirect)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		default:
			_, _ = io.WriteString(w, r.Header.Get("X-Key"))
		}
	})
	c := client(t, &config.Server{URL: s.URL + "/here", Headers: map[string]config.Secret{"X-Key": "k"}})
	for _, tt := range []struct{ method, path, want, err string }{
		{http.MethodGet, "/here", "k", ""},
		{http.MethodPost, "/here", "", "redirects POST to " + s.URL + "/there; if that is right, use it as url"},
		{http.MethodDelete, "/here", "", "redirects DELETE"},
		{http.MethodGet, "/away", "", "redirects to another origin, " + other.URL + "/mcp; if"},
		{http.MethodGet, "/loop", "", "in circles"},
	} {
		r, _ := http.NewRequestWithContext(t.Context(), tt.method, s.URL+tt.path, strings.NewReader("{}"))
		resp, err := c.Do(r)
		if tt.err != "" {
			var outer *url.Error
			if !errors.As(err, &outer) || !strings.Contains(outer.Err.Error(), tt.err) || strings.Contains(outer.Err.Error(), "token") {
				t.Errorf("%s %s = %v, want an error with %q", tt.method, tt.path, err, tt.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %s = %v", tt.method, tt.path, err)
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(body) != tt.want {
			t.Errorf("%s %s = %q, want %q", tt.method, tt.path, body, tt.want)
		}
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto)
		if len(r.TLS.PeerCertificates) == 0 {
			t.Error("no client certificate")
		}
	}))
	s.EnableHTTP2 = true
	s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	s.StartTLS()
	t.Cleanup(s.Close)

	ca := write(t, "ca.pem", &pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	key, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	server := &config.Server{URL: s.URL, CAFile: ca, ClientCert: config.ClientCert{
		Cert: ca, Key: write(t, "key.pem", &pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	}}
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
	resp, err := client(t, server).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "HTTP/2.0" {
		t.Errorf("proto = %q, want HTTP/2.0", body)
	}
	if _, err := client(t, &config.Server{URL: s.URL}).Do(r); err == nil {
		t.Error("a certificate that nobody signed was trusted")
	}
}

func TestUnusableFiles(t *testing.T) {
	empty := write(t, "empty.pem", &pem.Block{Type: "NOTHING"})
	for _, tt := range []struct {
		server config.Server
		want   string
	}{
		{config.Server{CAFile: "missing.pem"}, "read caFile: open missing.pem"},
		{config.Server{CAFile: empty}, "holds no certificate"},
		{config.Server{ClientCert: config.ClientCert{Cert: empty, Key: empty}}, "read clientCert: "},
		{config.Server{URL: "http://[secret"}, "the URL cannot be read"},
	} {
		_, err := auth.HTTP(&tt.server)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("HTTP(%+v) = %v, want an error with %q", tt.server, err, tt.want)
		}
	}
}

func write(t *testing.T, name string, b *pem.Block) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, pem.EncodeToMemory(b), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSameOrigin(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"https://a.example/x", "HTTPS://A.example:443/y?z", true},
		{"http://a.example", "http://a.example:80", true},
		{"http://a.example", "https://a.example", false},
		{"https://a.example", "https://a.example.evil", false},
		{"https://a.example", "https://a.example:8443", false},
	} {
		a, _ := url.Parse(tt.a)
		b, _ := url.Parse(tt.b)
		if got := auth.SameOrigin(a, b); got != tt.want {
			t.Errorf("SameOrigin(%s, %s) = %v", tt.a, tt.b, got)
		}
	}
}
