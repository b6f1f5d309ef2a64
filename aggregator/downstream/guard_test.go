package downstream

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// asked is a request that came to an address of this machine, with headers "Name: value".
func asked(t *testing.T, at string, headers ...string) *http.Request {
	t.Helper()
	addr := net.TCPAddrFromAddrPort(mustAddrPort(t, at))
	r := httptest.NewRequestWithContext(context.WithValue(t.Context(), http.LocalAddrContextKey, addr), http.MethodPost, "/mcp", nil)
	r.Host = at
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "Host":
			r.Host = value
		case "TLS":
			r.TLS = &tls.ConnectionState{}
		default:
			r.Header.Add(name, value)
		}
	}
	return r
}

// TestGuardHosts lets requests in that name this machine, and keeps those of rebound names out wherever there is nothing
// else that does.
func TestGuardHosts(t *testing.T) {
	const here, here6, outside, outside6 = "127.0.0.1:8080", "[::1]:8080", "192.0.2.1:8080", "[2001:db8::1]:8080"
	open, named := &guard{}, &guard{hosts: []string{"mcp.example.com", "plait:8080"}}
	token := &guard{bearer: "hunter2"}
	for _, c := range []struct {
		guard *guard
		at    string
		host  string
		tls   bool
		want  bool
	}{
		{open, here, "127.0.0.1:8080", false, true},
		{open, here, "localhost", false, true},
		{open, here, "LocalHost.:8080", false, true},
		{open, here, "app.localhost:8080", false, true},
		{open, here6, "[::1]:8080", false, true},
		{open, here6, "[::ffff:127.0.0.1]:8080", false, true},
		{open, "[::ffff:127.0.0.1]:8080", "127.0.0.1:8080", false, true},
		{open, here, "", false, false},
		{open, here, "0.0.0.0:8080", false, false},
		{open, here, "2130706433:8080", false, false},
		{open, here, "127.0.0.1.nip.io:8080", false, false},
		{open, here, "localhost.evil.example", false, false},
		{open, here, "evil.example:8080", true, false},
		{token, here, "evil.example:8080", false, false},
		{named, here, "MCP.example.com.", false, true},
		{named, here, "mcp.example.com:443", false, true},
		{named, here, "plait:8080", false, true},
		{named, here, "plait:8081", false, false},
		{named, here, "evil.example", false, false},
		{open, outside, "192.0.2.1:8080", false, true},
		{open, outside6, "[2001:db8::1]:8080", false, true},
		{open, outside, "localhost:8080", false, true}, // the published port of a container
		{open, outside, "evil.example:8080", false, false},
		{open, outside, "evil.example:8080", true, true},
		{token, outside, "evil.example:8080", false, true},
		{named, outside, "evil.example:8080", true, false},
		{named, outside, "mcp.example.com", false, true},
	} {
		headers := []string{"Host: " + c.host}
		if c.tls {
			headers = append(headers, "TLS: yes")
		}
		no := c.guard.admit(httptest.NewRecorder(), asked(t, c.at, headers...))
		if (no == nil) != c.want || no != nil && no.status != http.StatusForbidden {
			t.Errorf("%q at %s, TLS %v: refused %v, want %v", c.host, c.at, c.tls, no, !c.want)
		}
	}
}

// TestGuardOrigins lets web pages in that are allowed, in whichever way the origin is written, those of this machine on
// this machine, and no others: not for what something on the way says.
func TestGuardOrigins(t *testing.T) {
	const here, outside = "127.0.0.1:8080", "192.0.2.1:8080"
	g := &guard{origins: origins([]string{"https://App.example.com:443/", "http://intra:80", "chrome-extension://abc", "https://deep.example:8443"})}
	token := &guard{bearer: "hunter2"}
	for _, c := range []struct {
		guard   *guard
		at      string
		headers string
		want    bool
	}{
		{g, here, "Origin: https://app.example.com", true},
		{g, here, "Origin: https://APP.example.com:443", true},
		{g, here, "Origin: http://app.example.com", false},
		{g, here, "Origin: https://app.example.com:8443", false},
		{g, here, "Origin: https://app.example.com.evil.example", false},
		{g, here, "Origin: http://intra", true},
		{g, here, "Origin: chrome-extension://abc", true},
		{g, here, "Origin: chrome-extension://abcd", false},
		{g, here, "Origin: https://deep.example", false},
		{g, here, "Origin: null", false},
		{g, here, "Origin: ", false},
		{g, here, "Origin: https://app.example.com|Origin: https://app.example.com", false},
		{g, here, "Origin: http://localhost:5173", true},
		{g, here, "Origin: http://[::1]:5173", true},
		{g, here, "Origin: http://127.0.0.1", true},
		{g, here, "Origin: http://localhost.evil.example", false},
		{g, here, "Origin: file://", false},
		{g, here, "Origin: https://evil.example|X-Forwarded-Host: evil.example", false},
		{g, here, "Host: evil.example|X-Forwarded-Host: localhost|Forwarded: host=localhost", false},
		{g, outside, "Origin: http://localhost:5173", false},
		{g, outside, "Origin: http://localhost:5173|X-Forwarded-For: 127.0.0.1", false},
		{g, outside, "Origin: http://192.0.2.1:8080", false},
		{token, outside, "Origin: http://192.0.2.1:8080", true},
		{token, outside, "Origin: http://192.0.2.1:8081", false},
		{token, outside, "Origin: https://evil.example", false},
	} {
		w := httptest.NewRecorder()
		no := c.guard.admit(w, asked(t, c.at, strings.Split(c.headers, "|")...))
		if (no == nil) != c.want || no != nil && no.status != http.StatusForbidden {
			t.Errorf("%q at %s: refused %v, want %v", c.headers, c.at, no, !c.want)
		}
		if shared := w.Header().Get("Access-Control-Allow-Origin"); (shared != "") != c.want || shared == "*" {
			t.Errorf("%q at %s: shared with %q", c.headers, c.at, shared)
		}
	}
}

// TestPreflight lets a page that may come send any header, for a client may have some of its own.
func TestPreflight(t *testing.T) {
	r := start(t, HTTPOptions{Bearer: "hunter2"})
	res := r.send("OPTIONS", "/mcp", "", "Origin: http://localhost:5173", "Access-Control-Request-Method: POST",
		"Access-Control-Request-Headers: authorization,content-type,mcp-method,mcp-protocol-version")
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "http://localhost:5173", "Access-Control-Allow-Methods": "GET, POST, DELETE",
		"Access-Control-Allow-Headers": "authorization,content-type,mcp-method,mcp-protocol-version", "Vary": "Origin",
		"Access-Control-Allow-Credentials": "",
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if res := r.send("OPTIONS", "/mcp", "", "Origin: https://evil.example", "Access-Control-Request-Method: POST"); res.StatusCode != http.StatusForbidden ||
		res.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a foreign page: %s %v", res.Status, res.Header)
	}
}
