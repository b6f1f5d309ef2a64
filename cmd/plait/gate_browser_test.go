package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plait-mcp/plait/auth/flow/flowtest"
)

// TestGateBrowser has real web pages that are clients by the official SDK come to a listener: one of an allowed origin with
// the token gets in, one without it and one of a foreign origin do not.
func TestGateBrowser(t *testing.T) {
	t.Parallel()
	short(t)
	script := bundle(t)
	b := flowtest.Start(t, "app.example", "evil.example")
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/page.js" {
			w.Header().Set("Content-Type", "text/javascript")
			http.ServeFile(w, r, script)
			return
		}
		settings, _ := json.Marshal(map[string]string{"url": r.FormValue("url"), "token": r.FormValue("token")})
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, `<!doctype html><link rel=icon href=data:,><body><script>settings = %s</script><script type=module src=page.js></script>`, settings)
	}))
	t.Cleanup(pages.Close)
	_, port, _ := strings.Cut(strings.TrimPrefix(pages.URL, "http://"), ":")
	const token = "0123456789abcdef-of-the-page"
	base, _ := listen(t, []string{"TOKEN=" + token}, "connect", serveRemote(t, nil).mcp(), "--listen", "127.0.0.1:0",
		"--auth", "${TOKEN}", "--allowed-origin", "http://app.example:"+port)
	for _, page := range []struct{ host, token, heading, problem string }{
		{"app.example", token, "5 tools, from a page", ""},
		{"localhost", token, "5 tools, from a page", ""}, // as the server of somebody who makes pages
		{"app.example", "guessed", "refused: 401", "401"},
		{"evil.example", token, "refused:  Failed to fetch", "CORS"},
	} {
		b.Go("http://" + page.host + ":" + port + "/?url=" + base + "/mcp&token=" + page.token)
		b.AwaitTitle(page.heading)
		if problems := strings.Join(b.Problems(), "\n"); (problems == "") != (page.problem == "") || !strings.Contains(problems, page.problem) {
			t.Errorf("%s: the browser says %q, want %q", page.host, problems, page.problem)
		}
	}
}

// bundle makes the script of the page and returns its file.
func bundle(tb testing.TB) string {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "page.js")
	p := newProgram(tb, os.Environ(), nodeJS(tb, 20), npmFile(tb, "rolldown", "bin", "cli.mjs"), peerFile(tb, "page.mjs"),
		"--platform", "browser", "--format", "es", "-o", file)
	p.cmd.Stdout = io.Discard
	p.run()
	p.check(tb)
	return file
}
