package auth_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/auth/authtest"
	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/config"
)

// hung bounds what would otherwise wait for ever.
const hung = time.Minute

// process is a Manager as a process of plait has it.
type process struct {
	*auth.Manager

	t   *testing.T
	dir string
	log *lockedBuffer
}

// lockedBuffer is a log.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// newProcess starts a process whose store is in a folder; "" is none.
func newProcess(t *testing.T, dir string, servers ...*config.Server) *process {
	t.Helper()
	log := &lockedBuffer{}
	logger := hclog.New(&hclog.LoggerOptions{Output: log, Level: hclog.Debug})
	kept, err := store.Open(store.Options{Dir: dir, Credentials: config.Credentials{Store: "file"}, Log: logger})
	if err != nil {
		t.Fatal(err)
	}
	options := auth.Options{Store: kept, Auth: config.Auth{Callback: config.Callback{Host: "127.0.0.1"}, Timeout: hung}, Version: "test", Log: logger}
	if len(servers) > 0 {
		options.Servers = func() []*config.Server { return servers }
	}
	p := &process{Manager: auth.NewManager(t.Context(), options), t: t, dir: dir, log: log}
	t.Cleanup(func() {
		p.Close()
		_ = kept.Close()
		if t.Failed() {
			t.Logf("log of %s:\n%s", t.Name(), log)
		}
	})
	return p
}

// client returns the client of a server in the process.
func (p *process) client(server *config.Server) *auth.Client {
	p.t.Helper()
	c, err := p.Client(server)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(c.Close)
	return c
}

// signIn signs in with a person who agrees to everything.
func (p *process) signIn(server *config.Server) error {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), hung)
	defer cancel()
	return p.SignIn(ctx, server, auth.SignInOptions{Show: func(to auth.Prompt) { authtest.Visit(p.t, to.URL) }})
}

// mustSignIn is signIn that works.
func (p *process) mustSignIn(server *config.Server) {
	p.t.Helper()
	if err := p.signIn(server); err != nil {
		p.t.Fatalf("SignIn(%s) = %v", server.Name, err)
	}
}

// remote returns a server as the configuration has it; nil is no identity in the file.
func remote(name, url string, identity *config.Identity) *config.Server {
	if identity == nil {
		identity = config.NewIdentity(name, config.GrantAuto)
		identity.Implicit = true
	}
	return &config.Server{Name: name, URL: url, Type: config.HTTP, Identity: identity}
}

// post sends a request and returns status and body.
func post(t *testing.T, c *auth.Client, url string) (int, string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hung)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := c.HTTP.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body), nil
}

// works posts and expects success.
func works(t *testing.T, c *auth.Client, url string) string {
	t.Helper()
	status, body, err := post(t, c, url)
	if err != nil || status != http.StatusOK {
		t.Fatalf("POST %s = %d %q, %v", url, status, body, err)
	}
	return body
}

// fails posts and expects an error of a type.
func fails[E error](t *testing.T, c *auth.Client, url string) E {
	t.Helper()
	status, body, err := post(t, c, url)
	e, ok := errors.AsType[E](err)
	if !ok {
		t.Fatalf("POST %s = %d %q, %v; want an error %T", url, status, body, err, e)
	}
	return e
}

// TestSignInOnce goes through the life of a sign-in at a real authorization server: none, one, silent ones.
func TestSignInOnce(t *testing.T) {
	as := authtest.Start(t, "AS_TTL=60")
	dir := folder(t)
	server := remote("api", as.Resource, nil)
	p := newProcess(t, dir)
	c := p.client(server)
	changed := c.Changed()
	need := fails[*auth.LoginRequiredError](t, c, as.Resource)
	if need.ID != auth.IDSignIn || !strings.HasSuffix(need.Error(), "run plait auth login api") {
		t.Errorf("error = %+v", need)
	}
	p.mustSignIn(server)
	select {
	case <-changed:
	case <-time.After(hung):
		t.Fatal("the client was not woken")
	}
	works(t, c, as.Resource)

	other := newProcess(t, dir) // a restart
	works(t, other.client(server), as.Resource)
	if stats := as.Stats(t); stats.Register != 1 || stats.Token != 1 || stats.Reuse != 0 {
		t.Errorf("stats = %+v, want one registration and one token", stats)
	}
	for _, s := range other.Status(t.Context(), []*config.Server{server}) {
		if s.State != auth.StateReady || s.Issuer != as.Issuer || !s.Refreshable || s.Expires.IsZero() {
			t.Errorf("status = %+v", s)
		}
	}
}

// newTimer returns what tells that something hangs.
func newTimer(t *testing.T) <-chan time.Time {
	t.Helper()
	timer := time.NewTimer(hung)
	t.Cleanup(func() { timer.Stop() })
	return timer.C
}

// folder returns where a store may be.
func folder(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "auth")
}
