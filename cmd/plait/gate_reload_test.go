package main_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plait-mcp/plait/cmd/internal/control"
)

// endpoint is a plait that serves on standard input and output and over HTTP, with a file that a test changes.
type endpoint struct {
	tb       testing.TB
	env      []string
	file     string
	server   string
	settings map[string]any // of serve.http
}

func (e *endpoint) save() {
	e.tb.Helper()
	text, err := json.Marshal(map[string]any{
		"mcpServers": map[string]any{"story": map[string]any{"url": e.server, "prefix": ""}},
		"serve":      map[string]any{"http": e.settings}, "reload": map[string]any{"watch": false},
	})
	if err != nil {
		e.tb.Fatal(err)
	}
	writeFile(e.tb, e.file, string(text))
}

// set changes a setting and reloads, which ends with this code and says these words. A setting that is refused is taken
// back.
func (e *endpoint) set(key string, value any, code int, words string) {
	e.tb.Helper()
	before := e.settings[key]
	e.settings[key] = value
	e.save()
	if said, _ := says(e.tb, e.env, code, "reload", "--config", e.file); !strings.Contains(said, words) {
		e.tb.Errorf("plait reload says %q, want %q", said, words)
	}
	if code != 0 {
		e.settings[key] = before
	}
}

// TestGateReload changes everything of an endpoint while clients are there: they go on wherever they may, and what cannot
// be done changes nothing.
func TestGateReload(t *testing.T) {
	t.Parallel()
	short(t)
	home := homeIn(t.TempDir())
	cert, key, roots := newCertificate(t, "reload")
	first, second := freePort(t), freePort(t)
	address := func(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	e := &endpoint{
		tb: t, env: append(testEnv(t), home...), file: filepath.Join(t.TempDir(), "plait.json"), server: serveRemote(t, nil).mcp(),
		settings: map[string]any{"listen": address(first)},
	}
	e.save()
	_, p := listen(t, home, "serve", "--config", e.file, "--allowed-host", "over.example")
	go p.read()
	p.hello(t)
	v := &visitor{tb: t, roots: roots}
	at := func(url string) { v.url = url }
	at("http://" + address(first) + "/mcp")
	v.hello()

	e.set("path", "/strand", 0, "changed  serve.http.path")
	v.want(visitorPing, http.StatusNotFound)
	at("http://" + address(first) + "/strand")
	v.want(visitorPing, http.StatusOK)

	e.set("allowedHosts", []string{"file.example"}, 0, "serve.http.allowedHosts has no effect: --allowed-host is given")
	e.set("limits", map[string]any{"sessions": 1}, 0, "serve.http.limits.sessions")
	other := *v
	other.session = ""
	other.want(visitorHello, http.StatusServiceUnavailable)

	e.set("listen", address(second), 0, "serve.http.listen")
	v.want(visitorPing, 0)
	at("http://" + address(second) + "/strand")
	v.want(visitorPing, http.StatusOK)
	e.set("listen", taken.Addr().String(), 2, "PLAIT-CMD-005")
	e.set("listen", fmt.Sprintf("0.0.0.0:%d", second), 2, "PLAIT-CMD-004")
	e.set("tls", map[string]any{"cert": cert, "key": cert}, 2, "serve.http.tls")
	e.set("path", "/sse", 2, "PLAIT-CFG-006")
	v.want(visitorPing, http.StatusOK)

	e.set("tls", map[string]any{"cert": cert, "key": key}, 0, "serve.http.tls.cert")
	v.want(visitorPing, http.StatusBadRequest) // plain HTTP
	at("https://" + address(second) + "/strand")
	v.want(visitorPing, http.StatusOK)

	e.set("auth", "bearer", 0, "serve.http.auth")
	v.want(visitorPing, http.StatusUnauthorized)
	token, _ := says(t, e.env, 0, "serve", "--print-token", "--config", e.file)
	v.token = strings.TrimSpace(token)
	v.want(visitorPing, http.StatusNotFound) // who came without a token has no session any more
	v.hello()
	e.set("listen", fmt.Sprintf("0.0.0.0:%d", second), 0, "serve.http.listen") // the port is its own
	v.want(visitorPing, http.StatusOK)

	e.set("listen", "", 0, "serve.http.listen")
	v.want(visitorPing, 0)
	e.set("listen", address(first), 0, "serve.http.listen")
	at("https://" + address(first) + "/strand")
	v.want(visitorPing, http.StatusOK)
	p.echo(t, "still there")
	p.quit(t)
}

// TestStatusListens has plait status say where clients come in, and tell of those only that came.
func TestStatusListens(t *testing.T) {
	t.Parallel()
	short(t)
	home := homeIn(t.TempDir())
	e := &endpoint{
		tb: t, env: append(testEnv(t), home...), file: filepath.Join(t.TempDir(), "plait.json"), server: serveRemote(t, nil).mcp(),
		settings: map[string]any{"listen": fmt.Sprintf("127.0.0.1:%d", freePort(t))},
	}
	e.save()
	base, _ := listen(t, home, "serve", "--stdio", "--config", e.file) // nobody comes over stdio
	shows := func(lines ...string) {
		t.Helper()
		text, _ := says(t, e.env, 0, "status", "--config", e.file)
		var got []string
		for line := range strings.Lines(text) {
			if strings.Contains(line, "http://") || strings.Contains(line, "client") {
				got = append(got, strings.TrimSpace(line))
			}
		}
		if d := cmp.Diff(lines, got); d != "" {
			t.Errorf("status (-want +got):\n%s", d)
		}
	}
	shows("listening at "+base+"/mcp and "+base+"/sse", "no client yet")
	v := &visitor{tb: t, url: base + "/mcp"}
	v.hello()
	e.set("path", "/strand", 0, "changed  serve.http.path")
	e.set("sse", false, 0, "changed  serve.http.sse")
	text, _ := says(t, e.env, 0, "status", "--config", e.file, "--json")
	var all []control.Status
	if err := json.Unmarshal([]byte(text), &all); err != nil || len(all) != 1 || len(all[0].Clients) != 1 || all[0].Clients[0].Name != "visitor" ||
		!cmp.Equal(all[0].URLs, []string{base + "/strand"}) {
		t.Errorf("%v in %s", err, text)
	}
	e.set("listen", "", 0, "changed  serve.http.listen")
	if text, _ := says(t, e.env, 0, "status", "--config", e.file); strings.Contains(text, "http://") || strings.Contains(text, "no client") {
		t.Errorf("without an address the status is %s", text)
	}
}

// TestGateLastDoor takes the only way in out of the file: that is refused, by the plan too.
func TestGateLastDoor(t *testing.T) {
	t.Parallel()
	short(t)
	e := &endpoint{
		tb: t, env: testEnv(t), file: filepath.Join(t.TempDir(), "plait.json"), server: "http://127.0.0.1:1/mcp",
		settings: map[string]any{"listen": "127.0.0.1:0"},
	}
	e.save()
	p := newProgram(t, e.env, plaitProgram(t), "serve", "--config", e.file)
	if err := p.cmd.Start(); err != nil { // nobody is at its standard input
		t.Fatal(err)
	}
	until(t, "the listener", func() bool { return strings.Contains(p.stderr.String(), "listening") })
	const refusal = "serve.http.listen is gone, and nobody could come in any more"
	e.set("listen", "", 2, refusal)
	if _, said := says(t, e.env, 2, "plan", "--config", e.file); !strings.Contains(said, refusal) {
		t.Errorf("plait plan says %q", said)
	}
	e.save()
	e.set("path", "/strand", 0, "changed  serve.http.path")
	killGroup(p.cmd)
	_ = p.cmd.Wait()
}
