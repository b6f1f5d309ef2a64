package main_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

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
		newSeat(t).use(t, []string{"MCP_PROXY_CONFIG=" + name})
		if got := w.last(t, "token"); got.Get("client_secret") != "from the file" || got.Get("scope") != "x y" {
			t.Errorf("asked with %v", got)
		}
		newSeat(t).use(t, []string{"MCP_PROXY_CONFIG=" + name, "OAUTH2_CLIENT_SECRET=environment"})
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
		w, d := newWitness(t), newSeat(t)
		c := connectTo(t, d.env("OAUTH2_GRANT=authorization_code", "OAUTH2_CLIENT_ID=a", "OAUTH2_INTERACTIVE=false"), w.URL+"/mcp", d.port)
		until(t, "the advice", func() bool { return strings.Contains(c.said(t), "plait auth login") })
		c.quit(t)
		if d.opened() > 0 || w.counts() != "authorize 0, token 0, register 0" {
			t.Errorf("%d pages, %s", d.opened(), w.counts())
		}
	})
	t.Run("OAUTH2_CALLBACK_HOST, OAUTH2_CALLBACK_PORT, OAUTH2_TOKEN_CACHE_DIR", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newSeat(t)
		folder := filepath.Join(t.TempDir(), "tokens")
		d.use(t, []string{
			"OAUTH2_GRANT=authorization_code", "OAUTH2_CLIENT_ID=a", "OAUTH2_CALLBACK_HOST=localhost", "OAUTH2_CALLBACK_PORT=" + d.port,
			"OAUTH2_TOKEN_CACHE_DIR=" + folder,
		}, w.URL+"/mcp")
		if got := w.last(t, "authorize").Get("redirect_uri"); got != "http://localhost:"+d.port+"/callback" {
			t.Errorf("redirect_uri %s", got)
		}
		if entries, err := os.ReadDir(folder); err != nil || len(entries) == 0 {
			t.Errorf("%v, %v", entries, err)
		}
	})
	t.Run("OAUTH2_CALLBACK_TIMEOUT_SECONDS", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newSeat(t)
		c := connectTo(t, append(d.env(), "BROWSER=true", "OAUTH2_CLIENT_ID=a", "OAUTH2_CALLBACK_TIMEOUT_SECONDS=1"), w.URL+"/mcp", d.port)
		until(t, "the end of the wait", func() bool { return strings.Contains(c.said(t), "nobody signed in") })
		c.quit(t)
		for _, name := range []string{"OAUTH2_CALLBACK_TIMEOUT_SECONDS", "OAUTH2_REFRESH_SKEW_SECONDS", "OAUTH2_CALLBACK_PORT"} {
			refuses(t, []string{name + "=soon"}, []string{w.URL + "/mcp"}, name)
		}
	})
	t.Run("refresh-token cache", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newSeat(t)
		for range 2 {
			c := d.connect(t, []string{"OAUTH2_GRANT=authorization_code", "OAUTH2_CLIENT_ID=a"}, w.URL+"/mcp", d.port)
			c.quit(t)
		}
		if w.counts() != "authorize 1, token 1, register 0" || d.opened() != 1 {
			t.Errorf("%d pages, %s", d.opened(), w.counts())
		}
	})
	t.Run("access tokens in memory only", func(t *testing.T) {
		t.Parallel()
		w, d := newWitness(t), newSeat(t)
		file := filepath.Join(t.TempDir(), "plait.yaml")
		text := "mcpServers: {story: {url: '" + w.URL + "/mcp', identity: me}}\nidentities: {me: {cacheAccessToken: false}}"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"auth", "login", "me", "--non-interactive=false"}, {"preflight"}, {"preflight"}} {
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
		w, d := newWitness(t), newSeat(t)
		c := d.connect(t, nil, w.URL+"/mcp", d.port)
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
		w, d := newWitness(t), newSeat(t)
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
		w, d := newWitness(t), newSeat(t)
		c := d.connect(t, []string{"OAUTH2_GRANT=authorization_code", "OAUTH2_CLIENT_ID=a", "OAUTH2_CLIENT_SECRET=hunter2-secret", "LOG_LEVEL=trace"}, w.URL+"/mcp", d.port)
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
		text, _ := io.ReadAll(c.out)
		if err := c.wait(t); err != nil || !strings.Contains(string(text), "$ ssh -L 33419:127.0.0.1:33419") {
			t.Errorf("%v: %s", err, text)
		}
	})
}

// TestParityMutualTLS reaches a server that lets nobody in without a certificate.
func TestParityMutualTLS(t *testing.T) {
	t.Parallel()
	short(t)
	r := newRemote(nil)
	r.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	r.StartTLS()
	t.Cleanup(r.end)
	der, err := x509.MarshalPKCS8PrivateKey(r.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, key := certificate(t, r.Server), filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, with := range []map[string]any{nil, {"clientCert": map[string]any{"cert": cert, "key": key}}} {
		entry := map[string]any{"url": r.mcp(), "caFile": cert, "prefix": ""}
		maps.Copy(entry, with)
		c := startPlait(t, nil, "tools", "call", "echo", "text=trusted", "--config", configFile(t, map[string]any{"story": entry}))
		out, _ := io.ReadAll(c.out)
		if err := c.wait(t); (err == nil) != (with != nil) || strings.Contains(string(out), "trusted") != (with != nil) {
			t.Errorf("with %v plait says %q, %v\n%s", with, out, err, c.said(t))
		}
	}
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
			[]string{"OAUTH2_AUTHORIZATION_CODE=given", "OAUTH2_CODE_VERIFIER=verifier", "OAUTH2_REDIRECT_URI=http://127.0.0.1:PORT/cb"},
			nil,
			url.Values{"code": {"given"}, "code_verifier": {"verifier"}, "redirect_uri": {"http://127.0.0.1:PORT/cb"}},
		},
		"OAUTH2_TOKEN_URL and OAUTH2_AUTHORIZATION_URL": {
			[]string{"OAUTH2_TOKEN_URL=URL/token", "OAUTH2_AUTHORIZATION_URL=URL/authorize"}, url.Values{"client_id": {"a"}}, url.Values{"client_id": {"a"}},
		},
		"client_credentials": {
			[]string{"OAUTH2_GRANT=client_credentials", "OAUTH2_CLIENT_SECRET=b", "OAUTH2_AUDIENCE=api"},
			nil,
			url.Values{"grant_type": {"client_credentials"}, "client_id": {"a"}, "client_secret": {"b"}, "audience": {"api"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, d := newWitness(t), newSeat(t)
			w.code("given", "verifier")
			fill := strings.NewReplacer("PORT", d.port, "URL/", w.URL+"/")
			env := []string{"OAUTH2_GRANT=authorization_code", "OAUTH2_CLIENT_ID=a", "UPSTREAM_URL=" + w.URL + "/mcp", "OAUTH2_CALLBACK_PORT=" + d.port}
			for _, variable := range tt.env {
				name, value, _ := strings.Cut(variable, "=")
				env = append(env, name+"="+fill.Replace(value))
			}
			c := d.connect(t, env)
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
