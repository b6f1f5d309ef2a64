package downstream

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const initialize = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}`

// TestHTTPProfiles has a path choose the profile, for a name that has to be encoded, too.
func TestHTTPProfiles(t *testing.T) {
	r := start(t, HTTPOptions{})
	for path, profile := range map[string]string{
		"/mcp": "", "/mcp/p/work": "work", "/mcp/p/a%2Fb%20%C3%BC": "a/b ü", "/mcp/p/w%6frk": "work",
	} {
		if res := r.send("POST", path, initialize); res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", path, res.Status)
		}
		if c := r.clients[len(r.clients)-1]; c.Profile != profile || !c.Local || c.Principal != anybody {
			t.Errorf("%s: %+v", path, c)
		}
	}
	opened := len(r.clients)
	for path, reason := range map[string]string{
		"/mcp/p/":         "nothing is served at this path",
		"/mcp/p":          "nothing is served at this path",
		"/mcp/p/work/":    "nothing is served at this path",
		"/mcp/p/a/b%20ü":  "nothing is served at this path",
		"/mcp//p/work":    "nothing is served at this path",
		"/mcp/q/work":     "nothing is served at this path",
		"/p/work":         "nothing is served at this path",
		"/sse/p/work":     "nothing is served at this path",
		"/mcp/p/Work":     "there are a/b ü, work",
		"/mcp/p/work%00":  "there are a/b ü, work",
		"/mcp/p/..":       "there are a/b ü, work",
		"/mcp/p/%2e%2e":   "there are a/b ü, work",
		"/mcp/p/p%2Fwork": "there are a/b ü, work",
	} {
		res := r.send("POST", path, initialize)
		if got := body(t, res); res.StatusCode != http.StatusNotFound || !strings.Contains(got, reason) {
			t.Errorf("%s: %s %s", path, res.Status, got)
		}
	}
	if len(r.clients) != opened {
		t.Errorf("%d sessions were opened", len(r.clients)-opened)
	}
}

// TestHTTPProfileOwnsSession has a session be unknown at any path but that where it was opened, and refusals take no
// place of a session.
func TestHTTPProfileOwnsSession(t *testing.T) {
	r := start(t, HTTPOptions{Sessions: 2, SSE: true})
	for range 5 {
		if res := r.send("POST", "/mcp/p/none", initialize); res.StatusCode != http.StatusNotFound {
			t.Fatal(res.Status)
		}
	}
	here := "/mcp/p/work"
	res := r.send("POST", here, initialize)
	session := sessionHeader + ": " + res.Header.Get(sessionHeader)
	for path, status := range map[string]int{here: 200, "/mcp": 404, "/mcp/p/a%2Fb%20%C3%BC": 404, "/mcp/p/none": 404} {
		if res := r.send("POST", path, call("1", "echo", "x"), session); res.StatusCode != status {
			t.Errorf("%s: %s", path, res.Status)
		}
		if status == 404 {
			if res := r.send("DELETE", path, "", session); res.StatusCode != status {
				t.Errorf("DELETE %s: %s", path, res.Status)
			}
		}
	}
	s := r.events(r.send("GET", "/sse/p/a%2Fb%20%C3%BC", "", "Accept: text/event-stream"))
	where, _ := s.next()
	id, ok := strings.CutPrefix(where.data, "/message/p/a%2Fb%20%C3%BC?sessionId=")
	if where.event != "endpoint" || !ok {
		t.Fatalf("%+v", where)
	}
	for path, status := range map[string]int{where.data: 202, "/message?sessionId=" + id: 404, "/message/p/work?sessionId=" + id: 404} {
		if res := r.send("POST", path, initialize, "Accept: "); res.StatusCode != status {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
	s.want(`"protocolVersion":"2025-11-25"`)
	if res := r.send("GET", "/sse/p/none", "", "Accept: text/event-stream"); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("with all places taken: %s", res.Status)
	}
}

// TestHTTPLocal takes nobody for local whom something on the way speaks for.
func TestHTTPLocal(t *testing.T) {
	r := start(t, HTTPOptions{})
	for _, header := range []string{"Forwarded: for=203.0.113.1", "X-Forwarded-For: 203.0.113.1", "X-Real-Ip: 203.0.113.1", "Via: 1.1 proxy"} {
		r.hello(latest, header)
		if c := r.clients[len(r.clients)-1]; c.Local {
			t.Errorf("%s: %+v", header, c)
		}
	}
}

// TestHTTPProfileGone ends the sessions of a profile that is gone when their calls have ended, and says so at once.
func TestHTTPProfileGone(t *testing.T) {
	var gone atomic.Bool
	r := start(t, HTTPOptions{Idle: 200 * time.Millisecond, HasProfile: func(name string) error {
		if name != "work" || gone.Load() {
			return errors.New("there are others")
		}
		return nil
	}})
	const here = "/mcp/p/work"
	if res := r.send("POST", "/mcp/p/a%2Fb%20%C3%BC", initialize); res.StatusCode != http.StatusNotFound {
		t.Errorf("a profile that is not there: %s", res.Status)
	}
	session := sessionHeader + ": " + r.send("POST", here, initialize).Header.Get(sessionHeader)
	own := r.events(r.send("GET", here, "", session, "Accept: text/event-stream"))
	call := r.events(r.send("POST", here, call("1", "wait", "w"), session))
	call.want("begun")
	gone.Store(true)
	for method, text := range map[string]string{"POST": `{"jsonrpc":"2.0","id":2,"method":"ping"}`, "GET": "", "DELETE": ""} {
		res := r.send(method, here, text, session)
		if got := body(t, res); res.StatusCode != http.StatusNotFound || !strings.Contains(got, "there are others") {
			t.Errorf("%s: %s %s", method, res.Status, got)
		}
	}
	close(r.peer(0).wait)
	call.want("ends", `"for":"w"`)
	select {
	case <-r.peer(0).closed:
	case <-time.After(hung):
		t.Fatal("the session goes on")
	}
	if g, ok := own.next(); ok && g.data != "" {
		t.Errorf("%+v", g)
	}
}
