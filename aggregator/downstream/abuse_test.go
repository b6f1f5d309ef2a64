package downstream

import (
	"net/http"
	"strings"
	"testing"
)

// TestHTTPAbuse has requests that are wrong, or meant to harm, refused with the right status.
func TestHTTPAbuse(t *testing.T) {
	r := start(t, HTTPOptions{SSE: true, AllowedHosts: []string{"mcp.example.com"}, AllowedOrigins: []string{"https://app.example.com"}})
	session := r.hello(latest)
	ping := call("1", "ping", "")
	const ok, accepted = http.StatusOK, http.StatusAccepted
	for _, c := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
	}{
		{"no session", "POST", "/mcp", ping, nil, 400},
		{"guessed session", "POST", "/mcp", ping, []string{"Mcp-Session-Id: AAAAAAAAAAAAAAAAAAAAAAAAAA"}, 404},
		{"guessed session of GET", "GET", "/mcp", "", []string{"Mcp-Session-Id: 1"}, 404},
		{"guessed session of DELETE", "DELETE", "/mcp", "", []string{"Mcp-Session-Id: 1"}, 404},
		{"guessed session of SSE", "POST", "/message?sessionId=1", ping, nil, 404},
		{"session of the other wire", "POST", "/message?sessionId=" + strings.TrimPrefix(session, "Mcp-Session-Id: "), ping, nil, 404},
		{"GET without session", "GET", "/mcp", "", nil, 400},
		{"another path", "POST", "/", ping, nil, 404},
		{"another method", "PUT", "/mcp", ping, []string{session}, 405},
		{"another method of SSE", "POST", "/sse", ping, nil, 405},
		{"GET of messages", "GET", "/message", "", nil, 405},
		{"foreign host", "POST", "/mcp", ping, []string{session, "Host: evil.example.com"}, 403},
		{"foreign host like ours", "POST", "/mcp", ping, []string{session, "Host: localhost.evil.example.com"}, 403},
		{"foreign host of SSE", "GET", "/sse", "", []string{"Host: evil.example.com"}, 403},
		{"host that leads everywhere", "POST", "/mcp", ping, []string{session, "Host: 0.0.0.0"}, 403},
		{"our host", "POST", "/mcp", ping, []string{session, "Host: localhost:8080"}, ok},
		{"allowed host", "POST", "/mcp", ping, []string{session, "Host: mcp.example.com"}, ok},
		{"foreign origin", "POST", "/mcp", ping, []string{session, "Origin: https://evil.example.com"}, 403},
		{"origin of no page", "POST", "/mcp", ping, []string{session, "Origin: null"}, 403},
		{"origin that looks like ours", "POST", "/mcp", ping, []string{session, "Origin: http://localhost.evil.example.com"}, 403},
		{"origin of a file", "POST", "/mcp", ping, []string{session, "Origin: file://localhost"}, 403},
		{"our origin", "POST", "/mcp", ping, []string{session, "Origin: http://localhost:6274"}, ok},
		{"allowed origin", "POST", "/mcp", ping, []string{session, "Origin: https://app.example.com"}, ok},
		{"preflight", "OPTIONS", "/mcp", "", []string{"Origin: https://app.example.com"}, 204},
		{"preflight of a foreign origin", "OPTIONS", "/mcp", "", []string{"Origin: https://evil.example.com"}, 403},
		{"unknown version", "POST", "/mcp", ping, []string{session, "MCP-Protocol-Version: 1999-01-01"}, 400},
		{"known version", "POST", "/mcp", ping, []string{session, "MCP-Protocol-Version: 2025-03-26"}, ok},
		{"no stream accepted", "POST", "/mcp", ping, []string{session, "Accept: application/json"}, 406},
		{"no JSON accepted", "POST", "/mcp", ping, []string{session, "Accept: text/event-stream"}, 406},
		{"anything accepted", "POST", "/mcp", ping, []string{session, "Accept: */*"}, ok},
		{"nothing said of it", "POST", "/mcp", ping, []string{session, "Accept: "}, ok},
		{"GET accepts no stream", "GET", "/mcp", "", []string{session, "Accept: application/json"}, 406},
		{"no type", "POST", "/mcp", ping, []string{session, "Content-Type: "}, 415},
		{"form of a web page", "POST", "/mcp", ping, []string{session, "Content-Type: text/plain"}, 415},
		{"another charset", "POST", "/mcp", ping, []string{session, "Content-Type: application/json; charset=utf-16"}, 415},
		{"charset", "POST", "/mcp", ping, []string{session, "Content-Type: application/json; charset=UTF-8"}, ok},
		{"bomb", "POST", "/mcp", ping, []string{session, "Content-Encoding: gzip"}, 415},
		{"empty", "POST", "/mcp", "", []string{session}, 400},
		{"no JSON", "POST", "/mcp", "{", []string{session}, 400},
		{"no message", "POST", "/mcp", `{"a":1}`, []string{session}, 400},
		{"two messages", "POST", "/mcp", ping + ping, []string{session}, 400},
		{"deep", "POST", "/mcp", `{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}}`, []string{session}, 400},
		{"duplicate members", "POST", "/mcp", `{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}`, []string{session}, 400},
		{"duplicate members in disguise", "POST", "/mcp", `{"jsonrpc":"2.0","id":1,"method":"ping","m\u0065thod":"tools/call"}`, []string{session}, 400},
		{"duplicate ids", "POST", "/mcp", `{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}`, []string{session}, 400},
		{"duplicate params", "POST", "/mcp", `{"jsonrpc":"2.0","id":1,"method":"ping","params":{},"params":{}}`, []string{session}, 400},
		{"deep objects", "POST", "/mcp", strings.Repeat(`{"a":`, 100_000), []string{session}, 400},
		{"deep batch", "POST", "/mcp", strings.Repeat(`[`, 100_000) + strings.Repeat(`]`, 100_000), []string{session}, 400},
		{"NUL", "POST", "/mcp", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"pi\x00ng\"}", []string{session}, 400},
		{"only NULs", "POST", "/mcp", strings.Repeat("\x00", 1000), []string{session}, 400},
		{"no UTF-8, which is the affair of the server", "POST", "/mcp", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"pi\xffng\"}", []string{session}, ok},
		{"UTF-16", "POST", "/mcp", "\xff\xfe{\x00}\x00", []string{session}, 400},
		{"byte order mark", "POST", "/mcp", "\ufeff" + ping, []string{session}, 400},
		{"only spaces", "POST", "/mcp", strings.Repeat(" ", 1<<20), []string{session}, 400},
		{"number without end", "POST", "/mcp", `{"jsonrpc":"2.0","method":"ping","id":` + strings.Repeat("1", 1<<19), []string{session}, 400},
		{"empty batch", "POST", "/mcp", "[]", []string{session}, 400},
		{"batch of 100,000", "POST", "/mcp", "[" + strings.Repeat("1,", 100_000) + "1]", []string{session}, 400},
		{"batch of 10,000 calls", "POST", "/mcp", "[" + strings.Repeat(call("1", "x", "")+",", 10_000) + ping + "]", []string{session}, 400},
		{"batch that opens a session", "POST", "/mcp", `[{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-03-26"}}]`, nil, 400},
		{"members in another case", "POST", "/mcp", `{"jsonrpc":"2.0","id":1,"Method":"ping"}`, []string{session}, 400},
		{"huge", "POST", "/mcp", `{"jsonrpc":"2.0","id":1,"method":"` + strings.Repeat("x", 2<<20) + `"}`, []string{session}, 413},
		{"huge to SSE", "POST", "/mcp", strings.Repeat("x", 2<<20), []string{session}, 413},
		{"initialize as a notification", "POST", "/mcp", `{"jsonrpc":"2.0","method":"initialize"}`, nil, 400},
		{"event that never was", "GET", "/mcp", "", []string{session, "Last-Event-ID: 99-1"}, 400},
		{"event of nobody", "GET", "/mcp", "", []string{session, "Last-Event-ID: x"}, 400},
		{"negative event", "GET", "/mcp", "", []string{session, "Last-Event-ID: 0--1"}, 400},
		{"event beyond numbers", "GET", "/mcp", "", []string{session, "Last-Event-ID: 0-99999999999999999999"}, 400},
		{"oversize event", "GET", "/mcp", "", []string{session, "Last-Event-ID: " + strings.Repeat("1", 10_000)}, 400},
		{"oversize header", "POST", "/mcp", ping, []string{session, "X: " + strings.Repeat("x", 100<<10)}, 431},
		{"answer to nothing", "POST", "/mcp", `{"jsonrpc":"2.0","id":"nobody asked","result":{}}`, []string{session}, accepted},
		{"still served", "POST", "/mcp", ping, []string{session}, ok},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := r.send(c.method, c.path, c.body, c.headers...)
			if text := body(t, res); res.StatusCode != c.status {
				t.Errorf("%s %s, want %d", res.Status, text, c.status)
			}
			if c.status == 405 && res.Header.Get("Allow") == "" {
				t.Error("no header Allow")
			}
		})
	}
}

// TestHTTPBearer lets in who shows the token, and nobody else.
func TestHTTPBearer(t *testing.T) {
	r := start(t, HTTPOptions{SSE: true, Bearer: "hunter2"})
	const hello = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}`
	for _, header := range []string{"X: y", "Authorization: Bearer", "Authorization: Bearer hunter", "Authorization: Bearer hunter22", "Authorization: Basic hunter2"} {
		for _, to := range []string{"POST /mcp", "GET /mcp", "DELETE /mcp", "POST /mcp/p/work", "GET /sse", "POST /message?sessionId=1"} {
			method, path, _ := strings.Cut(to, " ")
			text := hello
			if method != "POST" {
				text = ""
			}
			res := r.send(method, path, text, header)
			reason, wrong := body(t, res), header != "X: y"
			if res.StatusCode != http.StatusUnauthorized || strings.Contains(reason, "hunter2") || wrong != strings.Contains(reason, "this is not the token") ||
				wrong != strings.Contains(res.Header.Get("WWW-Authenticate"), `Bearer realm="plait", error="invalid_token"`) || res.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s, %s: %s %s %s", to, header, res.Status, res.Header, reason)
			}
		}
	}
	if res := r.send("GET", "/.well-known/oauth-protected-resource/mcp", "", "X: y"); res.StatusCode != http.StatusNotFound {
		t.Errorf("a client that looks for a sign-in: %s", res.Status)
	}
	r.hello(latest, "Authorization: bearer hunter2")
	if res := r.send("OPTIONS", "/mcp", "", "Origin: http://localhost:1"); res.StatusCode != http.StatusNoContent {
		t.Errorf("a browser that asks first: %s", res.Status)
	}
}
