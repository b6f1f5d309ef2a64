package downstream

import (
	"net/http"
	"net/netip"
	"testing"
)

func mustAddrPort(t *testing.T, text string) netip.AddrPort {
	t.Helper()
	at, err := netip.ParseAddrPort(text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestAdopt changes the rules under sessions: they go on, unless nobody could open them any more.
func TestAdopt(t *testing.T) {
	base := HTTPOptions{Path: "/mcp", SSE: true, Bearer: "hunter2"}
	r := start(t, base)
	token := "Authorization: Bearer hunter2"
	session := r.hello(latest, token)
	status := func(path, text string, headers ...string) int {
		t.Helper()
		res := r.send("POST", path, text, headers...)
		_ = body(t, res)
		return res.StatusCode
	}
	want := func(got, want int) {
		t.Helper()
		if got != want {
			t.Errorf("status %d, want %d", got, want)
		}
	}
	ping := call("1", "echo", "a")
	change := func(f func(*HTTPOptions)) {
		f(&base)
		r.front.Adopt(base)
	}

	stream := r.events(r.send("GET", "/mcp", "", session, token))
	old := r.events(r.send("GET", "/sse", "", token))
	old.want("/message")
	change(func(o *HTTPOptions) { o.Path, o.SSE = "/strand", false })
	old.over()
	want(status("/mcp", ping, session, token), 404)
	want(status("/strand", ping, session, token), 200)
	want(status("/message?sessionId=1", ping, token), 404)

	change(func(o *HTTPOptions) {
		o.AllowedHosts, o.AllowedOrigins = []string{"mcp.example.com"}, []string{"https://app.example.com"}
	})
	want(status("/strand", ping, session, token, "Host: mcp.example.com", "Origin: https://app.example.com"), 200)
	change(func(o *HTTPOptions) { o.AllowedHosts, o.AllowedOrigins = nil, nil })
	want(status("/strand", ping, session, token, "Host: mcp.example.com"), 403)
	want(status("/strand", ping, session, token, "Origin: https://app.example.com"), 403)

	hello := `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}`
	change(func(o *HTTPOptions) { o.Sessions = 1 })
	want(status("/strand", hello, token), http.StatusServiceUnavailable)
	want(status("/strand", ping, session, token), 200)
	select {
	case <-r.peer(0).closed:
		t.Error("the session has ended")
	default:
	}

	change(func(o *HTTPOptions) { o.Bearer = "hunter3" })
	for _, ok := stream.next(); ok; _, ok = stream.next() { // who has the former token hears nothing any more
	}
	want(status("/strand", ping, session, token), 401)
	fresh := "Authorization: Bearer hunter3"
	want(status("/strand", ping, session, fresh), 404)
	want(status("/strand", hello, fresh), 200)

	change(func(o *HTTPOptions) { o.Bearer = "" })
	want(status("/strand", hello), 200)
}
