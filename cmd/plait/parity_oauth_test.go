package main_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/plait-mcp/plait/auth/authtest"
)

// TestParityOAuthHyperMCPRemote has a test for every row of hyper-mcp-remote that is about OAuth.
func TestParityOAuthHyperMCPRemote(t *testing.T) {
	t.Parallel()
	short(t)
	t.Run("full OAuth, later launches silent", func(t *testing.T) {
		t.Parallel()
		g := authtest.Guard(t, server.NewStreamableHTTPServer(newStory()))
		d := newDesk(t)
		for range 3 {
			c := d.connect(t, nil, g.URL, "--callback-port", d.port)
			c.echo(t, "signed in")
			c.quit(t)
		}
		if got := g.Stats(t); got.Register != 1 || d.opened() != 1 || got.Token != 1 {
			t.Errorf("%d pages, %+v, want one of each", d.opened(), got)
		}
	})
	t.Run("resource", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newDesk(t)
		d.connect(t, nil, w.URL+"/mcp", "--callback-port", d.port, "--resource", "https://tenant.example/").echo(t, "hello")
		for _, where := range []string{"authorize", "token"} {
			if got := w.last(t, where)["resource"]; !slices.Equal(got, []string{"https://tenant.example/"}) {
				t.Errorf("%s: resource %q", where, got)
			}
		}
	})
	t.Run("client-name", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newDesk(t)
		d.connect(t, nil, w.URL+"/mcp", "--callback-port", d.port, "--client-name", "Kim's laptop").echo(t, "hello")
		if got := w.client(t)["client_name"]; got != "Kim's laptop" {
			t.Errorf("client_name %q", got)
		}
	})
	t.Run("scope", func(t *testing.T) {
		t.Parallel()
		for _, scopes := range []string{"a,b", "a b"} {
			w, d := newWitness(t), newDesk(t)
			d.connect(t, nil, w.URL+"/mcp", "--callback-port", d.port, "--scope", scopes).echo(t, "hello")
			if got := w.last(t, "authorize").Get("scope"); got != "a b" {
				t.Errorf("%q asks for %q", scopes, got)
			}
		}
	})
	t.Run("callback-host and callback-port", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newDesk(t)
		d.connect(t, nil, w.URL+"/mcp", "--callback-host", "localhost", "--callback-port", d.port).echo(t, "hello")
		if got, want := w.last(t, "authorize").Get("redirect_uri"), "http://localhost:"+d.port+"/callback"; got != want {
			t.Errorf("redirect_uri %s, want %s", got, want)
		}
		refuses(t, nil, []string{w.URL + "/mcp", "--callback-host", "0.0.0.0"}, "--callback-host")
	})
	t.Run("auth-timeout-secs", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newDesk(t)
		c := connectTo(t, append(d.env(), "BROWSER=true"), w.URL+"/mcp", "--callback-port", d.port, "--auth-timeout-secs", "1")
		until(t, "the end of the wait", func() bool { return strings.Contains(c.said(t), "nobody signed in") })
		c.quit(t)
	})
	t.Run("reset-auth", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newDesk(t)
		for _, args := range [][]string{{}, {}, {"--reset-auth"}} {
			c := d.connect(t, nil, append([]string{w.URL + "/mcp", "--callback-port", d.port}, args...)...)
			c.echo(t, "hello")
			c.quit(t)
		}
		if got, want := w.counts(), "authorize 2, token 2, register 2"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
	t.Run("anonymous server detected at first probe", func(t *testing.T) {
		t.Parallel()
		r, d := serveRemote(t, nil), newDesk(t)
		c := d.connect(t, nil, r.mcp())
		c.echo(t, "hello")
		c.quit(t)
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, req := range r.seen {
			if strings.Contains(req.URL.Path, ".well-known") {
				t.Errorf("asked for %s", req.URL.Path)
			}
		}
		if d.opened() > 0 {
			t.Error("a browser was opened")
		}
	})
	t.Run("authorization URL in the log", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newDesk(t)
		c := connectTo(t, append(d.env(), "BROWSER=", "DISPLAY="), w.URL+"/mcp", "--callback-port", d.port)
		var link string
		until(t, "the link", func() bool { link = linkIn.FindString(c.said(t)); return link != "" })
		authtest.Visit(t, link)
		c.echo(t, "signed in by hand")
		c.quit(t)
	})
	t.Run("keyring, or a file with mode 0600", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newDesk(t)
		c := d.connect(t, nil, w.URL+"/mcp", "--callback-port", d.port)
		c.echo(t, "hello")
		c.quit(t)
		files := d.kept(t)
		for name, text := range files {
			if !strings.HasPrefix(name, "-rw-------") || strings.Contains(text, "hunter2") {
				t.Errorf("%s holds %d bytes", name, len(text))
			}
		}
		if len(files) < 3 {
			t.Errorf("files %v", files)
		}
	})
}

// TestParityOAuthMikluko has a test for every row of mikluko/mcp-proxy, and of mcp-remote, that is about OAuth.
func TestParityOAuthMikluko(t *testing.T) {
	t.Parallel()
	short(t)
	t.Run("host", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newDesk(t)
		d.connect(t, nil, w.URL+"/mcp", "--host", "localhost", "--callback-port", d.port).echo(t, "hello")
		if got := w.last(t, "authorize").Get("redirect_uri"); !strings.HasPrefix(got, "http://localhost:") {
			t.Errorf("redirect_uri %s", got)
		}
	})
	t.Run("auth-timeout", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newDesk(t)
		c := connectTo(t, append(d.env(), "BROWSER=true"), w.URL+"/mcp", "--callback-port", d.port, "--auth-timeout", "1")
		until(t, "the end of the wait", func() bool { return strings.Contains(c.said(t), "nobody signed in") })
		c.quit(t)
	})
	t.Run("resource isolates instances", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newDesk(t)
		shown := map[string]bool{}
		for _, tenant := range []string{"one", "two", "one"} {
			c := d.connect(t, nil, w.URL+"/mcp", "--callback-port", d.port, "--resource", "https://"+tenant+".example/")
			c.echo(t, "hello")
			c.quit(t)
			w.mu.Lock()
			shown[tenant+" "+w.shown[len(w.shown)-1]] = true
			w.mu.Unlock()
		}
		if len(shown) != 2 || w.counts() != "authorize 2, token 2, register 1" {
			t.Errorf("%s, %v", w.counts(), shown)
		}
	})
	t.Run("static-oauth-client-info", func(t *testing.T) {
		t.Parallel()
		text := `{"client_id": "mine", "client_secret": "${CLIENT_SECRET}"}`
		file := filepath.Join(t.TempDir(), "client.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, info := range []string{text, "@" + file} {
			w, d := newWitness(t), newDesk(t)
			c := d.connect(t, []string{"CLIENT_SECRET=hunter2-secret"}, w.URL+"/mcp", "--callback-port", d.port, "--static-oauth-client-info", info)
			c.echo(t, "hello")
			c.quit(t)
			got := w.last(t, "token")
			if id := got.Get("client_id") + got.Get("basic_user"); id != "mine" || got.Get("client_secret")+got.Get("basic_password") != "hunter2-secret" {
				t.Errorf("%s: asked with %v", info, got)
			}
			if w.counts() != "authorize 1, token 1, register 0" || strings.Contains(c.said(t), "hunter2") {
				t.Errorf("%s, says\n%s", w.counts(), c.said(t))
			}
		}
	})
	t.Run("static-oauth-client-metadata", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newDesk(t)
		const metadata = `{"scope": "a b", "software_id": "${SOFTWARE}", "client_name": "Kim", "token_endpoint_auth_method": "client_secret_post"}`
		d.connect(t, []string{"SOFTWARE=s-1"}, w.URL+"/mcp", "--callback-port", d.port, "--static-oauth-client-metadata", metadata).echo(t, "hello")
		client, want := w.client(t), map[string]any{
			"scope": "a b", "software_id": "s-1", "client_name": "Kim", "token_endpoint_auth_method": "client_secret_post",
		}
		for name := range want {
			if client[name] != want[name] {
				t.Errorf("registered %s %v, want %v", name, client[name], want[name])
			}
		}
		if w.last(t, "authorize").Get("scope") != "a b" || w.last(t, "token").Get("client_secret") != "given-secret" {
			t.Errorf("asked with %v and %v", w.last(t, "authorize"), w.last(t, "token"))
		}
	})
	t.Run("cache folder, cleared", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newDesk(t)
		file := filepath.Join(t.TempDir(), "plait.yaml")
		if err := os.WriteFile(file, []byte("mcpServers: {story: {url: '"+w.URL+"/mcp'}}"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{
			{"auth", "login", "story"}, {"preflight"}, {"auth", "logout", "story"}, {"auth", "login", "story"}, {"auth", "reset", "story"}, {"auth", "login", "story"},
		} {
			c := startPlait(t, d.env(), append(args, "--config", file)...)
			if err := c.wait(t); err != nil {
				t.Fatalf("plait %v: %v\n%s", args, err, c.said(t))
			}
		}
		if got, want := w.counts(), "authorize 3, token 3, register 2"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
	t.Run("mcp-remote: port after the URL", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newDesk(t)
		d.connect(t, nil, w.URL+"/mcp", d.port).echo(t, "hello")
		if got := w.last(t, "authorize").Get("redirect_uri"); got != "http://127.0.0.1:"+d.port+"/callback" {
			t.Errorf("redirect_uri %s", got)
		}
	})
	t.Run("mcp-remote: callback-path", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newDesk(t)
		d.connect(t, nil, w.URL+"/mcp", d.port, "--callback-path", "/oauth/callback").echo(t, "hello")
		if got := w.last(t, "authorize").Get("redirect_uri"); got != "http://127.0.0.1:"+d.port+"/oauth/callback" {
			t.Errorf("redirect_uri %s", got)
		}
	})
	t.Run("mcp-remote: authorize-param", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newDesk(t)
		d.connect(t, nil, w.URL+"/mcp", d.port, "--authorize-param", "prompt=consent", "--authorize-param", "audience=a=b").echo(t, "hello")
		if got := w.last(t, "authorize"); got.Get("prompt") != "consent" || got.Get("audience") != "a=b" {
			t.Errorf("asked with %v", got)
		}
	})
	t.Run("mcp-remote: disable-resource-parameter", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newDesk(t)
		d.connect(t, nil, w.URL+"/mcp", d.port, "--disable-resource-parameter").echo(t, "hello")
		if w.last(t, "authorize").Has("resource") || w.last(t, "token").Has("resource") {
			t.Errorf("asked with %v and %v", w.last(t, "authorize"), w.last(t, "token"))
		}
	})
	t.Run("mcp-remote: client-metadata-url", func(t *testing.T) {
		t.Parallel()
		const document = "https://kim.example/client.json"
		w, d := newWitness(t), newDesk(t)
		d.connect(t, nil, w.URL+"/mcp", d.port, "--client-metadata-url", document).echo(t, "hello")
		if got := w.last(t, "authorize").Get("client_id"); got != document || w.counts() != "authorize 1, token 1, register 0" {
			t.Errorf("client_id %s, %s", got, w.counts())
		}
	})
	t.Run("mcp-remote: client-credentials and token-endpoint", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newDesk(t)
		info := []string{"--client-credentials", "--static-oauth-client-info", `{"client_id": "a", "client_secret": "b"}`}
		d.connect(t, nil, append(info, w.URL+"/mcp")...).echo(t, "discovered")
		if got := w.last(t, "token"); got.Get("grant_type") != "client_credentials" || got.Get("resource") != w.URL+"/mcp" {
			t.Errorf("asked with %v", got)
		}
		elsewhere := newDesk(t)
		elsewhere.connect(t, nil, append(info, w.URL+"/mcp", "--token-endpoint", w.URL+"/token", "--static-oauth-client-metadata",
			`{"scope": "x y", "token_endpoint_auth_method": "client_secret_basic"}`)...).echo(t, "named")
		if got := w.last(t, "token"); got.Get("basic_user") != "a" || got.Get("basic_password") != "b" || got.Get("scope") != "x y" {
			t.Errorf("asked with %v", got)
		}
		if d.opened()+elsewhere.opened() > 0 || w.counts() != "authorize 0, token 2, register 0" {
			t.Errorf("%d pages, %s", d.opened()+elsewhere.opened(), w.counts())
		}
	})
	t.Run("mcp-remote: device-code", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newDesk(t)
		c := d.connect(t, nil, w.URL+"/mcp", "--device-code")
		c.echo(t, "hello")
		c.quit(t)
		if said := c.said(t); !strings.Contains(said, "WDJB-MJHT") || !strings.Contains(said, "/activate") || d.opened() > 0 {
			t.Errorf("%d pages, says\n%s", d.opened(), said)
		}
	})
	t.Run("mcp-remote: use-id-token", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newDesk(t)
		w.idToken = true
		d.connect(t, nil, w.URL+"/mcp", d.port, "--use-id-token", "--scope", "openid").echo(t, "hello")
	})
}

// TestParityOAuthProxy has a test for every row of mcp-oauth2-proxy that is about OAuth.
func TestParityOAuthProxy(t *testing.T) {
	t.Parallel()
	short(t)
	t.Run("MCP_PROXY_CONFIG", func(t *testing.T) {
		t.Parallel()
		w := newWitness(t)
		text, err := json.Marshal(map[string]any{"upstream": map[string]any{"url": w.URL + "/mcp"}, "oauth2": map[string]any{
			"grant": "client_credentials", "clientId": "a", "clientSecret": "from the file", "tokenUrl": w.URL + "/token", "scope": "x y",
		}})
		name := filepath.Join(t.TempDir(), "config.json")
		if err != nil || os.WriteFile(name, text, 0o600) != nil {
			t.Fatal(err)
		}
		newDesk(t).connect(t, []string{"MCP_PROXY_CONFIG=" + name}).echo(t, "file")
		if got := w.last(t, "token"); got.Get("client_secret") != "from the file" || got.Get("scope") != "x y" {
			t.Errorf("asked with %v", got)
		}
		newDesk(t).connect(t, []string{"MCP_PROXY_CONFIG=" + name, "OAUTH2_CLIENT_SECRET=environment"}).echo(t, "environment wins")
		if got := w.last(t, "token"); got.Get("client_secret") != "environment" {
			t.Errorf("asked with %v", got)
		}
	})
	t.Run("OAUTH2_ variables", func(t *testing.T) {
		t.Parallel()
		parityVariables(t)
	})
	t.Run("OAUTH2_INTERACTIVE", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newDesk(t)
		c := d.connect(t, []string{"OAUTH2_GRANT=authorization_code", "OAUTH2_CLIENT_ID=a", "OAUTH2_INTERACTIVE=false"}, w.URL+"/mcp", d.port)
		until(t, "the advice", func() bool { return strings.Contains(c.said(t), "plait auth login") })
		c.quit(t)
		if d.opened() > 0 || w.counts() != "authorize 0, token 0, register 0" {
			t.Errorf("%d pages, %s", d.opened(), w.counts())
		}
	})
	t.Run("OAUTH2_CALLBACK_HOST, OAUTH2_CALLBACK_PORT, OAUTH2_TOKEN_CACHE_DIR", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newDesk(t)
		folder := filepath.Join(t.TempDir(), "tokens")
		d.connect(t, []string{
			"OAUTH2_GRANT=authorization_code", "OAUTH2_CLIENT_ID=a", "OAUTH2_CALLBACK_HOST=localhost", "OAUTH2_CALLBACK_PORT=" + d.port,
			"OAUTH2_TOKEN_CACHE_DIR=" + folder,
		}, w.URL+"/mcp").echo(t, "hello")
		if got := w.last(t, "authorize").Get("redirect_uri"); got != "http://localhost:"+d.port+"/callback" {
			t.Errorf("redirect_uri %s", got)
		}
		if entries, err := os.ReadDir(folder); err != nil || len(entries) == 0 {
			t.Errorf("%v, %v", entries, err)
		}
	})
	t.Run("OAUTH2_CALLBACK_TIMEOUT_SECONDS", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newDesk(t)
		c := connectTo(t, append(d.env(), "BROWSER=true", "OAUTH2_CLIENT_ID=a", "OAUTH2_CALLBACK_TIMEOUT_SECONDS=1"), w.URL+"/mcp", d.port)
		until(t, "the end of the wait", func() bool { return strings.Contains(c.said(t), "nobody signed in") })
		c.quit(t)
	})
	t.Run("refresh-token cache", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newDesk(t)
		for range 2 {
			c := d.connect(t, []string{"OAUTH2_GRANT=authorization_code", "OAUTH2_CLIENT_ID=a"}, w.URL+"/mcp", d.port)
			c.echo(t, "hello")
			c.quit(t)
		}
		if w.counts() != "authorize 1, token 1, register 0" || d.opened() != 1 {
			t.Errorf("%d pages, %s", d.opened(), w.counts())
		}
	})
	t.Run("access tokens in memory only", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newDesk(t)
		file := filepath.Join(t.TempDir(), "plait.yaml")
		text := "mcpServers: {story: {url: '" + w.URL + "/mcp', identity: me}}\nidentities: {me: {cacheAccessToken: false}}"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"auth", "login", "me"}, {"preflight"}, {"preflight"}} {
			c := startPlait(t, d.env(), append(args, "--config", file)...)
			if err := c.wait(t); err != nil {
				t.Fatalf("plait %v: %v\n%s", args, err, c.said(t))
			}
		}
		if got, want := w.counts(), "authorize 1, token 3, register 1"; got != want {
			t.Errorf("%s, want %s: each process renews", got, want)
		}
	})
	t.Run("refresh, in-flight de-duplication, 401 once more", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newDesk(t)
		c := d.connect(t, nil, w.URL+"/mcp", d.port)
		c.echo(t, "hello")
		w.mu.Lock()
		clear(w.good)
		w.mu.Unlock()
		answers := make(chan string, 8)
		for range cap(answers) {
			go func() {
				a, err := c.request("tools/call", `{"name":"echo","arguments":{"text":"again"}}`)
				if err != nil {
					answers <- err.Error()
					return
				}
				answers <- a.text()
			}()
		}
		for range cap(answers) {
			if got := <-answers; got != "again" {
				t.Errorf("answer %q", got)
			}
		}
		if got := w.last(t, "token"); got.Get("grant_type") != "refresh_token" || w.counts() != "authorize 1, token 2, register 1" {
			t.Errorf("%s, last %v", w.counts(), got)
		}
	})
	t.Run("callback checks Host", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newDesk(t)
		c := connectTo(t, append(d.env(), "BROWSER=true"), w.URL+"/mcp", d.port)
		until(t, "the callback", func() bool {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:"+d.port+"/callback?code=x&state=y", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = "evil.example"
			response, err := http.DefaultClient.Do(req)
			if err != nil {
				return false
			}
			defer response.Body.Close()
			if response.StatusCode != http.StatusMisdirectedRequest {
				t.Errorf("status %d", response.StatusCode)
			}
			return true
		})
		c.quit(t)
	})
	t.Run("redaction, and the client's Authorization", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newDesk(t)
		c := d.connect(t, []string{"OAUTH2_GRANT=authorization_code", "OAUTH2_CLIENT_ID=a", "OAUTH2_CLIENT_SECRET=hunter2-secret", "LOG_LEVEL=trace"}, w.URL+"/mcp", d.port)
		c.echo(t, "hello")
		c.quit(t)
		for _, secret := range []string{"hunter2", "code-1", w.last(t, "authorize").Get("state"), w.last(t, "token").Get("code_verifier")} {
			if strings.Contains(c.said(t), secret) {
				t.Errorf("the log holds %q", secret)
			}
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, shown := range w.shown {
			if shown != "" && !strings.HasPrefix(shown, "Bearer hunter2-access-") {
				t.Errorf("the server got %q", shown)
			}
		}
	})
	t.Run("SSH port forwarding guide", func(t *testing.T) {
		t.Parallel()
		c := startPlait(t, nil, "help", "remote")
		text, _ := c.out.ReadString('$')
		if err := c.wait(t); err != nil || !strings.Contains(text, "ssh") && !strings.Contains(text, "SSH") {
			t.Errorf("%v: %q", err, text)
		}
	})
}

// parityVariables signs in as the variables of mcp-oauth2-proxy say, one after the other.
func parityVariables(t *testing.T) {
	t.Helper()
	for name, tt := range map[string]struct {
		env       []string
		authorize url.Values // what of it has to be there
		token     url.Values
	}{
		"authorization_code": {
			[]string{"OAUTH2_SCOPE=x y", "OAUTH2_RESOURCE=https://r.example/", "OAUTH2_AUDIENCE=api", `OAUTH2_EXTRA_PARAMS={"tenant":"$1"}`, "OAUTH2_CLIENT_SECRET=b"},
			url.Values{"client_id": {"a"}, "scope": {"x y"}, "resource": {"https://r.example/"}, "audience": {"api"}},
			url.Values{"client_id": {"a"}, "client_secret": {"b"}, "resource": {"https://r.example/"}, "audience": {"api"}, "tenant": {"$1"}},
		},
		"public client":        {nil, url.Values{"client_id": {"a"}}, url.Values{"client_id": {"a"}, "grant_type": {"authorization_code"}}},
		"OAUTH2_AUTH_STYLE":    {[]string{"OAUTH2_CLIENT_SECRET=b", "OAUTH2_AUTH_STYLE=header"}, nil, url.Values{"basic_user": {"a"}, "basic_password": {"b"}}},
		"OAUTH2_REDIRECT_URI":  {[]string{"OAUTH2_REDIRECT_URI=http://127.0.0.1:PORT/cb"}, url.Values{"redirect_uri": {"http://127.0.0.1:PORT/cb"}}, nil},
		"OAUTH2_REFRESH_TOKEN": {[]string{"OAUTH2_REFRESH_TOKEN=r-1"}, nil, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"r-1"}}},
		"OAUTH2_GRANT refresh_token": {
			[]string{"OAUTH2_GRANT=refresh_token", "OAUTH2_REFRESH_TOKEN=r-2"}, nil, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"r-2"}},
		},
		"OAUTH2_AUTHORIZATION_CODE and OAUTH2_CODE_VERIFIER": {
			[]string{"OAUTH2_AUTHORIZATION_CODE=given", "OAUTH2_CODE_VERIFIER=verifier", "OAUTH2_REDIRECT_URI=http://127.0.0.1:PORT/cb"}, nil,
			url.Values{"code": {"given"}, "code_verifier": {"verifier"}, "redirect_uri": {"http://127.0.0.1:PORT/cb"}},
		},
		"OAUTH2_TOKEN_URL and OAUTH2_AUTHORIZATION_URL": {
			[]string{"OAUTH2_TOKEN_URL=URL/token", "OAUTH2_AUTHORIZATION_URL=URL/authorize"}, url.Values{"client_id": {"a"}}, url.Values{"client_id": {"a"}},
		},
		"client_credentials": {
			[]string{"OAUTH2_GRANT=client_credentials", "OAUTH2_CLIENT_SECRET=b", "OAUTH2_AUDIENCE=api"}, nil,
			url.Values{"grant_type": {"client_credentials"}, "client_id": {"a"}, "client_secret": {"b"}, "audience": {"api"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, d := newWitness(t), newDesk(t)
			w.code("given", "verifier")
			fill := strings.NewReplacer("PORT", d.port, "URL/", w.URL+"/")
			env := []string{"OAUTH2_GRANT=authorization_code", "OAUTH2_CLIENT_ID=a", "UPSTREAM_URL=" + w.URL + "/mcp", "OAUTH2_CALLBACK_PORT=" + d.port}
			for _, variable := range tt.env {
				name, value, _ := strings.Cut(variable, "=")
				env = append(env, name+"="+fill.Replace(value))
			}
			c := d.connect(t, env)
			c.echo(t, "hello")
			c.quit(t)
			for where, want := range map[string]url.Values{"authorize": tt.authorize, "token": tt.token} {
				if want == nil {
					continue
				}
				got := w.last(t, where)
				for name := range want {
					filled := []string{fill.Replace(want.Get(name))}
					if diff := cmp.Diff(filled, got[name]); diff != "" {
						t.Errorf("%s: %s (-want +got):\n%s", where, name, diff)
					}
				}
			}
		})
	}
}
