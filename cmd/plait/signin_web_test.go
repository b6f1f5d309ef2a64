package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/server"

	"github.com/plait-mcp/plait/auth/authtest"
)

var ownLink = regexp.MustCompile(`http://127\.0\.0\.1:\d+/connect/\w+`)

// asked returns the link and the elicitation of an answer that asks for a sign-in.
func asked(t *testing.T, a webAnswer) (link, id string) {
	t.Helper()
	var data struct {
		Elicitations []struct{ ElicitationID, URL, Mode string }
	}
	if a.Error == nil || a.Error.Code != -32042 || json.Unmarshal(a.Error.Data, &data) != nil || len(data.Elicitations) != 1 {
		t.Fatalf("got %s", a.text())
	}
	return data.Elicitations[0].URL, data.Elicitations[0].ElicitationID
}

// TestSignInOverHTTP gives a link to whom it concerns alone, over either wire on both sides, to servers of each client and
// to one that all share: the client whose call needs it gets it, and is told when it is done. The others see their tools change.
func TestSignInOverHTTP(t *testing.T) {
	t.Parallel()
	short(t)
	paths := []string{"/mcp", "/sse", "/mcp/p/work", "/sse/p/work"}
	handlers := make([]http.Handler, 2*len(paths))
	for i := range handlers {
		handlers[i] = server.NewStreamableHTTPServer(newStory())
		if oldWire(paths[i/2]) {
			handlers[i] = server.NewSSEServer(newStory(), server.WithSSEEndpoint("/mcp"), server.WithUseFullURLForMessageEndpoint(false))
		}
	}
	guarded := authtest.GuardAll(t, handlers)
	for i, path := range paths {
		for j, shared := range []bool{false, true} {
			g := guarded[2*i+j]
			t.Run(fmt.Sprintf("%s shared %t", path, shared), func(t *testing.T) {
				t.Parallel()
				wire := "http"
				if oldWire(path) {
					wire = "sse"
				}
				file := jsonFile(t, map[string]any{
					"mcpServers": map[string]any{"g": map[string]any{"url": g.URL, "shared": shared, "transport": wire}, "open": map[string]any{"url": serveRemote(t, nil).mcp()}},
					"profiles":   map[string]any{"work": nil}, "startup": map[string]any{"wait": "30s"},
					"auth": map[string]any{"callback": map[string]any{"port": 0}, "callWait": "0s"}, "credentials": map[string]any{"store": "file"},
				})
				base, p := listen(t, append(homeIn(t.TempDir()), "CI=", "BROWSER="), "serve", "--stdio=false", "--http", ":0", "--config", file)
				signInOver(t, base, path)
				if said := p.said(t); strings.Contains(said, "/connect/") {
					t.Errorf("the log holds a link:\n%s", said)
				}
			})
		}
	}
}

// oldWire reports whether a path is of HTTP with SSE.
func oldWire(path string) bool { return strings.HasPrefix(path, "/sse") }

func signInOver(t *testing.T, base, path string) {
	t.Helper()
	a, b := visitWeb(t, base, path, showsLinks), visitWeb(t, base, "/mcp", showsLinks)
	plain := visitWeb(t, base, path, "{}")
	elsewhere := visitWeb(t, base, path, showsLinks, "X-Forwarded-For: 203.0.113.7")
	all := []*webClient{a, b, plain, elsewhere}
	for _, c := range all {
		if got := c.tools(); strings.Contains(got, "g_") || !strings.Contains(got, "plait_auth") {
			t.Fatalf("tools %s", got)
		}
	}
	link, id := asked(t, a.call("g_echo"))
	if again, same := asked(t, a.call("g_echo")); again != link || same != id {
		t.Errorf("a second call gets %s %s, not %s %s", again, same, link, id)
	}
	if got := plain.call("g_echo"); got.Error != nil || !ownLink.MatchString(string(got.Result)) || !strings.Contains(string(got.Result), `"isError":true`) {
		t.Errorf("a client that shows no links gets %s", got.text())
	}
	for _, call := range []string{`{"name":"g_echo"}`, `{"name":"plait_auth","arguments":{"server":"g"}}`} {
		got := elsewhere.rpc("tools/call", call).text()
		if strings.Contains(got, "/connect/") || strings.Contains(got, "127.0.0.1") || !strings.Contains(got, "plait auth login g") || !strings.Contains(got, "where plait runs") {
			t.Errorf("a client elsewhere gets %s", got)
		}
	}
	if got := b.rpc("elicitation/create", fmt.Sprintf(`{"elicitationId":%q}`, id)); got.Error == nil || strings.Contains(got.text(), "/connect/") {
		t.Errorf("the id of another is good for %s", got.text())
	}
	if _, _, err := follow(link, func(*url.URL) bool { return true }); err != nil {
		t.Fatal(err)
	}
	for i, c := range all {
		until(t, "the tools of client "+strconv.Itoa(i), func() bool { return c.heard("tools/list_changed") > 0 && strings.Contains(c.tools(), "g_echo") })
		if got := c.call("g_echo"); got.Error != nil || strings.Contains(got.text(), "isError") {
			t.Errorf("client %d, signed in: %s", i, got.text())
		}
	}
	until(t, "the completion", func() bool { return a.heard("elicitation/complete") == 1 })
	if a.heard(id) != 1 {
		t.Error("the completion is of another elicitation")
	}
	for i, c := range all[1:] {
		if c.heard("elicitation") > 0 || c.heard(id) > 0 || c.heard("/connect/") > 0 {
			t.Errorf("client %d was told of another's sign-in: %q", i+1, c.got)
		}
	}
}

// TestSnapshotOverHTTP lists at once what a server had that is dead now, to each client over HTTP.
func TestSnapshotOverHTTP(t *testing.T) {
	t.Parallel()
	short(t)
	r := serveRemote(t, nil)
	file := jsonFile(t, map[string]any{
		"mcpServers": map[string]any{"a": map[string]any{"url": r.mcp()}, "b": map[string]any{"url": serveRemote(t, nil).mcp()}},
		"profiles":   map[string]any{"work": map[string]any{"servers": []string{"a"}}}, "startup": map[string]any{"wait": "30s"},
	})
	home := homeIn(t.TempDir())
	serve := []string{"serve", "--stdio=false", "--http", ":0", "--config", file}
	base, p := listen(t, home, serve...)
	want := visitWeb(t, base, "/mcp", "{}").tools()
	until(t, "the snapshots", func() bool {
		files, _ := os.ReadDir(strings.TrimPrefix(home[len(home)-3], "XDG_CACHE_HOME=") + "/plait/snapshots")
		return len(files) >= 2
	})
	_ = p.cmd.Process.Kill()
	_ = p.wait(t)
	r.end()
	base, _ = listen(t, home, serve...)
	for _, path := range []string{"/mcp", "/sse"} {
		if got := visitWeb(t, base, path, "{}").tools(); got != want {
			t.Errorf("%s shows %q, want %q", path, got, want)
		}
	}
	if got := visitWeb(t, base, "/sse/p/work", "{}").tools(); got == "" || strings.Contains(got, "b_") || !strings.HasPrefix(want, got) {
		t.Errorf("the profile shows %q", got)
	}
}
