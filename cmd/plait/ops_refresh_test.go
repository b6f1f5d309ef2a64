package main_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/server"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/plait-mcp/plait/auth/authtest"
)

// TestOpsRefreshes signs in at a real authorization server, has the access token refused, and then the refresh token
// revoked: /metrics counts what plait asked for without a person, as the authorization server does.
func TestOpsRefreshes(t *testing.T) {
	t.Parallel()
	short(t)
	g := authtest.Guard(t, server.NewStreamableHTTPServer(newStory()), "AS_ROTATE=1")
	home := t.TempDir()
	base, _ := listen(t, append(homeIn(home), "CI=", "BROWSER="), "serve", "--stdio=false", "--http", ":0", "--config", jsonFile(t, map[string]any{
		"mcpServers": map[string]any{"g": map[string]any{"url": g.URL}}, "startup": map[string]any{"wait": "30s"},
		"auth": map[string]any{"callback": map[string]any{"port": 0}, "callWait": "0s"}, "credentials": map[string]any{"store": "file"},
	}))
	counted := func() (ok, failed float64) {
		t.Helper()
		_, text := probe(t, base+"/metrics")
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		ok, _ = seriesOf(families, "plait_token_refreshes_total identity=g result=ok")
		failed, _ = seriesOf(families, "plait_token_refreshes_total identity=g result=failed")
		return ok, failed
	}
	c := visitWeb(t, base, "/mcp", showsLinks)
	link, _ := asked(t, c.call("g_echo"))
	if _, _, err := follow(link, func(*url.URL) bool { return true }); err != nil {
		t.Fatal(err)
	}
	calls := func() {
		t.Helper()
		until(t, "a call", func() bool { a := c.call("g_echo"); return a.Error == nil && !strings.Contains(a.text(), "isError") })
	}
	calls()
	signedIn := g.Stats(t).Token
	if ok, failed := counted(); ok != 0 || failed != 0 {
		t.Errorf("after the sign-in: %v ok, %v failed", ok, failed)
	}
	g.RefuseKnown()
	calls()
	renewed := float64(g.Stats(t).Token - signedIn)
	if ok, failed := counted(); ok != renewed || ok < 1 || failed != 0 {
		t.Errorf("after %v renewals: %v ok, %v failed", renewed, ok, failed)
	}
	revoke(t, &desk{home: home}, g)
	asked(t, c.call("g_echo"))
	if ok, failed := counted(); ok != renewed || failed != 1 {
		t.Errorf("after a renewal that was refused: %v ok, %v failed", ok, failed)
	}
}
