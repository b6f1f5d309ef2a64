package main_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
	"go.yaml.in/yaml/v4"

	"github.com/plait-mcp/plait/auth/authtest"
)

// example is an example of the repository that is run at a desk.
type example struct {
	*seat
	env  []string
	file string
}

func newExample(t *testing.T, name string, env ...string) *example {
	t.Helper()
	short(t)
	file, err := filepath.Abs(filepath.Join(root, "examples", name, "plait.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return &example{newSeat(t), env, file}
}

// run runs plait with the file of the example and returns what it prints.
func (e *example) run(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "plait", append(args, "--config", e.file)...)
	cmd.Env = append(append(os.Environ(), e.seat.env()...), e.env...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("plait %v: %v\n%s%s", args, err, out, said.String())
	}
	return string(out)
}

// TestExampleOAuth signs in to all servers of the example, once for each identity, and uses them.
func TestExampleOAuth(t *testing.T) {
	t.Parallel()
	var handlers []http.Handler
	for range 3 {
		handlers = append(handlers, server.NewStreamableHTTPServer(newStory()))
	}
	g := authtest.GuardAll(t, handlers)
	metrics := serveRemote(t, nil)
	e := newExample(t, "oauth", "NOTES_URL="+g[0].URL, "TICKETS_URL="+g[1].URL, "WIKI_URL="+g[2].URL, "METRICS_URL="+metrics.mcp(), "METRICS_KEY=hunter2")
	e.run(t, "auth", "login", "--all", "--non-interactive=false")
	list := e.run(t, "tools", "list")
	for _, name := range []string{"notes_echo", "tickets_echo", "wiki_echo", "metrics-board_echo"} {
		if !strings.Contains(list, name) {
			t.Errorf("%s is not in\n%s", name, list)
		}
	}
	if got := metrics.header("X-Api-Key"); !slices.Contains(got, "hunter2") {
		t.Errorf("X-Api-Key %q", got)
	}
	before := g[0].Stats(t)
	e.run(t, "preflight")
	if got := g[0].Stats(t); got != before || got.Register != 2 {
		t.Errorf("stats %+v, then %+v", before, got)
	}
	if status := e.run(t, "auth", "status"); !strings.Contains(status, "acme") || !strings.Contains(status, "notes") {
		t.Errorf("status:\n%s", status)
	}
	e.run(t, "auth", "logout", "acme", "--revoke")
}

// TestExampleTwoAccounts signs in twice at one URL: neither account has the token of the other.
func TestExampleTwoAccounts(t *testing.T) {
	t.Parallel()
	w := newWitness(t)
	e := newExample(t, "two-accounts", "SERVICE_URL="+w.URL+"/mcp")
	e.run(t, "auth", "login", "work", "--non-interactive=false")
	e.run(t, "auth", "login", "home", "--non-interactive=false")
	if got := w.counts(); !strings.HasPrefix(got, "authorize 2, token 2,") || w.last(t, "authorize").Get("prompt") != "login" {
		t.Errorf("%s, asked with %v", got, w.last(t, "authorize"))
	}
	token := map[string]string{}
	for _, account := range []string{"work", "home"} {
		e.run(t, "tools", "list", "--server", account)
		w.mu.Lock()
		token[account] = w.shown[len(w.shown)-1]
		w.mu.Unlock()
	}
	if token["work"] == token["home"] {
		t.Errorf("both use %q", token["work"])
	}
	e.run(t, "auth", "logout", "home")
	e.run(t, "preflight", "--require", "work")
}

// TestExampleHTTP serves the team of the example, whose token opens what it should and goes to no server.
func TestExampleHTTP(t *testing.T) {
	t.Parallel()
	docs, tickets := serveRemote(t, nil), serveRemote(t, nil)
	e := newExample(t, "http", "LISTEN=127.0.0.1:0", "TEAM_TOKEN=hunter2-of-the-team", "TICKETS_TOKEN=of-plait", "DOCS_URL="+docs.mcp(), "TICKETS_URL="+tickets.mcp())
	base, p := listen(t, e.seat.env(e.env...), "serve", "--stdio=false", "--config", e.file)
	token := http.Header{"Authorization": {"Bearer hunter2-of-the-team"}}
	for path, names := range map[string][]string{"/mcp": {"docs_echo", "docs_fail", "tickets_echo"}, "/mcp/p/look": {"docs_echo"}} {
		c, err := client.NewStreamableHttpClient(base+path, transport.WithHTTPHeaders(map[string]string{"Authorization": token.Get("Authorization")}))
		list, err := comeIn(t, c, err).ListTools(t.Context(), mcp.ListToolsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, tool := range list.Tools {
			if strings.HasSuffix(tool.Name, "_echo") || strings.HasSuffix(tool.Name, "_fail") && tool.Name != "tickets_fail" {
				got = append(got, tool.Name)
			}
		}
		if d := cmp.Diff(names, got); d != "" {
			t.Errorf("tools at %s (-want +got):\n%s", path, d)
		}
	}
	until(t, "readiness", func() bool { return statusOf(t, base+"/readyz", nil) == http.StatusOK })
	for path, want := range map[string]int{"/healthz": 200, "/mcp": 401, "/mcp/p/look": 401, "/metrics": 401} {
		if got := statusOf(t, base+path, nil); got != want {
			t.Errorf("%s without a token: %d, want %d", path, got, want)
		}
	}
	if got := statusOf(t, base+"/metrics", token); got != http.StatusOK {
		t.Errorf("/metrics: %d", got)
	}
	if got := tickets.header("Authorization"); !slices.Equal(got, []string{"Bearer of-plait"}) || strings.Contains(p.said(t), "hunter2") {
		t.Errorf("the server got the credentials %q, plait says\n%s", got, p.said(t))
	}
}

// statusOf asks with GET.
func statusOf(t *testing.T, url string, header http.Header) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// workflow is a workflow of GitHub Actions.
type workflow struct {
	Permissions map[string]string
	Jobs        map[string]struct {
		Env   map[string]string
		Steps []struct{ Name, Uses, Run string }
	}
}

// TestExampleCI runs the steps of the workflows of the example, as the runner of GitHub would, with a real authorization
// server.
func TestExampleCI(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"client-credentials.yml", "jwt-bearer.yml"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newExample(t, "ci")
			sh, err := exec.LookPath("sh")
			if err != nil {
				t.Skip("there is no sh")
			}
			github := newGitHub(t)
			g := authtest.Guard(t, server.NewStreamableHTTPServer(newStory()), "AS_TRUST="+github.URL)
			values := strings.NewReplacer(
				"${{ vars.ORDERS_URL }}", g.URL, "${{ vars.ORDERS_ISSUER }}", g.Issuer, "${{ vars.ORDERS_CLIENT_ID }}", "svc",
				"${{ secrets.ORDERS_CLIENT_SECRET }}", "svc-secret-with-reserved:+/%",
			)
			text, err := os.ReadFile(filepath.Join(filepath.Dir(e.file), name))
			if err != nil {
				t.Fatal(err)
			}
			var w workflow
			if err := yaml.Unmarshal(text, &w); err != nil {
				t.Fatal(err)
			}
			env := append(append(os.Environ(), homeIn(e.home)...), "CI=true", "GITHUB_ACTIONS=true", "BROWSER=browser", "BROWSER_LOG="+e.log())
			if w.Permissions["id-token"] == "write" {
				env = append(env, "ACTIONS_ID_TOKEN_REQUEST_URL="+github.URL+"/token?api-version=2.0", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=hunter2-runner")
			}
			ran := 0
			for _, job := range w.Jobs {
				for name, value := range job.Env {
					env = append(env, name+"="+values.Replace(value))
				}
				for _, step := range job.Steps {
					if step.Run == "" || strings.HasPrefix(step.Run, "go install ") {
						continue
					}
					ran++
					cmd := exec.CommandContext(t.Context(), sh, "-e", "-c", step.Run)
					cmd.Env, cmd.Dir = env, root
					out, err := cmd.CombinedOutput()
					if err != nil || regexp.MustCompile(`hunter2|eyJ|svc-secret`).Match(out) {
						t.Fatalf("%s: %v\n%s", step.Run, err, out)
					}
				}
			}
			if got := g.Stats(t); ran != 2 || got.Authorize > 0 || got.Register > 0 || e.opened() > 0 {
				t.Errorf("%d steps, %+v, %d pages", ran, got, e.opened())
			}
			if given := github.given.Load(); given > 0 != (name == "jwt-bearer.yml") {
				t.Errorf("GitHub has given %d tokens", given)
			}
		})
	}
}

// gitHub is the service of GitHub that gives jobs tokens which say what they run for.
type gitHub struct {
	*httptest.Server

	key   *rsa.PrivateKey
	given atomic.Int32 // tokens
}

func newGitHub(t *testing.T) *gitHub {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	g := &gitHub{key: key}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/jwks", func(w http.ResponseWriter, _ *http.Request) {
		n, e := key.N.Bytes(), big.NewInt(int64(key.E)).Bytes()
		part := base64.RawURLEncoding.EncodeToString
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":"gh","n":%q,"e":%q}]}`, part(n), part(e))
	})
	mux.HandleFunc("GET /token", func(w http.ResponseWriter, r *http.Request) {
		if !strings.EqualFold(r.Header.Get("Authorization"), "Bearer hunter2-runner") || r.URL.Query().Get("api-version") != "2.0" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		g.given.Add(1)
		_ = json.NewEncoder(w).Encode(map[string]string{"value": g.sign(t, r.URL.Query().Get("audience"))})
	})
	g.Server = httptest.NewUnstartedServer(mux) // its handlers read g
	g.Start()
	t.Cleanup(g.Close)
	return g
}

// sign returns a token for an audience.
func (g *gitHub) sign(t *testing.T, audience string) string {
	t.Helper()
	part := base64.RawURLEncoding.EncodeToString
	now := time.Now().Unix()
	claims, err := json.Marshal(map[string]any{
		"iss": g.URL, "aud": audience, "sub": "repo:plait-mcp/plait:ref:refs/heads/main", "iat": now, "nbf": now, "exp": now + 300,
	})
	if err != nil {
		t.Error(err)
	}
	text := part([]byte(`{"alg":"RS256","typ":"JWT","kid":"gh"}`)) + "." + part(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, g.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Error(err)
	}
	return text + "." + part(signature)
}
