package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/server"

	"github.com/plait-mcp/plait/auth/authtest"
	"github.com/plait-mcp/plait/auth/flow/flowtest"
	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/config"
)

// handoff is a program: as $BROWSER it hands the URL that it is given to the test, in the file $HANDOFF.
func handoff() int {
	name := os.Getenv("HANDOFF")
	if err := os.WriteFile(name+".new", []byte(os.Args[len(os.Args)-1]), 0o600); err != nil {
		return 1
	}
	if err := os.Rename(name+".new", name); err != nil {
		return 1
	}
	return 0
}

// desk is a home with a configuration, in which plait is used at a machine that has a browser.
type desk struct {
	tb      testing.TB
	browser *flowtest.Browser
	home    string
	config  string
	handoff string
	env     []string
}

func newDesk(tb testing.TB, browser *flowtest.Browser, servers map[string]any) *desk {
	tb.Helper()
	home := tb.TempDir()
	d := &desk{tb: tb, browser: browser, home: home, handoff: filepath.Join(home, "handoff")}
	d.config = jsonFile(tb, map[string]any{
		"mcpServers": servers, "startup": map[string]any{"wait": hung.String()}, "credentials": map[string]any{"store": "file"},
		"auth": map[string]any{"callback": map[string]any{"port": freePort(tb)}},
	})
	d.env = append(append(os.Environ(), homeIn(home)...), "GORACE=atexit_sleep_ms=0", "NO_COLOR=1", "CI=", "BROWSER=handoff", "HANDOFF="+d.handoff)
	return d
}

// start starts plait with these arguments; finish waits for its end and expects this exit code.
func (d *desk) start(args ...string) (finish func(code int) *program) {
	d.tb.Helper()
	p := newProgram(d.tb, d.env, append([]string{"plait"}, append(args, "--config", d.config)...)...)
	var work sync.WaitGroup
	work.Go(p.run)
	return func(code int) *program {
		d.tb.Helper()
		work.Wait()
		if got := p.cmd.ProcessState.ExitCode(); got != code {
			d.tb.Fatalf("%q exits with %d, want %d:\n%s%s", p.cmd.Args, got, code, p.stdout.String(), p.stderr.String())
		}
		return p
	}
}

// run runs plait to its end.
func (d *desk) run(code int, args ...string) *program {
	d.tb.Helper()
	return d.start(args...)(code)
}

// given waits for the URL that plait opens.
func (d *desk) given() string {
	d.tb.Helper()
	var text []byte
	until(d.tb, "plait to open a browser", func() (ok bool) {
		var err error
		text, err = os.ReadFile(d.handoff)
		return err == nil
	})
	if err := os.Remove(d.handoff); err != nil {
		d.tb.Fatal(err)
	}
	return string(text)
}

// untouched fails when plait has opened a browser.
func (d *desk) untouched() {
	d.tb.Helper()
	if text, err := os.ReadFile(d.handoff); err == nil {
		d.tb.Errorf("a browser was opened at %s", text)
	}
}

// client starts plait serve and opens a session.
func (d *desk) client() *faultClient {
	d.tb.Helper()
	c := startPlait(d.tb, append(d.env, "PLAIT_LOG=debug"), "serve", "--config", d.config)
	go c.read()
	c.hello(d.tb)
	return c
}

// echoed calls the tool echo and returns what it said.
func echoed(c *faultClient, text string) (string, error) {
	a, err := c.request("tools/call", fmt.Sprintf(`{"name":"echo","arguments":{"message":%q}}`, text))
	if err == nil && a.Error != nil {
		err = fmt.Errorf("%d %s", a.Error.Code, a.Error.Message)
	}
	return a.text(), err
}

// everythingBehind is server-everything over Streamable HTTP for what guards it.
func everythingBehind(tb testing.TB) http.Handler {
	tb.Helper()
	to, err := url.Parse(startEverything(tb, "http").url)
	if err != nil {
		tb.Fatal(err)
	}
	return &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: to.Scheme, Host: to.Host})
	}}
}

// TestBrowserSignIn signs in to server-everything behind a real authorization server, whose access tokens live for three
// seconds and whose refresh tokens rotate: once, in a real browser, and never again until the refresh token is revoked.
func TestBrowserSignIn(t *testing.T) {
	t.Parallel()
	b := flowtest.Start(t)
	g := authtest.Guard(t, everythingBehind(t), "AS_FORMS=1", "AS_TTL=3", "AS_ROTATE=1")
	b.Ignore(g.Issuer)
	d := newDesk(t, b, map[string]any{"everything": map[string]any{"url": g.URL, "prefix": ""}})

	login := d.start("auth", "login", "everything", "--non-interactive=false")
	b.Go(d.given())
	b.AwaitTitle("Sign in to everything")
	if text := b.Text(); !strings.Contains(text, "mcp:read") || !strings.Contains(text, hostOf(t, g.Issuer)) {
		t.Errorf("the page does not say where and for what:\n%s", text)
	}
	b.Look("connect")
	b.Click("a.button")
	b.AwaitTitle("login")
	b.Type("input[name=user]", "alice")
	b.Click("button")
	b.AwaitTitle("consent")
	b.Click("button")
	b.AwaitTitle("Signed in to everything")
	b.Look("signed-in")
	login(0)
	d.untouched()
	once := g.Stats(t)

	c := d.client()
	untilRenewed(t, g, c)
	atOnce(t, g, c)
	c.quit(t)

	c = d.client()
	if got, err := echoed(c, "again"); err != nil || !strings.Contains(got, "again") {
		t.Errorf("after a restart: %q %v", got, err)
	}
	c.quit(t)
	if got := g.Stats(t); got.Authorize != once.Authorize || got.Register != once.Register || got.Reuse != 0 {
		t.Errorf("after %+v, %+v", once, got)
	}

	revoke(t, d, g)
	d.run(3, "preflight")
	c = d.client()
	link := askedToSignIn(t, c)
	b.Go(link)
	b.AwaitTitle("Sign in to everything")
	b.Click("a.button")
	b.AwaitTitle("consent")
	b.Click("button")
	b.AwaitTitle("Signed in to everything")
	until(t, "plait to use the new sign-in", func() bool {
		got, err := echoed(c, "awake")
		return err == nil && strings.Contains(got, "awake")
	})
	c.quit(t)
	d.untouched()
	if got := g.Stats(t); got.Reuse != 0 {
		t.Errorf("a refresh token came twice: %+v", got)
	}
}

// untilRenewed calls until the token was renewed twice, which no call may notice.
func untilRenewed(t *testing.T, g *authtest.Guarded, c *faultClient) {
	t.Helper()
	before := g.Stats(t).Token
	until(t, "two renewals", func() bool {
		if got, err := echoed(c, "hello"); err != nil || !strings.Contains(got, "hello") {
			t.Fatalf("a call: %q %v", got, err)
		}
		return g.Stats(t).Token >= before+2
	})
}

// atOnce makes eight calls with a token that the server takes for expired: one refresh serves them all.
func atOnce(t *testing.T, g *authtest.Guarded, c *faultClient) {
	t.Helper()
	before, begun := g.Stats(t).Token, time.Now()
	g.RefuseKnown()
	var calls sync.WaitGroup
	for i := range 8 {
		calls.Go(func() {
			text := fmt.Sprintf("call %d", i)
			if got, err := echoed(c, text); err != nil || !strings.Contains(got, text) {
				t.Errorf("%s: %q %v", text, got, err)
			}
		})
	}
	calls.Wait()
	// tokens are renewed by the clock as well
	if most := 1 + int(time.Since(begun)/time.Second); g.Stats(t).Token-before > most {
		t.Errorf("%d refreshes for 8 calls in %s", g.Stats(t).Token-before, time.Since(begun))
	}
}

// revoke revokes the refresh token at the authorization server, as its owner may do there.
func revoke(t *testing.T, d *desk, g *authtest.Guarded) {
	t.Helper()
	s, err := store.Open(store.Options{Credentials: config.Credentials{Store: "file", Path: filepath.Join(d.home, ".state", "plait", "auth")}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	keys, err := s.List(t.Context(), store.Grants)
	if err != nil || len(keys) != 1 {
		t.Fatalf("%d grants, %v", len(keys), err)
	}
	var grant struct {
		Refresh string
		Client  struct {
			ID     string `json:"client_id"`
			Secret string `json:"client_secret"`
		}
	}
	if _, err := s.Load(t.Context(), store.Grants, keys[0], &grant); err != nil {
		t.Fatal(err)
	}
	var metadata struct {
		Revocation string `json:"revocation_endpoint"`
	}
	if err := json.Unmarshal([]byte(g.Get(t, "/.well-known/openid-configuration")), &metadata); err != nil {
		t.Fatal(err)
	}
	resp, err := http.PostForm(metadata.Revocation, url.Values{"token": {grant.Refresh}, "token_type_hint": {"refresh_token"}, "client_id": {grant.Client.ID}, "client_secret": {grant.Client.Secret}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("revoke: %s", resp.Status)
	}
	g.RefuseKnown()
}

var connectLink = regexp.MustCompile(`http://127\.0\.0\.1:\d+/connect/[0-9a-f]+`)

// askedToSignIn calls a tool, which is listed although nobody is signed in, and returns the link that the answer has.
func askedToSignIn(t *testing.T, c *faultClient) string {
	t.Helper()
	a, err := c.request("tools/call", `{"name":"echo","arguments":{"message":"who am I"}}`)
	if err != nil || a.Error != nil {
		t.Fatalf("a call without a sign-in: %+v %v", a.Error, err)
	}
	link := connectLink.FindString(a.text())
	if link == "" || !strings.Contains(a.text(), "plait auth login everything") {
		t.Fatalf("a call without a sign-in says %s", a.line)
	}
	return link
}

func hostOf(tb testing.TB, address string) string {
	tb.Helper()
	u, err := url.Parse(address)
	if err != nil {
		tb.Fatal(err)
	}
	return u.Host
}

// TestBrowserSignInToAll signs in to the servers of two authorization servers on the page of plait auth login --all.
func TestBrowserSignInToAll(t *testing.T) {
	t.Parallel()
	b := flowtest.Start(t)
	story := func() http.Handler { return server.NewStreamableHTTPServer(newStory()) }
	work := authtest.GuardAll(t, []http.Handler{story(), story()}, "AS_FORMS=1")
	home := authtest.Guard(t, story(), "AS_FORMS=1")
	b.Ignore(work[0].Issuer)
	b.Ignore(home.Issuer)
	d := newDesk(t, b, map[string]any{
		"wiki": map[string]any{"url": work[0].URL}, "tickets": map[string]any{"url": work[1].URL}, "music": map[string]any{"url": home.URL},
	})
	login := d.start("auth", "login", "--all", "--non-interactive=false")
	b.Go(d.given())
	b.AwaitTitle("Sign in to your servers")
	b.Await("document.querySelectorAll('a.do').length === 3")
	b.Look("all-before")
	b.Click("#next")
	for range 3 {
		b.Await("/^(login|consent)$/.test(document.title)")
		if b.Title() == "login" {
			b.Click("button")
			b.AwaitTitle("consent")
		}
		b.Click("button")
		b.Await("!/^(login|consent)$/.test(document.title)") // back at plait, which goes on by itself
	}
	b.AwaitTitle("You are signed in everywhere")
	b.Look("all-after")
	p := login(0)
	d.untouched()
	for _, name := range []string{"wiki", "tickets", "music"} {
		if !strings.Contains(p.stdout.String()+p.stderr.String(), name+": signed in") {
			t.Errorf("the terminal does not say that %s is signed in:\n%s%s", name, p.stdout.String(), p.stderr.String())
		}
	}
	d.run(0, "preflight")
}
