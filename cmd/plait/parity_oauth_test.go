package main_test

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

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
		d := newSeat(t)
		for range 3 {
			c := d.connect(t, nil, g.URL, "--callback-port", d.port)
			c.quit(t)
		}
		if got := g.Stats(t); got.Register != 1 || d.opened() != 1 || got.Token != 1 {
			t.Errorf("%d pages, %+v, want one of each", d.opened(), got)
		}
	})
	t.Run("resource", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newSeat(t)
		d.use(t, nil, w.URL+"/mcp", "--callback-port", d.port, "--resource", "https://tenant.example/")
		for _, where := range []string{"authorize", "token"} {
			if got := w.last(t, where)["resource"]; !slices.Equal(got, []string{"https://tenant.example/"}) {
				t.Errorf("%s: resource %q", where, got)
			}
		}
	})
	t.Run("client-name", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newSeat(t)
		d.use(t, nil, w.URL+"/mcp", "--callback-port", d.port, "--client-name", "Kim's laptop")
		if got := w.client(t)["client_name"]; got != "Kim's laptop" {
			t.Errorf("client_name %q", got)
		}
	})
	t.Run("scope", func(t *testing.T) {
		t.Parallel()
		for _, tt := range []struct {
			args []string
			want string
		}{
			{nil, "mcp:read"}, // which the server names
			{[]string{"--scope", "a,b"}, "a b"},
			{[]string{"--scope", "a b"}, "a b"},
		} {
			w, d := newWitness(t), newSeat(t)
			d.use(t, nil, append(tt.args, w.URL+"/mcp", "--callback-port", d.port)...)
			if got := w.last(t, "authorize").Get("scope"); got != tt.want {
				t.Errorf("%q asks for %q", tt.args, got)
			}
		}
	})
	t.Run("callback-host and callback-port", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newSeat(t)
		d.use(t, nil, w.URL+"/mcp", "--callback-host", "localhost", "--callback-port", d.port)
		if got, want := w.last(t, "authorize").Get("redirect_uri"), "http://localhost:"+d.port+"/callback"; got != want {
			t.Errorf("redirect_uri %s, want %s", got, want)
		}
		refuses(t, nil, []string{w.URL + "/mcp", "--callback-host", "0.0.0.0"}, "--callback-host")
	})
	t.Run("auth-timeout-secs", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newSeat(t)
		c := connectTo(t, append(d.env(), "BROWSER=true"), w.URL+"/mcp", "--callback-port", d.port, "--auth-timeout-secs", "1")
		until(t, "the end of the wait", func() bool { return strings.Contains(c.said(t), "nobody signed in") })
		c.quit(t)
	})
	t.Run("reset-auth", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newSeat(t)
		for _, args := range [][]string{{}, {}, {"--reset-auth"}} {
			c := d.connect(t, nil, append([]string{w.URL + "/mcp", "--callback-port", d.port}, args...)...)
			c.quit(t)
		}
		if got, want := w.counts(), "authorize 2, token 2, register 2"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
	t.Run("anonymous server detected at first probe", func(t *testing.T) {
		t.Parallel()
		r, d := serveRemote(t, nil), newSeat(t)
		c := d.connect(t, nil, r.mcp())
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
		w, d := newWitness(t), newSeat(t)
		c := connectTo(t, append(d.env(), "BROWSER=", "DISPLAY="), w.URL+"/mcp", "--callback-port", d.port)
		var link string
		until(t, "the link", func() bool {
			link = regexp.MustCompile(`http://\S+/connect/\w+\b`).FindString(c.said(t))
			return link != ""
		})
		if _, _, err := follow(link, func(*url.URL) bool { return true }); err != nil {
			t.Fatal(err)
		}
		until(t, "the token", func() bool { return w.counts() == "authorize 1, token 1, register 1" })
		c.quit(t)
	})
	t.Run("keyring, or a file with mode 0600", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newSeat(t)
		c := d.connect(t, nil, w.URL+"/mcp", "--callback-port", d.port)
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
		w, d := newWitness(t), newSeat(t)
		d.use(t, nil, w.URL+"/mcp", "--host", "localhost", "--callback-port", d.port)
		if got := w.last(t, "authorize").Get("redirect_uri"); !strings.HasPrefix(got, "http://localhost:") {
			t.Errorf("redirect_uri %s", got)
		}
	})
	t.Run("auth-timeout", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newSeat(t)
		c := connectTo(t, append(d.env(), "BROWSER=true"), w.URL+"/mcp", "--callback-port", d.port, "--auth-timeout", "1")
		until(t, "the end of the wait", func() bool { return strings.Contains(c.said(t), "nobody signed in") })
		c.quit(t)
	})
	t.Run("resource isolates instances", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newSeat(t)
		shown := map[string]bool{}
		for _, tenant := range []string{"one", "two", "one"} {
			c := d.connect(t, nil, w.URL+"/mcp", "--callback-port", d.port, "--resource", "https://"+tenant+".example/")
			c.quit(t)
			w.mu.Lock()
			shown[tenant+" "+w.shown[len(w.shown)-1]] = true
			w.mu.Unlock()
		}
		if len(shown) != 2 || w.counts() != "authorize 2, token 2, register 2" {
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
			w, d := newWitness(t), newSeat(t)
			c := d.connect(t, []string{"CLIENT_SECRET=hunter2-secret"}, w.URL+"/mcp", "--callback-port", d.port, "--static-oauth-client-info", info)
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
		w, d := newWitness(t), newSeat(t)
		const metadata = `{"scope": "a b", "software_id": "${SOFTWARE}", "client_name": "Kim", "token_endpoint_auth_method": "client_secret_post"}`
		d.use(t, []string{"SOFTWARE=s-1"}, w.URL+"/mcp", "--callback-port", d.port, "--static-oauth-client-metadata", metadata)
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
		w, d := newWitness(t), newSeat(t)
		file := filepath.Join(t.TempDir(), "plait.yaml")
		if err := os.WriteFile(file, []byte("mcpServers: {story: {url: '"+w.URL+"/mcp'}}"), 0o600); err != nil {
			t.Fatal(err)
		}
		login := []string{"auth", "login", "story", "--non-interactive=false"}
		for _, args := range [][]string{
			login, {"preflight"}, {"auth", "logout", "story"}, login, {"auth", "reset", "story"}, login,
		} {
			c := startPlait(t, d.env(), append(args, "--config", file)...)
			if err := c.wait(t); err != nil {
				t.Fatalf("plait %v: %v\n%s", args, err, c.said(t))
			}
		}
		// plait asks itself, without going on, whether the client is still known that it registered before the logout
		if got, want := w.counts(), "authorize 4, token 3, register 2"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
	t.Run("mcp-remote: port after the URL", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newSeat(t)
		d.use(t, nil, w.URL+"/mcp", d.port)
		if got := w.last(t, "authorize").Get("redirect_uri"); got != "http://127.0.0.1:"+d.port+"/callback" {
			t.Errorf("redirect_uri %s", got)
		}
	})
	t.Run("mcp-remote: callback-path", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newSeat(t)
		d.use(t, nil, w.URL+"/mcp", d.port, "--callback-path", "/oauth/callback")
		if got := w.last(t, "authorize").Get("redirect_uri"); got != "http://127.0.0.1:"+d.port+"/oauth/callback" {
			t.Errorf("redirect_uri %s", got)
		}
	})
	t.Run("mcp-remote: authorize-param", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newSeat(t)
		d.use(t, nil, w.URL+"/mcp", d.port, "--authorize-param", "prompt=consent", "--authorize-param", "audience=a=b")
		if got := w.last(t, "authorize"); got.Get("prompt") != "consent" || got.Get("audience") != "a=b" {
			t.Errorf("asked with %v", got)
		}
	})
	t.Run("mcp-remote: disable-resource-parameter", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newSeat(t)
		d.use(t, nil, w.URL+"/mcp", d.port, "--disable-resource-parameter")
		if w.last(t, "authorize").Has("resource") || w.last(t, "token").Has("resource") {
			t.Errorf("asked with %v and %v", w.last(t, "authorize"), w.last(t, "token"))
		}
	})
	t.Run("mcp-remote: client-metadata-url", func(t *testing.T) {
		t.Parallel()
		const document = "https://kim.example/client.json"
		w, d := newWitness(t), newSeat(t)
		d.use(t, nil, w.URL+"/mcp", d.port, "--client-metadata-url", document)
		if got := w.last(t, "authorize").Get("client_id"); got != document || w.counts() != "authorize 1, token 1, register 0" {
			t.Errorf("client_id %s, %s", got, w.counts())
		}
	})
	t.Run("mcp-remote: client-credentials and token-endpoint", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newSeat(t)
		info := []string{"--client-credentials", "--static-oauth-client-info", `{"client_id": "a", "client_secret": "b"}`}
		d.use(t, nil, append(info, w.URL+"/mcp")...)
		if got := w.last(t, "token"); got.Get("grant_type") != "client_credentials" || got.Get("resource") != w.URL+"/mcp" {
			t.Errorf("asked with %v", got)
		}
		elsewhere := newSeat(t)
		elsewhere.use(t, nil, append(info, w.URL+"/mcp", "--token-endpoint", w.URL+"/token", "--static-oauth-client-metadata",
			`{"scope": "x y", "token_endpoint_auth_method": "client_secret_basic"}`)...)
		if got := w.last(t, "token"); got.Get("basic_user") != "a" || got.Get("basic_password") != "b" || got.Get("scope") != "x y" {
			t.Errorf("asked with %v", got)
		}
		if d.opened()+elsewhere.opened() > 0 || w.counts() != "authorize 0, token 2, register 0" {
			t.Errorf("%d pages, %s", d.opened()+elsewhere.opened(), w.counts())
		}
	})
	t.Run("mcp-remote: device-code", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newSeat(t)
		c := d.connect(t, nil, w.URL+"/mcp", "--device-code")
		c.quit(t)
		if said := c.said(t); !strings.Contains(said, "WDJB-MJHT") || !strings.Contains(said, "/activate") || d.opened() > 0 {
			t.Errorf("%d pages, says\n%s", d.opened(), said)
		}
	})
	t.Run("mcp-remote: use-id-token", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newSeat(t)
		w.mu.Lock()
		w.idToken = true
		w.mu.Unlock()
		d.use(t, nil, w.URL+"/mcp", d.port, "--use-id-token", "--scope", "openid")
	})
}
