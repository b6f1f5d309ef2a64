package main_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mark3labs/mcp-go/server"
)

// remote is a real server for `plait connect` that remembers the requests it got.
type remote struct {
	*httptest.Server

	mu   sync.Mutex
	seen []*http.Request
	said []string // the methods of JSON-RPC
}

// serveRemote serves the story over Streamable HTTP, at /mcp, or another handler.
func serveRemote(tb testing.TB, handler http.Handler) *remote {
	tb.Helper()
	r := newRemote(handler)
	r.Start()
	tb.Cleanup(r.end)
	return r
}

func newRemote(handler http.Handler) *remote {
	if handler == nil {
		handler = server.NewStreamableHTTPServer(newStory())
	}
	r := &remote{}
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		var m struct{ Method string }
		_ = json.Unmarshal(body, &m)
		r.mu.Lock()
		r.seen, r.said = append(r.seen, req.Clone(req.Context())), append(r.said, m.Method)
		r.mu.Unlock()
		req.Body = io.NopCloser(strings.NewReader(string(body)))
		handler.ServeHTTP(w, req)
	}))
	return r
}

func (r *remote) end() {
	r.CloseClientConnections()
	r.Close()
}

func (r *remote) mcp() string { return r.URL + "/mcp" }

// header returns the values that a header had in the requests, each once.
func (r *remote) header(name string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, req := range r.seen {
		all = append(all, req.Header.Get(name))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// count returns how many requests had the HTTP method, or named the method of JSON-RPC.
func (r *remote) count(method string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for i, req := range r.seen {
		if req.Method == method || r.said[i] == method {
			n++
		}
	}
	return n
}

// connectTo starts plait connect and opens a session.
func connectTo(tb testing.TB, env []string, args ...string) *faultClient {
	tb.Helper()
	c := startPlait(tb, env, append([]string{"connect"}, args...)...)
	go c.read()
	c.hello(tb)
	return c
}

// tools returns the names of the tools.
func (c *faultClient) tools(tb testing.TB) []string {
	tb.Helper()
	a, err := c.request("tools/list", `{}`)
	if err != nil || a.Error != nil {
		tb.Fatalf("tools/list: %+v %v", a.Error, err)
	}
	var names []string
	for _, tool := range a.Result.Tools {
		names = append(names, tool.Name)
	}
	slices.Sort(names)
	return names
}

// echo calls the tool echo of the story under its own name.
func (c *faultClient) echo(tb testing.TB, text string) {
	tb.Helper()
	a, err := c.request("tools/call", fmt.Sprintf(`{"name":"echo","arguments":{"text":%q}}`, text))
	if err != nil || a.Error != nil || a.text() != text {
		tb.Errorf("echo says %q, %+v %v", a.text(), a.Error, err)
	}
}

// refuses expects plait connect to end at once with exit code 2 and words in what it says.
func refuses(tb testing.TB, env, args []string, words string) {
	tb.Helper()
	c := startPlait(tb, env, append([]string{"connect"}, args...)...)
	if err := c.wait(tb); err == nil || c.cmd.ProcessState.ExitCode() != 2 || !strings.Contains(c.said(tb), words) {
		tb.Errorf("plait connect %q ends with %v and says %q, want exit status 2 and %q", args, err, c.said(tb), words)
	}
}

// story are the tools of the story.
var story = []string{"arguments", "echo", "environment", "fail", "hang"}

// serveProxy is a real HTTP proxy, which leads every host to one server.
func serveProxy(tb testing.TB, to string) *remote {
	tb.Helper()
	target, err := url.Parse(to)
	if err != nil {
		tb.Fatal(err)
	}
	return serveRemote(tb, &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: target.Scheme, Host: target.Host})
	}})
}

// certificate writes the certificate of a TLS server into a file.
func certificate(tb testing.TB, s *httptest.Server) string {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		tb.Fatal(err)
	}
	return file
}
