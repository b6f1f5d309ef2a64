package main_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mark3labs/mcp-go/server"
)

// TestParityHyperMCPRemote has a test for every row of hyper-mcp-remote that is not about OAuth; mcp-remote has the same ones.
func TestParityHyperMCPRemote(t *testing.T) {
	t.Parallel()
	short(t)
	t.Run("SERVER_URL", func(t *testing.T) {
		t.Parallel()
		c := connectTo(t, nil, serveRemote(t, nil).mcp())
		if d := cmp.Diff(story, c.tools(t)); d != "" {
			t.Errorf("tools (-want +got):\n%s", d)
		}
		c.echo(t, "unchanged")
		c.quit(t)
	})
	t.Run("header", func(t *testing.T) {
		t.Parallel()
		r := serveRemote(t, nil)
		c := connectTo(t, []string{"TOKEN=hunter2-hunter2", "PLAIT_LOG=trace"}, r.mcp(), "--header", "Authorization: Bearer ${TOKEN}",
			"--header", "X-Team: blue", "--header", "X-None: a${NOT_SET}b")
		c.echo(t, "hello")
		c.quit(t)
		for name, want := range map[string]string{"Authorization": "Bearer hunter2-hunter2", "X-Team": "blue", "X-None": "ab"} {
			if d := cmp.Diff([]string{want}, r.header(name)); d != "" {
				t.Errorf("%s (-want +got):\n%s", name, d)
			}
		}
		if said := c.said(t); !strings.Contains(said, "variable NOT_SET is not set") || strings.Contains(said, "hunter2") {
			t.Errorf("plait says\n%s", said)
		}
		refuses(t, nil, []string{r.mcp(), "--header", "no colon"}, "a header is written as 'Name: value'")
	})
	t.Run("allow-http", func(t *testing.T) {
		t.Parallel()
		const far = "http://mcp.plait.invalid/mcp"
		refuses(t, nil, []string{far}, "--allow-http")
		proxy := serveProxy(t, serveRemote(t, nil).URL)
		connectTo(t, []string{"HTTP_PROXY=" + proxy.URL}, far, "--allow-http").echo(t, "by proxy")
	})
	t.Run("ping-interval-secs and ping-timeout-secs", func(t *testing.T) {
		t.Parallel()
		often, never := serveRemote(t, nil), serveRemote(t, nil)
		connectTo(t, nil, never.mcp(), "--ping-interval-secs", "0").echo(t, "hello")
		connectTo(t, nil, often.mcp(), "--ping-interval-secs", "1", "--ping-timeout-secs", "5").echo(t, "hello")
		until(t, "pings", func() bool { return often.count("ping") >= 2 })
		if n := never.count("ping"); n > 0 {
			t.Errorf("%d pings, want none", n)
		}
		deaf := serveRemote(t, deafTo("ping", server.NewStreamableHTTPServer(newStory())))
		c := connectTo(t, nil, deaf.mcp(), "--ping-interval-secs", "1", "--ping-timeout-secs", "1")
		until(t, "the timeout", func() bool { return strings.Contains(c.said(t), "lost ping") })
		c.echo(t, "a call counts more than a ping")
		refuses(t, nil, []string{often.mcp(), "--ping-timeout-secs", "0"}, "--ping-timeout-secs")
	})
	t.Run("auth-timeout-secs", func(t *testing.T) {
		t.Parallel()
		connectTo(t, nil, serveRemote(t, nil).mcp(), "--auth-timeout-secs", "60").echo(t, "hello")
		refuses(t, nil, []string{"http://localhost", "--auth-timeout-secs", "0"}, "--auth-timeout-secs")
	})
	t.Run("both directions", func(t *testing.T) {
		t.Parallel()
		texts := recordClients(t, []string{"--", plaitProgram(t), "connect", startEverything(t, "http").url})
		methods := texts[0].methods()
		for _, method := range []string{
			"sampling/createMessage", "elicitation/create", "roots/list", "notifications/message", "notifications/progress",
			"notifications/resources/updated",
		} {
			if methods[method] == 0 {
				t.Errorf("the client did not get %s", method)
			}
		}
	})
	t.Run("cancellation", func(t *testing.T) {
		t.Parallel()
		r := serveRemote(t, nil)
		c := connectTo(t, nil, r.mcp())
		if _, err := c.send("tools/call", `{"name":"hang","arguments":{}}`); err != nil {
			t.Fatal(err)
		}
		until(t, "the call", func() bool { return r.count("tools/call") == 1 })
		if err := c.write(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}`); err != nil {
			t.Fatal(err)
		}
		until(t, "the end of it", func() bool { return r.count("notifications/cancelled") == 1 })
	})
	t.Run("log file and level by environment", func(t *testing.T) {
		t.Parallel()
		folder := t.TempDir()
		c := connectTo(t, []string{"PLAIT_LOG=debug"}, serveRemote(t, nil).mcp(), "--log-file", filepath.Join(folder, "plait.log"))
		c.echo(t, "hello")
		c.quit(t)
		files, _ := filepath.Glob(filepath.Join(folder, "plait-????-??-??.log"))
		if len(files) != 1 {
			t.Fatalf("log files %q", files)
		}
		if text, err := os.ReadFile(files[0]); err != nil || !strings.Contains(string(text), "[INFO]") || !strings.Contains(string(text), "[DEBUG]") {
			t.Errorf("%v\n%s", err, text)
		}
	})
	t.Run("self-signed certificate", func(t *testing.T) {
		t.Parallel()
		r := newRemote(nil)
		r.StartTLS()
		t.Cleanup(r.end)
		c := connectTo(t, nil, r.mcp(), "--ca-file", certificate(t, r.Server))
		c.echo(t, "trusted")
	})
}

// TestParityMikluko has a test for every row of mikluko/mcp-proxy that is not about OAuth.
func TestParityMikluko(t *testing.T) {
	t.Parallel()
	short(t)
	t.Run("header KEY:VALUE", func(t *testing.T) {
		t.Parallel()
		r := serveRemote(t, nil)
		connectTo(t, []string{"KEY=v"}, r.mcp(), "-H", "X-Key:${KEY}", "-H", "X-URL:http://a:1").echo(t, "hello")
		if !slices.Contains(r.header("X-Key"), "v") || !slices.Contains(r.header("X-Url"), "http://a:1") {
			t.Errorf("X-Key %q, X-URL %q", r.header("X-Key"), r.header("X-Url"))
		}
	})
	t.Run("transport", func(t *testing.T) {
		t.Parallel()
		parityTransport(t)
	})
	t.Run("listen", func(t *testing.T) {
		t.Parallel()
		parityListen(t)
	})
	t.Run("many clients share one upstream connection", func(t *testing.T) {
		t.Parallel()
		parityShared(t)
	})
	t.Run("log-level", func(t *testing.T) {
		t.Parallel()
		c := connectTo(t, []string{"PLAIT_LOG=off"}, serveRemote(t, nil).mcp(), "--log-level", "trace")
		c.logs(t, "[INFO]")
		refuses(t, nil, []string{"http://localhost", "--log-level", "loud"}, `unknown log level "loud"`)
	})
	t.Run("mcp-remote: debug", func(t *testing.T) {
		t.Parallel()
		connectTo(t, nil, serveRemote(t, nil).mcp(), "--debug").logs(t, "[DEBUG]")
	})
	t.Run("enable-proxy", func(t *testing.T) {
		t.Parallel()
		proxy := serveProxy(t, serveRemote(t, nil).URL)
		connectTo(t, []string{"HTTP_PROXY=" + proxy.URL}, "http://mcp.plait.invalid/mcp", "--allow-http", "--enable-proxy").echo(t, "hello")
		if proxy.count("tools/call") != 1 {
			t.Error("the proxy did not get the call")
		}
		known := server.NewStreamableHTTPServer(newStory())
		secure := newRemote(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Host = "localhost" // mcp-go listens to no other here
			known.ServeHTTP(w, r)
		}))
		secure.StartTLS()
		t.Cleanup(secure.end)
		through := httptest.NewServer(tunnel(secure.Listener.Addr().String()))
		t.Cleanup(func() {
			through.CloseClientConnections()
			through.Close()
		})
		connectTo(t, []string{"HTTPS_PROXY=" + through.URL}, "https://example.com/mcp", "--enable-proxy", "--ca-file", certificate(t, secure.Server)).
			echo(t, "by CONNECT")
	})
	t.Run("ignore-tool", func(t *testing.T) {
		t.Parallel()
		r := serveRemote(t, nil)
		c := connectTo(t, nil, r.mcp(), "--ignore-tool", "e*", "--ignore-tool", "hang")
		if d := cmp.Diff([]string{"arguments", "fail"}, c.tools(t)); d != "" {
			t.Errorf("tools (-want +got):\n%s", d)
		}
		a, err := c.request("tools/call", `{"name":"echo","arguments":{"text":"x"}}`)
		if err != nil || a.Error == nil || r.count("tools/call") != 0 {
			t.Errorf("a hidden tool answers %+v %v", a, err)
		}
	})
}

// logs expects a word in the log of a session.
func (c *faultClient) logs(t *testing.T, word string) {
	t.Helper()
	c.echo(t, "hello")
	c.quit(t)
	if !strings.Contains(c.said(t), word) {
		t.Errorf("the log is\n%s", c.said(t))
	}
}

// parityTransport tries every value with servers that know one wire each.
func parityTransport(t *testing.T) {
	t.Helper()
	modern := serveRemote(t, onlyAt("/mcp", http.StatusNotFound, server.NewStreamableHTTPServer(newStory())))
	strict := serveRemote(t, onlyAt("/mcp", http.StatusMethodNotAllowed, server.NewStreamableHTTPServer(newStory())))
	old := server.NewSSEServer(newStory(), server.WithUseFullURLForMessageEndpoint(false))
	legacy := serveRemote(t, postRefused(http.StatusMethodNotAllowed, old))
	gone := serveRemote(t, postRefused(http.StatusNotFound, old))
	for _, tt := range []struct{ transport, url string }{
		{"http-first", modern.mcp()},
		{"http-first", legacy.URL + "/sse"}, // 405
		{"http-first", gone.URL + "/sse"},   // 404
		{"sse-first", legacy.URL + "/sse"},
		{"sse-first", modern.mcp()}, // 404
		{"sse-first", strict.mcp()}, // 405
		{"http-only", modern.mcp()},
		{"sse-only", legacy.URL + "/sse"},
	} {
		connectTo(t, nil, tt.url, "--transport", tt.transport).echo(t, tt.transport)
	}
	for _, tt := range []struct {
		transport, other string
		server           *remote
		url              string
	}{
		{"http-only", http.MethodGet, legacy, legacy.URL + "/sse"},
		{"sse-only", http.MethodPost, strict, strict.mcp()},
	} {
		before := tt.server.count(tt.other)
		c := startPlait(t, nil, "connect", tt.url, "--transport", tt.transport)
		if err := c.write(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{}}}`); err != nil {
			t.Fatal(err)
		}
		until(t, "the failure", func() bool { return strings.Contains(c.said(t), "not connected") })
		if n := tt.server.count(tt.other) - before; n != 0 {
			t.Errorf("%s tries the other wire", tt.transport)
		}
	}
	refuses(t, nil, []string{modern.mcp(), "--transport", "htp-only"}, "--transport")
}

// deafTo never answers a method.
func deafTo(method string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), `"method":"`+method+`"`) {
			<-r.Context().Done()
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		h.ServeHTTP(w, r)
	})
}

// onlyAt serves one path.
func onlyAt(path string, code int, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path || r.Method == http.MethodGet && r.Header.Get("Mcp-Session-Id") == "" {
			http.Error(w, "no", code)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// postRefused answers a POST to the path of the stream with an error, as a server of 2024-11-05 does.
func postRefused(code int, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == "/sse" {
			http.Error(w, "no", code)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// TestParityOAuth2Proxy has a test for every row of mcp-oauth2-proxy that is not about OAuth.
func TestParityOAuth2Proxy(t *testing.T) {
	t.Parallel()
	short(t)
	file := func(t *testing.T, upstream map[string]any, level string) string {
		t.Helper()
		text, err := json.Marshal(map[string]any{
			"upstream": upstream, "log": map[string]any{"level": level}, "allowInsecureHttp": true,
		})
		name := filepath.Join(t.TempDir(), "config.json")
		if err != nil || os.WriteFile(name, text, 0o600) != nil {
			t.Fatal(err)
		}
		return "MCP_PROXY_CONFIG=" + name
	}
	t.Run("MCP_PROXY_CONFIG", func(t *testing.T) {
		t.Parallel()
		r, other := serveRemote(t, nil), serveRemote(t, nil)
		from := file(t, map[string]any{"url": r.mcp(), "timeoutMs": 45000}, "debug")
		connectTo(t, []string{from}).echo(t, "file")
		connectTo(t, []string{from, "UPSTREAM_URL=" + other.mcp()}).echo(t, "environment wins")
		connectTo(t, []string{from, "UPSTREAM_URL=" + r.mcp()}, other.mcp()).echo(t, "flag wins")
		if a, b := r.count("tools/call"), other.count("tools/call"); a != 1 || b != 2 {
			t.Errorf("%d and %d calls, want 1 and 2", a, b)
		}
		refuses(t, []string{"MCP_PROXY_CONFIG=/nowhere.json"}, nil, "MCP_PROXY_CONFIG")
	})
	t.Run("every key of the file", func(t *testing.T) {
		t.Parallel()
		r := serveRemote(t, nil)
		c := connectTo(t, []string{"HTTP_PROXY=" + serveProxy(t, r.URL).URL, file(t, map[string]any{
			"url": "http://mcp.plait.invalid/mcp", "timeoutMs": 300, "openServerStream": false, "protocolVersion": "2025-03-26",
		}, "silent")})
		if a, err := c.request("tools/call", `{"name":"hang","arguments":{}}`); err != nil || a.Error == nil || !strings.Contains(a.Error.Message, "within 300ms") {
			t.Errorf("answer %+v %v", a.Error, err)
		}
		c.quit(t)
		if versions := r.header("Mcp-Protocol-Version"); r.count(http.MethodGet) > 0 || !slices.Contains(versions, "2025-03-26") || c.said(t) != "" {
			t.Errorf("versions %q, says\n%s", versions, c.said(t))
		}
	})
	t.Run("UPSTREAM_TIMEOUT_MS", func(t *testing.T) {
		t.Parallel()
		c := connectTo(t, []string{"UPSTREAM_TIMEOUT_MS=300"}, serveRemote(t, nil).mcp())
		a, err := c.request("tools/call", `{"name":"hang","arguments":{}}`)
		if err != nil || a.Error == nil || !strings.Contains(a.Error.Message, "within 300ms") {
			t.Errorf("answer %+v %v", a.Error, err)
		}
		refuses(t, []string{"UPSTREAM_TIMEOUT_MS=soon"}, []string{"http://localhost"}, "UPSTREAM_TIMEOUT_MS")
	})
	t.Run("UPSTREAM_PROTOCOL_VERSION", func(t *testing.T) {
		t.Parallel()
		r := serveRemote(t, nil)
		connectTo(t, []string{"UPSTREAM_PROTOCOL_VERSION=2025-03-26"}, r.mcp()).echo(t, "hello")
		if got := r.header("Mcp-Protocol-Version"); !slices.Contains(got, "2025-03-26") || slices.Contains(got, "2025-11-25") {
			t.Errorf("versions %q", got)
		}
	})
	t.Run("UPSTREAM_OPEN_SERVER_STREAM", func(t *testing.T) {
		t.Parallel()
		with, without := serveRemote(t, nil), serveRemote(t, nil)
		connectTo(t, []string{"UPSTREAM_OPEN_SERVER_STREAM=no"}, without.mcp()).echo(t, "hello")
		connectTo(t, []string{"UPSTREAM_OPEN_SERVER_STREAM=yes"}, with.mcp()).echo(t, "hello")
		until(t, "the stream", func() bool { return with.count(http.MethodGet) > 0 })
		if n := without.count(http.MethodGet); n != 0 {
			t.Errorf("%d streams, want none", n)
		}
	})
	t.Run("ALLOW_INSECURE_HTTP", func(t *testing.T) {
		t.Parallel()
		proxy := serveProxy(t, serveRemote(t, nil).URL)
		const far = "UPSTREAM_URL=http://mcp.plait.invalid/mcp"
		connectTo(t, []string{far, "HTTP_PROXY=" + proxy.URL, "ALLOW_INSECURE_HTTP=true"}).echo(t, "hello")
		refuses(t, []string{far}, nil, "--allow-http")
		refuses(t, []string{far, "ALLOW_INSECURE_HTTP=perhaps"}, nil, "ALLOW_INSECURE_HTTP")
	})
	t.Run("LOG_LEVEL", func(t *testing.T) {
		t.Parallel()
		c := connectTo(t, []string{"LOG_LEVEL=fatal"}, serveRemote(t, nil).mcp())
		c.echo(t, "hello")
		c.quit(t)
		if said := c.said(t); said != "" {
			t.Errorf("the log is\n%s", said)
		}
	})
	t.Run("JSON and SSE answers, server stream, session id", func(t *testing.T) {
		t.Parallel()
		r := serveRemote(t, nil)
		c := connectTo(t, nil, r.mcp())
		for i := range 3 {
			c.echo(t, strconv.Itoa(i))
		}
		c.quit(t)
		if ids := r.header("Mcp-Session-Id"); len(ids) != 2 || ids[0] != "" {
			t.Errorf("sessions %q, want none in initialize and one after it", ids)
		}
		if r.count(http.MethodDelete) != 1 {
			t.Error("the session was not ended")
		}
	})
	t.Run("redaction", func(t *testing.T) {
		t.Parallel()
		c := connectTo(t, []string{"LOG_LEVEL=trace"}, serveRemote(t, nil).mcp(), "--header", "Authorization: Bearer hunter2-hunter2")
		c.echo(t, "hello")
		c.quit(t)
		if strings.Contains(c.said(t), "hunter2") {
			t.Error("the log holds the token")
		}
	})
}

// short skips a test that starts processes in a short run.
func short(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts processes")
	}
}
