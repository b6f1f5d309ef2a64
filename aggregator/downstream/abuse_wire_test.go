package downstream

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// dial opens a connection that no HTTP client is on.
func (r *rig) dial() *net.TCPConn {
	r.t.Helper()
	conn, err := new(net.Dialer).DialContext(r.t.Context(), "tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(hung))
	tcp, _ := conn.(*net.TCPConn)
	return tcp
}

// TestAbuseWire sends bytes that are no request, or two, or another one to whoever stands on the way: what is answered,
// one status each, until the connection is closed.
func TestAbuseWire(t *testing.T) {
	r := start(t, HTTPOptions{SSE: true})
	session := r.hello(latest)
	ping := call("1", "ping", "")
	lines := func(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n\r\n" }
	const host, kind, last = "Host: localhost", "Accept: */*\r\nContent-Type: application/json", "Connection: close"
	length := fmt.Sprintf("Content-Length: %d", len(ping))
	post := func(target string, headers ...string) string {
		return lines(append([]string{"POST " + target + " HTTP/1.1", kind, session, length}, headers...)...) + ping
	}
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(ping), ping)
	for _, c := range []struct {
		name, text string
		want       []int
	}{
		{"HTTP/1.0", lines("POST /mcp HTTP/1.0", host, kind, session, length) + ping, []int{200}},
		{"HTTP/1.0 without host", lines("POST /mcp HTTP/1.0", kind, session, length) + ping, []int{403}},
		{"HTTP/1.1 without host", post("/mcp"), []int{400}},
		{"two hosts", post("/mcp", host, "Host: evil.example.com"), []int{400}},
		{"HTTP/2 from the start", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []int{505}},
		{"upgrade to HTTP/2", post("/mcp", host, "Connection: close, Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"), []int{200}},
		{"HTTP/3", lines("POST /mcp HTTP/3.0", host), []int{505}},
		{"no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", []int{400}},

		{"chunks and length", lines("POST /mcp HTTP/1.1", host, kind, session, "Transfer-Encoding: chunked", "Content-Length: 5") + chunked + post("/mcp", host, last), []int{200, 200}},
		{"length and chunks", lines("POST /mcp HTTP/1.1", host, kind, session, "Content-Length: 4", "Transfer-Encoding: chunked") + chunked + post("/nowhere", host, last), []int{200, 404}},
		{"two lengths", lines("POST /mcp HTTP/1.1", host, kind, session, length, "Content-Length: 4") + ping, []int{400}},
		{"negative length", lines("POST /mcp HTTP/1.1", host, kind, session, "Content-Length: -1") + ping, []int{400}},
		{"length with a sign", lines("POST /mcp HTTP/1.1", host, kind, session, "Content-Length: +5") + ping, []int{400}},
		{"length beyond numbers", lines("POST /mcp HTTP/1.1", host, kind, session, "Content-Length: 99999999999999999999") + ping, []int{400}},
		{"length that is a lie", lines("POST /mcp HTTP/1.1", host, kind, session, "Content-Length: 4611686018427387904") + ping, []int{413}},
		{"length too short", lines("POST /mcp HTTP/1.1", host, kind, session, "Content-Length: 10") + ping + "\r\n\r\n", []int{400, 400}},
		{"compressed chunks", lines("POST /mcp HTTP/1.1", host, kind, session, "Transfer-Encoding: gzip, chunked") + chunked, []int{501}},
		{"chunks twice", lines("POST /mcp HTTP/1.1", host, kind, session, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + chunked, []int{501}},
		{"space before the colon", lines("POST /mcp HTTP/1.1", host, kind, session, "Transfer-Encoding : chunked") + chunked, []int{400}},
		{"no chunk", lines("POST /mcp HTTP/1.1", host, kind, session, "Transfer-Encoding: chunked") + "zz\r\n", []int{400}},
		{"chunks without end", lines("POST /mcp HTTP/1.1", host, kind, session, "Transfer-Encoding: chunked") + strings.Repeat("400\r\n"+strings.Repeat(" ", 0x400)+"\r\n", 1100), []int{413}},
		{"chunks and a trailer", lines("POST /mcp HTTP/1.1", host, kind, session, "Trailer: Mcp-Session-Id", "Transfer-Encoding: chunked") + strings.TrimSuffix(chunked, "\r\n") + "Mcp-Session-Id: 1\r\n\r\n" + post("/nowhere", host, last), []int{200, 404}},
		{"expects to be asked", post("/mcp", host, last, "Expect: 100-continue"), []int{100, 200}},
		{"expects to be asked for what nobody wants", lines("POST /nowhere HTTP/1.1", host, length, "Expect: 100-continue"), []int{404}},
		{"expects something else", post("/mcp", host, "Expect: tea"), []int{417}},

		{"whole URL", post("http://localhost/mcp", "Host: evil.example.com", last), []int{200}},
		{"whole foreign URL", post("http://evil.example.com/mcp", host, last), []int{403}},
		{"two slashes", post("//mcp", host, last), []int{404}},
		{"slash at the end", post("/mcp/", host, last), []int{404}},
		{"up and down", post("/mcp/../mcp", host, last), []int{404}},
		{"up and down in disguise", post("/mcp/%2e%2e/mcp", host, last), []int{404}},
		{"slash in disguise", post("/%2fmcp", host, last), []int{404}},
		{"NUL in the path", post("/mcp%00", host, last), []int{404}},
		{"parameter of the path", post("/mcp;x=/healthz", host, last), []int{404}},
		{"path in another case", post("/MCP", host, last), []int{404}},
		{"no path", post("*", host, last), []int{404}},
		{"path without a slash", post("mcp", host, last), []int{400}},
		{"bad escape", post("/mcp%zz", host, last), []int{400}},
		{"the same path", post("/%6dcp?x=%zz", host, last), []int{200}},
		{"up from a profile", post("/mcp/p/..%2f..%2fmcp", host, last), []int{404}},

		{"OPTIONS *", lines("OPTIONS * HTTP/1.1", host, last), []int{404}},
		{"HEAD", lines("HEAD /mcp HTTP/1.1", host, session, last), []int{405}},
		{"TRACE", lines("TRACE /mcp HTTP/1.1", host, session, "Authorization: Bearer x", last), []int{405}},
		{"CONNECT", lines("CONNECT localhost:22 HTTP/1.1", host, last), []int{404}},
		{"CONNECT elsewhere", lines("CONNECT evil.example.com:443 HTTP/1.1", host, last), []int{403}},
		{"method in another case", strings.Replace(post("/mcp", host, last), "POST", "post", 1), []int{405}},
		{"method of another protocol", lines("BREW /mcp HTTP/1.1", host, last), []int{405}},
		{"method that is none", lines("P(ST /mcp HTTP/1.1", host, last), []int{400}},
		{"GET with a body", lines("GET /mcp HTTP/1.1", host, "Accept: */*", session, "Content-Length: 5") + "hello", []int{400}},
		{"DELETE with a body", lines("DELETE /mcp HTTP/1.1", host, session, "Transfer-Encoding: chunked") + "0\r\n\r\n", []int{400}},

		{"two sessions", post("/mcp", host, "Mcp-Session-Id: x", last), []int{400}},
		{"two versions", post("/mcp", host, "Mcp-Protocol-Version: "+latest, "MCP-Protocol-Version: 2025-03-26", last), []int{400}},
		{"two origins", post("/mcp", host, "Origin: http://localhost", "Origin: http://evil.example.com", last), []int{400}},
		{"two types", post("/mcp", host, "Content-Type: text/plain", last), []int{400}},
		{"two events", lines("GET /mcp HTTP/1.1", host, "Accept: */*", session, "Last-Event-ID: 0-0", "Last-Event-ID: 0-0", last), []int{400}},
		{"two tokens", post("/mcp", host, "Authorization: Bearer a", "Authorization: Bearer b", last), []int{400}},
		{"very many headers", post("/mcp", host, last, strings.TrimSuffix(strings.Repeat("a:\r\n", 10_000), "\r\n")), []int{431}},
		{"long header", post("/mcp", host, "X: "+strings.Repeat("x", 100<<10)), []int{431}},
		{"long path", post("/"+strings.Repeat("x", 100<<10), host), []int{431}},
		{"NUL in a header", post("/mcp", host, "X: a\x00b"), []int{400}},
		{"header without a name", post("/mcp", host, ": x"), []int{400}},
		{"line end in a header", post("/mcp", host, "X: a\rb"), []int{400}},

		{"still served", post("/mcp", host, last), []int{200}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := r.statuses(c.text); !slices.Equal(got, c.want) {
				t.Errorf("%d, want %d", got, c.want)
			}
		})
	}
}

// statuses sends a text and returns the status of each answer, until the connection is closed.
func (r *rig) statuses(text string) (all []int) {
	conn := r.dial()
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, text) }() // it may be answered before all is read
	method, _, _ := strings.Cut(text, " ")
	in := bufio.NewReader(conn)
	for {
		res, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			return all
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		all = append(all, res.StatusCode)
	}
}
