package auth_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/auth/authtest"
	"github.com/plait-mcp/plait/config"
)

// TestM1OpenServer talks to a server that wants nothing: no OAuth at all.
func TestM1OpenServer(t *testing.T) {
	asked := make(chan string, 16)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path + " " + r.Header.Get("Authorization")
		if r.URL.Path != "/mcp" {
			http.NotFound(w, r)
		}
	})
	server := remote("open", s.URL+"/mcp", nil)
	p := newProcess(t, folder(t))
	c := p.client(server)
	works(t, c, server.URL)
	works(t, c, server.URL)
	close(asked)
	for got := range asked {
		if got != "/mcp " {
			t.Errorf("the server was asked %q", got)
		}
	}
	if s := p.Status(t.Context(), []*config.Server{server}); s[0].State != auth.StateAnonymous {
		t.Errorf("status = %+v", s)
	}
}

// TestM1LaterChallenge has an open server ask for a token later.
func TestM1LaterChallenge(t *testing.T) {
	w := newWorld(t, 1)
	open := true
	w.serve = func(rw http.ResponseWriter, r *http.Request) bool { return open && r.URL.Path == "/mcp" }
	c := newProcess(t, folder(t)).client(remote("api", w.url(0), nil))
	works(t, c, w.url(0))
	open = false
	fails[*auth.LoginRequiredError](t, c, w.url(0))
}

// TestM1OpenDoor is about a server that greets everybody and asks for a token when somebody wants something: who signs
// in, in whatever process, knows of that challenge.
func TestM1OpenDoor(t *testing.T) {
	w := newWorld(t, 1)
	w.serve = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/mcp" || r.Header.Get("Authorization") != "" {
			return false
		}
		if body, _ := io.ReadAll(r.Body); !strings.Contains(string(body), `"initialize"`) {
			rw.Header().Set("WWW-Authenticate", `Bearer scope="special"`)
			rw.WriteHeader(http.StatusUnauthorized)
		}
		return true
	}
	dir, server := folder(t), remote("api", w.url(0), nil)
	p := newProcess(t, dir)
	if _, err := p.Begin(t.Context(), server, auth.BeginOptions{}); !errors.Is(err, auth.ErrNotNeeded) {
		t.Fatalf("before anything was wanted: %v", err)
	}
	c := p.client(server)
	fails[*auth.LoginRequiredError](t, c, w.url(0))
	newProcess(t, dir).mustSignIn(server)
	works(t, c, w.url(0))
	if got := w.asked[0].Get("scope"); got != "special" {
		t.Errorf("asked for %q", got)
	}
}

// TestA14TokenOnEveryRequest looks at what a server gets.
func TestA14TokenOnEveryRequest(t *testing.T) {
	w := newWorld(t, 1)
	server := remote("api", w.url(0), nil)
	var queries []string
	w.serve = func(_ http.ResponseWriter, r *http.Request) bool {
		w.change(func() { queries = append(queries, r.URL.RawQuery) })
		return false
	}
	p := newProcess(t, folder(t))
	p.mustSignIn(server)
	c := p.client(server)
	w.change(func() { w.seen = nil })
	for range 3 {
		works(t, c, w.url(0))
	}
	for _, got := range w.seen {
		if !strings.HasPrefix(got, "Bearer access-") {
			t.Errorf("Authorization = %q", got)
		}
	}
	if len(w.seen) != 3 || strings.Join(queries, "") != "" {
		t.Errorf("%d requests, queries %q", len(w.seen), queries)
	}
}

// TestA15OnlyItsOwnTokens has two servers of one identity at two authorization servers.
func TestA15OnlyItsOwnTokens(t *testing.T) {
	one, two := newWorld(t, 1), newWorld(t, 1)
	identity := config.NewIdentity("me", config.GrantAuthorizationCode)
	a, b := remote("a", one.url(0), identity), remote("b", two.url(0), identity)
	p := newProcess(t, folder(t), a, b)
	p.mustSignIn(a)
	fails[*auth.LoginRequiredError](t, p.client(b), b.URL)
	p.mustSignIn(b)
	works(t, p.client(a), a.URL)
	works(t, p.client(b), b.URL)
	for _, w := range []*world{one, two} {
		for _, got := range w.seen {
			if token := strings.TrimPrefix(got, "Bearer "); got != "" && w.access[token] == "" {
				t.Errorf("%s got %q, which is not of its authorization server", w.url(0), got)
			}
		}
	}
}

// TestM31RefusedToken has a server refuse a token that should be good: that one is renewed, once for all who ask.
func TestM31RefusedToken(t *testing.T) {
	w := newWorld(t, 1)
	server := remote("api", w.url(0), nil)
	p := newProcess(t, folder(t))
	p.mustSignIn(server)
	c := p.client(server)
	works(t, c, w.url(0))
	w.expireAll()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { works(t, c, w.url(0)) })
	}
	all.Wait()
	if n, reused := w.count(&w.refreshes), w.count(&w.reuses); n != 1 || reused != 0 {
		t.Errorf("%d refreshes, %d reused", n, reused)
	}
}

// TestExpiredTokenIsOneRefresh has 8 calls at once on a token that expired, at a real server that rotates.
func TestExpiredTokenIsOneRefresh(t *testing.T) {
	guarded := authtest.Guard(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), "AS_TTL=3600")
	server := remote("api", guarded.URL, nil)
	p := newProcess(t, folder(t))
	p.mustSignIn(server)
	c := p.client(server)
	works(t, c, server.URL)
	before := guarded.Stats(t).Token
	guarded.RefuseKnown()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { works(t, c, server.URL) })
	}
	all.Wait()
	if stats := guarded.Stats(t); stats.Token != before+1 || stats.Reuse != 0 {
		t.Errorf("stats = %+v, want one token more than %d", stats, before)
	}
}

// TestM27Revoked has the refresh token revoked: one clear message, nothing is deleted, and one sign-in repairs it.
func TestM27Revoked(t *testing.T) {
	w := newWorld(t, 1)
	server := remote("api", w.url(0), nil)
	dir := folder(t)
	p, q := newProcess(t, dir), newProcess(t, dir)
	p.mustSignIn(server)
	c, d := p.client(server), q.client(server)
	works(t, c, w.url(0))
	works(t, d, w.url(0))
	w.revokeAll()
	for range 3 {
		need := fails[*auth.LoginRequiredError](t, c, w.url(0))
		if need.ID != auth.IDExpired || need.Error() != "api needs you to sign in: the sign-in expired or was revoked; run plait auth login api" {
			t.Errorf("error = %v", need)
		}
		fails[*auth.LoginRequiredError](t, d, w.url(0))
	}
	if n := w.count(&w.refreshes); n != 1 {
		t.Errorf("%d refreshes, want one for both processes", n)
	}
	if n := strings.Count(p.log.String()+q.log.String(), "sign-in needed"); n != 1 {
		t.Errorf("said %d times that a sign-in is needed", n)
	}
	woken := [2]<-chan struct{}{c.Changed(), d.Changed()}
	q.mustSignIn(server)
	for _, ch := range woken {
		wait(t, ch)
	}
	works(t, c, w.url(0))
	works(t, d, w.url(0))
	if n := w.count(&w.authorizations); n != 2 {
		t.Errorf("%d sign-ins, want two", n)
	}
}

// wait waits for a channel to be closed.
func wait(t *testing.T, c <-chan struct{}) {
	t.Helper()
	timer := newTimer(t)
	select {
	case <-c:
	case <-timer:
		t.Fatal("nothing happened")
	}
}

// TestB7Union has a step-up ask for all that was asked for before.
func TestB7Union(t *testing.T) {
	w := newWorld(t, 1)
	server := remote("api", w.url(0), nil)
	p := newProcess(t, folder(t))
	p.mustSignIn(server)
	c := p.client(server)
	step := fails[*auth.StepUpRequiredError](t, c, w.url(0)+"?need=write")
	if strings.Join(step.Scopes, " ") != "read write" || strings.Join(step.Missing, " ") != "write" || step.Again {
		t.Errorf("error = %+v", step)
	}
	woken := c.Changed()
	p.mustSignIn(server)
	wait(t, woken)
	if got := w.asked[len(w.asked)-1].Get("scope"); got != "read write" {
		t.Errorf("scope = %q", got)
	}
	works(t, c, w.url(0)+"?need=write")
	if n := w.count(&w.refreshes); n != 0 {
		t.Errorf("%d refreshes: they never give more", n)
	}
}

// TestA16StepUpEnds has a server that is never content: it is asked once.
func TestA16StepUpEnds(t *testing.T) {
	w := newWorld(t, 1)
	w.token = func(form url.Values) (int, any, bool) {
		return http.StatusOK, w.issue(form.Get("resource"), "read", true), true // whatever was asked for
	}
	server := remote("api", w.url(0), nil)
	p := newProcess(t, folder(t))
	p.mustSignIn(server)
	c := p.client(server)
	if fails[*auth.StepUpRequiredError](t, c, w.url(0)+"?need=admin").Again {
		t.Error("the first step-up counts as a second one")
	}
	p.mustSignIn(server)
	for range 3 {
		if step := fails[*auth.StepUpRequiredError](t, c, w.url(0)+"?need=admin"); !step.Again || !strings.Contains(step.Error(), "was not given it") {
			t.Errorf("error = %+v", step)
		}
	}
	works(t, c, w.url(0))
}

// TestM33NeverByRefresh is A16 for the other side: nothing is renewed for want of a scope.
func TestM33NeverByRefresh(t *testing.T) {
	w := newWorld(t, 1)
	server := remote("api", w.url(0), nil)
	p := newProcess(t, folder(t))
	p.mustSignIn(server)
	c := p.client(server)
	calls := w.count(&w.tokenCalls)
	for range 4 {
		step := fails[*auth.StepUpRequiredError](t, c, w.url(0)+"?need=write")
		if step.ID != auth.IDStepUp || !strings.HasSuffix(step.Error(), "run plait auth login api") {
			t.Errorf("error = %v", step)
		}
	}
	if n := w.count(&w.tokenCalls); n != calls {
		t.Errorf("%d token requests for want of a scope", n-calls)
	}
}

// TestM34Forbidden has a server forbid something for other reasons: its own answer counts.
func TestM34Forbidden(t *testing.T) {
	w := newWorld(t, 1)
	server := remote("api", w.url(0), nil)
	p := newProcess(t, folder(t))
	p.mustSignIn(server)
	for _, challenge := range []string{"", "Basic realm=x", `Bearer error="access_denied"`} {
		w.change(func() {
			w.serve = func(rw http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/mcp" {
					return false
				}
				if challenge != "" {
					rw.Header().Set("WWW-Authenticate", challenge)
				}
				http.Error(rw, "not on Sundays", http.StatusForbidden)
				return true
			}
		})
		if status, body, err := post(t, p.client(server), w.url(0)); status != http.StatusForbidden || body != "not on Sundays\n" || err != nil {
			t.Errorf("with %q: %d %q, %v", challenge, status, body, err)
		}
	}
}

// TestM35ForbiddenAtInitialize is typed whatever the request is.
func TestM35ForbiddenAtInitialize(t *testing.T) {
	w := newWorld(t, 1)
	server := remote("api", w.url(0), nil)
	p := newProcess(t, folder(t))
	p.mustSignIn(server)
	c := p.client(server)
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url(0)+"?need=admin", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"initialize"}`))
	resp, err := c.HTTP.Do(r)
	if err == nil {
		resp.Body.Close()
	}
	if id, next := auth.Advice(err); id != auth.IDStepUp || next != "run plait auth login api" {
		t.Errorf("error = %v", err)
	}
}

// TestB9EveryRequest has requests of one session and of none: each carries the token.
func TestB9EveryRequest(t *testing.T) {
	w := newWorld(t, 1)
	server := remote("api", w.url(0), nil)
	p := newProcess(t, folder(t))
	p.mustSignIn(server)
	c := p.client(server)
	w.change(func() { w.seen = nil })
	for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
		for _, session := range []string{"", "the-same"} {
			r, _ := http.NewRequestWithContext(t.Context(), method, server.URL, nil)
			if session != "" {
				r.Header.Set("Mcp-Session-Id", session)
			}
			do(t, c.HTTP, r)
		}
	}
	for _, got := range w.seen {
		if !strings.HasPrefix(got, "Bearer access-") {
			t.Errorf("Authorization = %q", got)
		}
	}
	if len(w.seen) != 6 {
		t.Errorf("%d requests", len(w.seen))
	}
}
