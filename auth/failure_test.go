package auth_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/auth/authtest"
	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/config"
)

// TestM2NotOAuth has servers that want authentication and know no OAuth: their own answer is passed on, and
// the status says what to do.
func TestM2NotOAuth(t *testing.T) {
	for _, challenge := range []string{"", "Basic realm=x", "Unknown"} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/mcp" {
				http.NotFound(w, r)
				return
			}
			if challenge != "" {
				w.Header().Set("WWW-Authenticate", challenge)
			}
			http.Error(w, "who are you", http.StatusUnauthorized)
		})
		server := remote("api", s.URL+"/mcp", nil)
		p := newProcess(t, folder(t))
		if status, body, err := post(t, p.client(server), server.URL); status != http.StatusUnauthorized || body != "who are you\n" || err != nil {
			t.Errorf("with %q: %d %q, %v", challenge, status, body, err)
		}
		refused, ok := errors.AsType[*auth.RefusedError](p.signIn(server))
		if !ok || refused.ID != auth.IDNotOAuth || !strings.Contains(refused.Error(), "offers no OAuth metadata; set headers of the server, or an identity of grant: header or basic") {
			t.Errorf("SignIn() = %v", refused)
		}
	}
}

// TestM7Moved has a server move to another authorization server: nothing of the old one goes there.
func TestM7Moved(t *testing.T) {
	old, next := newWorld(t, 1), newWorld(t, 0)
	server := remote("api", old.url(0), nil)
	p := newProcess(t, folder(t))
	p.mustSignIn(server)
	c := p.client(server)
	works(t, c, server.URL)
	old.change(func() {
		clear(old.access)
		old.issuer = next.as.URL
		old.token = func(url.Values) (int, any, bool) {
			return http.StatusOK, object{"access_token": "useless", "token_type": "Bearer"}, true
		}
	})
	later(t, p)
	need := fails[*auth.LoginRequiredError](t, c, server.URL)
	if need.ID != auth.IDMoved || !strings.Contains(need.Error(), "moved to a new authorization server "+strings.TrimPrefix(next.as.URL, "http://")) {
		t.Errorf("error = %v", need)
	}
	if next.tokenCalls+next.registrations+len(next.seen) != 0 {
		t.Error("the new authorization server was asked for something")
	}
	old.change(func() { old.token = nil })
	next.change(func() { next.token = nil })
	woken := c.Changed()
	q := newProcess(t, p.dir)
	if s := q.Status(t.Context(), []*config.Server{server})[0]; s.State != auth.StateNeedsLogin || s.ID != auth.IDMoved {
		t.Errorf("status = %+v", s)
	}
	q.mustSignIn(server)
	wait(t, woken)
	for _, form := range next.forms {
		if strings.Contains(form.Encode(), "refresh-") {
			t.Errorf("the new authorization server got %v", form)
		}
	}
	if next.registrations != 1 {
		t.Errorf("%d registrations at the new one", next.registrations)
	}
}

// later has what was discovered be two minutes old. It counts for a day as long as nothing goes wrong.
func later(t *testing.T, p *process) {
	t.Helper()
	kept, err := store.Open(store.Options{Dir: p.dir, Credentials: config.Credentials{Store: "file"}})
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	keys, err := kept.List(t.Context(), store.Discovery)
	if err != nil || len(keys) == 0 {
		t.Fatalf("List() = %v, %v", keys, err)
	}
	for _, key := range keys {
		var e discovery.Entry
		if _, err := kept.Load(t.Context(), store.Discovery, key, &e); err != nil {
			t.Fatal(err)
		}
		e.At = e.At.Add(-2 * time.Minute)
		if err := kept.Put(t.Context(), store.Discovery, key, &e); err != nil {
			t.Fatal(err)
		}
	}
}

// TestB5AnotherServer has a client that somebody registered by hand: it is not shown to another authorization server.
func TestB5AnotherServer(t *testing.T) {
	old, next := newWorld(t, 1), newWorld(t, 0)
	identity := config.NewIdentity("me", config.GrantAuthorizationCode)
	identity.ClientID = "by-hand"
	server := remote("api", old.url(0), identity)
	p := newProcess(t, folder(t))
	p.mustSignIn(server)
	c := p.client(server)
	works(t, c, server.URL)
	old.change(func() { clear(old.access); old.issuer = next.as.URL; clear(old.refresh) })
	later(t, p)
	_, _, _ = post(t, c, server.URL)
	refused, ok := errors.AsType[*auth.RefusedError](p.signIn(server))
	if !ok || refused.ID != auth.IDMoved || !strings.Contains(refused.Error(), "plait auth reset me") {
		t.Errorf("SignIn() = %v", refused)
	}
	if len(next.asked) != 0 {
		t.Errorf("the client was shown to another authorization server: %v", next.asked)
	}
}

// TestSourceGivesNothing has an assertion come from a variable that is not set, and from a file that is not there: that is
// no trouble of the network.
func TestSourceGivesNothing(t *testing.T) {
	w := newWorld(t, 1)
	for _, a := range []config.Assertion{{From: "env", Env: "JOB_TOKEN"}, {From: "file", File: "missing"}} {
		identity := config.NewIdentity("job", config.GrantJWTBearer)
		identity.Issuer, identity.Assertion = w.as.URL, a
		server := remote("api", w.url(0), identity)
		refused := fails[*auth.RefusedError](t, newProcess(t, folder(t)).client(server), server.URL)
		if refused.ID != auth.IDSource || !strings.Contains(refused.Error(), "assertion") {
			t.Errorf("from %s: %v", a.From, refused)
		}
	}
}

// TestEnterpriseSendsNobody has an identity of an organization that says neither where people sign in nor where their ID
// token is: nobody is sent to the authorization server of the resource instead.
func TestEnterpriseSendsNobody(t *testing.T) {
	w := newWorld(t, 1)
	identity := config.NewIdentity("corp", config.GrantEnterprise)
	identity.ClientID, identity.IDP = "plait", &config.IdentityProvider{TokenEndpoint: w.as.URL + "/token", ClientID: "plait"}
	server := remote("api", w.url(0), identity)
	p := newProcess(t, folder(t))
	fails[*auth.LoginRequiredError](t, p.client(server), server.URL)
	refused, ok := errors.AsType[*auth.RefusedError](p.signIn(server))
	if !ok || !strings.Contains(refused.Error(), "authorizationEndpoint") {
		t.Errorf("SignIn() = %v", refused)
	}
	if w.count(&w.authorizations) != 0 {
		t.Error("somebody was sent to the authorization server")
	}
}

// TestM9PrunedClient has an authorization server forget the client that plait registered: it registers again.
func TestM9PrunedClient(t *testing.T) {
	as := authtest.Start(t)
	server := remote("api", as.Resource, nil)
	p := newProcess(t, folder(t))
	p.mustSignIn(server)
	id := p.Status(t.Context(), []*config.Server{server})[0].ClientID
	as.Forget(t, id)
	ctx, cancel := context.WithTimeout(t.Context(), hung)
	defer cancel()
	if err := p.SignIn(ctx, server, auth.SignInOptions{Force: true, Show: func(to auth.Prompt) { authtest.Visit(t, to.URL) }}); err != nil {
		t.Fatal(err)
	}
	if s := p.Status(t.Context(), []*config.Server{server})[0]; s.ClientID == id || s.State != auth.StateReady {
		t.Errorf("status = %+v", s)
	}
	if !strings.Contains(p.log.String(), "the saved client registration was no longer valid") {
		t.Error("nothing is said of it")
	}
}

// TestM9ManagedClient has an authorization server that gives another token whenever it is asked for a registration:
// plait keeps it, so that the client stays the same.
func TestM9ManagedClient(t *testing.T) {
	w := newWorld(t, 1)
	w.managed = 1
	server := remote("api", w.url(0), nil)
	p := newProcess(t, folder(t))
	p.mustSignIn(server)
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), hung)
		err := p.SignIn(ctx, server, auth.SignInOptions{Force: true, Show: func(to auth.Prompt) { authtest.Visit(t, to.URL) }})
		cancel()
		if err != nil {
			t.Fatal(err)
		}
	}
	if w.count(&w.registrations) != 1 || w.count(&w.managed) != 4 {
		t.Errorf("%d registrations, the last of %d tokens", w.registrations, w.managed)
	}
}

// TestM9PrunedClientBeforeTheTab has an authorization server forget the client that cannot be asked by RFC 7592: it is
// noticed before somebody is sent to its page.
func TestM9PrunedClientBeforeTheTab(t *testing.T) {
	w := newWorld(t, 1)
	w.knowsClients = true
	server := remote("api", w.url(0), nil)
	p := newProcess(t, folder(t))
	p.mustSignIn(server)
	w.revokeAll()
	fails[*auth.LoginRequiredError](t, p.client(server), server.URL)
	p.mustSignIn(server)
	if w.registrations != 1 {
		t.Errorf("%d registrations although the first is good", w.registrations)
	}
	w.revokeAll()
	w.change(func() { clear(w.clients) })
	fails[*auth.LoginRequiredError](t, p.client(server), server.URL)
	p.mustSignIn(server)
	works(t, p.client(server), server.URL)
	if w.registrations != 2 {
		t.Errorf("%d registrations", w.registrations)
	}
}

// TestM10ClientRefused has a token endpoint refuse the client: one that plait registered is registered anew with the next
// sign-in, one of the configuration is told to the person.
func TestM10ClientRefused(t *testing.T) {
	refuse := func(form url.Values) (int, any, bool) {
		return http.StatusUnauthorized, object{"error": "invalid_client"}, form.Get("grant_type") == "refresh_token"
	}
	t.Run("registered by plait", func(t *testing.T) {
		w := newWorld(t, 1)
		server := remote("api", w.url(0), nil)
		p := newProcess(t, folder(t))
		p.mustSignIn(server)
		w.change(func() { clear(w.access); w.token = refuse })
		c := p.client(server)
		if need := fails[*auth.LoginRequiredError](t, c, server.URL); !strings.Contains(need.Error(), "has forgotten plait's registration") {
			t.Errorf("error = %v", need)
		}
		p.mustSignIn(server)
		if w.registrations != 2 {
			t.Errorf("%d registrations", w.registrations)
		}
	})
	t.Run("configured", func(t *testing.T) {
		w := newWorld(t, 1)
		identity := config.NewIdentity("me", config.GrantAuthorizationCode)
		identity.ClientID = "my-client-1234"
		server := remote("api", w.url(0), identity)
		p := newProcess(t, folder(t))
		p.mustSignIn(server)
		w.change(func() { clear(w.access); w.token = refuse })
		refused := fails[*auth.RefusedError](t, p.client(server), server.URL)
		if refused.ID != auth.IDClientRefused || !strings.Contains(refused.Error(), "refused the client …1234 (invalid_client); check clientId, clientSecret") {
			t.Errorf("error = %v", refused)
		}
	})
}

// TestM21Declined has a person say no: nothing asks again, and the state says so.
func TestM21Declined(t *testing.T) {
	w := newWorld(t, 1)
	w.authorize = func(url.Values) (url.Values, bool) { return url.Values{"error": {"access_denied"}}, true }
	server := remote("api", w.url(0), nil)
	p := newProcess(t, folder(t))
	need, ok := errors.AsType[*auth.LoginRequiredError](p.signIn(server))
	if !ok || need.ID != auth.IDDeclined || !strings.Contains(need.Error(), "you declined access") {
		t.Fatalf("SignIn() = %v", need)
	}
	c := p.client(server)
	if need := fails[*auth.LoginRequiredError](t, c, server.URL); need.ID != auth.IDDeclined {
		t.Errorf("error = %+v", need)
	}
	if s := p.Status(t.Context(), []*config.Server{server})[0]; s.State != auth.StateDeclined || s.Next != "run plait auth login api" {
		t.Errorf("status = %+v", s)
	}
	if w.count(&w.authorizations) != 1 {
		t.Errorf("asked %d times", w.authorizations)
	}
	w.change(func() { w.authorize = nil })
	p.mustSignIn(server)
	works(t, c, server.URL)
}

// TestM25Unavailable has the token endpoint in trouble: nothing is lost, nobody is asked, and it is left alone for a
// while.
func TestM25Unavailable(t *testing.T) {
	for name, trouble := range map[string]func(url.Values) (int, any, bool){
		"503": func(url.Values) (int, any, bool) { return http.StatusServiceUnavailable, object{}, true },
		"429": func(url.Values) (int, any, bool) {
			return http.StatusTooManyRequests, object{"error": "invalid_grant"}, true
		},
		"200 page": func(url.Values) (int, any, bool) { return http.StatusOK, "<html>please wait", true },
		"502 page": func(url.Values) (int, any, bool) { return http.StatusBadGateway, "<html>invalid_grant", true },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1)
			server := remote("api", w.url(0), nil)
			p := newProcess(t, folder(t))
			p.mustSignIn(server)
			c := p.client(server)
			w.change(func() { clear(w.access); w.token = trouble })
			for range 10 {
				if e := fails[*auth.UnavailableError](t, c, server.URL); e.ID != auth.IDUnavailable || strings.Contains(e.Error(), "auth login") {
					t.Errorf("error = %v", e)
				}
			}
			if n := w.count(&w.tokenCalls); n > 4 {
				t.Errorf("asked %d times at once", n)
			}
			w.change(func() { w.token = nil })
			c.Retry()
			works(t, c, server.URL)
			if w.authorizations != 1 {
				t.Errorf("%d sign-ins", w.authorizations)
			}
		})
	}
}

// TestM32FreshTokensRefused has a server refuse everything: it is sent no more tokens for a while.
func TestM32FreshTokensRefused(t *testing.T) {
	w := newWorld(t, 1)
	server := remote("api", w.url(0), nil)
	p := newProcess(t, folder(t))
	p.mustSignIn(server)
	c := p.client(server)
	w.change(func() {
		w.seen = nil
		w.serve = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/mcp" {
				return false
			}
			w.change(func() { w.seen = append(w.seen, r.Header.Get("Authorization")) })
			rw.WriteHeader(http.StatusUnauthorized)
			return true
		}
	})
	for range 10 {
		refused := fails[*auth.RefusedError](t, c, server.URL)
		if refused.ID != auth.IDTokenRefused || !strings.Contains(refused.Error(), "rejects tokens that its own authorization server has just issued (audience or scope?)") {
			t.Errorf("error = %v", refused)
		}
	}
	if sent, got := len(w.seen), w.count(&w.refreshes); sent > 6 || got > 3 {
		t.Errorf("%d requests with %d new tokens until it was left alone", sent, got)
	}
	w.change(func() { w.serve = nil })
	c.Retry()
	works(t, c, server.URL)
}

// TestM42MachineRefused has client credentials refused: nobody is ever asked, and not too often.
func TestM42MachineRefused(t *testing.T) {
	w := newWorld(t, 1)
	w.token = func(url.Values) (int, any, bool) {
		return http.StatusUnauthorized, object{"error": "invalid_client"}, true
	}
	identity := config.NewIdentity("bot", config.GrantClientCredentials)
	identity.ClientID, identity.ClientSecret = "bot", "s3cret-canary"
	server := remote("api", w.url(0), identity)
	p := newProcess(t, folder(t))
	c := p.client(server)
	for range 10 {
		refused := fails[*auth.RefusedError](t, c, server.URL)
		if refused.ID != auth.IDClientRefused || strings.Contains(refused.Error(), "auth login") || strings.Contains(refused.Error(), "canary") {
			t.Errorf("error = %v", refused)
		}
	}
	if n := w.count(&w.tokenCalls); n > 4 {
		t.Errorf("%d requests at once", n)
	}
	if _, err := p.Begin(t.Context(), server, auth.BeginOptions{}); !errors.Is(err, auth.ErrNotNeeded) {
		t.Errorf("Begin() = %v", err)
	}
	if s := p.Status(t.Context(), []*config.Server{server})[0]; s.State != auth.StateMisconfigured || s.ID != auth.IDClientRefused {
		t.Errorf("status = %+v", s)
	}
	if strings.Contains(p.log.String(), "canary") {
		t.Error("the log has a secret")
	}
	w.change(func() { w.token = nil })
	c.Retry()
	works(t, c, server.URL)
}

// TestM46OtherOrigin has a server send plait elsewhere: no token goes there.
func TestM46OtherOrigin(t *testing.T) {
	other := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("another origin was asked, with %q", r.Header.Get("Authorization"))
	})
	w := newWorld(t, 1)
	server := remote("api", w.url(0), nil)
	p := newProcess(t, folder(t))
	p.mustSignIn(server)
	c := p.client(server)
	w.change(func() {
		w.serve = func(rw http.ResponseWriter, r *http.Request) bool {
			http.Redirect(rw, r, other.URL, http.StatusTemporaryRedirect)
			return true
		}
	})
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if resp, err := c.HTTP.Do(r); err == nil || !strings.Contains(err.Error(), "another origin") {
		resp.Body.Close()
		t.Errorf("GET = %v", err)
	}
	shown := make(chan string, 1)
	elsewhere := serve(t, func(_ http.ResponseWriter, r *http.Request) { shown <- r.Header.Get("Authorization") })
	r, _ = http.NewRequestWithContext(t.Context(), http.MethodGet, elsewhere.URL, nil)
	do(t, c.HTTP, r)
	if got := <-shown; got != "" {
		t.Errorf("another origin got %q", got)
	}
}

// TestM40NobodyThere never waits for a person who is not there.
func TestM40NobodyThere(t *testing.T) {
	w := newWorld(t, 1)
	server := remote("api", w.url(0), nil)
	p := newProcess(t, folder(t))
	opened := func(context.Context, string) error { return errors.New("a browser was opened") }
	err := p.SignIn(t.Context(), server, auth.SignInOptions{Method: auth.MethodNone, Open: opened})
	if need, ok := errors.AsType[*auth.LoginRequiredError](err); !ok || need.ID != auth.IDSignIn {
		t.Errorf("SignIn() = %v", err)
	}
	fails[*auth.LoginRequiredError](t, p.client(server), server.URL)
	if w.authorizations+w.registrations != 0 {
		t.Errorf("%d authorizations, %d registrations", w.authorizations, w.registrations)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	shown := ""
	err = p.SignIn(ctx, server, auth.SignInOptions{Show: func(to auth.Prompt) { shown = to.URL }})
	if !errors.Is(err, context.DeadlineExceeded) || shown == "" {
		t.Errorf("SignIn() = %v after %q", err, shown)
	}
	authtest.Visit(t, shown) // late, and still good
	works(t, p.client(server), server.URL)
}

// TestA1NoOAuthForCommands has nothing to do with servers that are commands.
func TestA1NoOAuthForCommands(t *testing.T) {
	server := &config.Server{Name: "child", Command: "child"}
	p := newProcess(t, folder(t))
	if s := p.Status(t.Context(), []*config.Server{server}); len(s) != 0 {
		t.Errorf("status = %+v", s)
	}
	if _, err := os.Stat(p.dir); !os.IsNotExist(err) {
		t.Errorf("the store was touched: %v", err)
	}
}
