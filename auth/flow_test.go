package auth_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/config"
)

// landing returns the address that the authorization server sends the browser to.
func landing(t *testing.T, address string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.Header.Get("Location")
}

// TestAnyProcessFinishes begins a sign-in in a process that ends, and finishes it in one that knows neither the server
// nor the identity, with all that this takes: the client's secret, and the parameters of the token endpoint.
func TestAnyProcessFinishes(t *testing.T) {
	w := newWorld(t, 2)
	identity := config.NewIdentity("me", config.GrantAuthorizationCode)
	identity.ClientID, identity.ClientSecret = "confidential", "s3cret-canary"
	identity.TokenParams = map[string]config.Secret{"tenant": "t-canary"}
	a, b := remote("a", w.url(0), identity), remote("b", w.url(1), identity)
	dir := folder(t)
	p := newProcess(t, dir, a, b)
	c := p.client(b)
	woken := c.Changed()
	fails[*auth.LoginRequiredError](t, c, b.URL)
	begins := newProcess(t, dir, a, b)
	f, err := begins.Begin(t.Context(), a, auth.BeginOptions{})
	if err != nil {
		t.Fatal(err)
	}
	address := f.URL()
	begins.Close()
	stranger := newProcess(t, dir)
	if err := stranger.Paste(t.Context(), landing(t, address)); err != nil {
		t.Fatal(err)
	}
	wait(t, woken)
	works(t, c, b.URL)
	works(t, p.client(a), a.URL)
	for i, form := range w.forms {
		if form.Get("tenant") != "t-canary" || w.proofs[i] != "Basic Y29uZmlkZW50aWFsOnMzY3JldC1jYW5hcnk=" {
			t.Errorf("request %d: %v, shown %q", i, form, w.proofs[i])
		}
	}
	if log := p.log.String() + begins.log.String() + stranger.log.String(); strings.Contains(log, "canary") {
		t.Error("a log has a secret")
	}
}

// TestBeginJoins begins the same sign-in in several processes: it is one, and with more scopes it is another.
func TestBeginJoins(t *testing.T) {
	w := newWorld(t, 1)
	server, dir := remote("api", w.url(0), nil), folder(t)
	p, q := newProcess(t, dir), newProcess(t, dir)
	begin := func(p *process, opts auth.BeginOptions) string {
		t.Helper()
		f, err := p.Begin(t.Context(), server, opts)
		if err != nil {
			t.Fatal(err)
		}
		return f.ID
	}
	first := begin(p, auth.BeginOptions{})
	if again, other := begin(p, auth.BeginOptions{}), begin(q, auth.BeginOptions{}); again != first || other != first {
		t.Errorf("sign-ins %s, %s and %s", first, again, other)
	}
	if more, anew := begin(q, auth.BeginOptions{Scopes: []string{"more"}}), begin(q, auth.BeginOptions{Force: true}); more == first || anew == first {
		t.Errorf("sign-ins %s, %s and %s", first, more, anew)
	}
	if w.registrations != 2 {
		t.Errorf("%d registrations, want one, and one for more scopes", w.registrations)
	}
}

// TestOneTab opens a browser once for a sign-in that many wait for, and where nobody asked for it not again for a while.
func TestOneTab(t *testing.T) {
	w := newWorld(t, 1)
	server, dir := remote("api", w.url(0), nil), folder(t)
	var opened []string
	try := func(p *process, sparing bool) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		err := p.SignIn(ctx, server, auth.SignInOptions{
			Sparing: sparing, Open: func(_ context.Context, url string) error { opened = append(opened, url); return nil },
			Show: func(auth.Prompt) { cancel() },
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("SignIn() = %v", err)
		}
	}
	limit := func(p *process) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_ = p.SignIn(ctx, server, auth.SignInOptions{Sparing: true, Open: func(_ context.Context, url string) error { opened = append(opened, url); return nil }})
	}
	limit(newProcess(t, dir))
	limit(newProcess(t, dir))
	try(newProcess(t, dir), false)
	if len(opened) != 1 || !strings.Contains(opened[0], "/connect/") {
		t.Fatalf("opened %q", opened)
	}
	p := newProcess(t, dir)
	if err := p.SignOut(t.Context(), []*config.Server{server}, auth.SignOutOptions{}); err != nil {
		t.Fatal(err)
	}
	try(p, false) // who gives up after a browser was opened wants one the next time
	try(p, false)
	if len(opened) != 3 {
		t.Errorf("opened %q", opened)
	}
}

// TestExplain shows each step, and that nobody signs in.
func TestExplain(t *testing.T) {
	w := newWorld(t, 1)
	server := remote("api", w.url(0), nil)
	p := newProcess(t, folder(t))
	explain := func() map[string]discovery.Step {
		t.Helper()
		steps, err := p.Explain(t.Context(), server)
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]discovery.Step{}
		for _, s := range steps {
			all[s.Name] = s
		}
		return all
	}
	steps := explain()
	for name, want := range map[string]string{
		"identity": "grant: auto", "challenge of the server": "resource_metadata", "client": "plait registers itself",
		"resource": server.URL, "sign-in": "nobody is signed in",
	} {
		if s := steps[name]; !strings.Contains(s.Detail, want) {
			t.Errorf("%s: %+v, want %q", name, s, want)
		}
	}
	if w.authorizations+w.registrations+w.tokenCalls != 0 {
		t.Error("something was asked for")
	}
	p.mustSignIn(server)
	if s := explain()["sign-in"]; !strings.HasPrefix(s.Detail, "since ") {
		t.Errorf("sign-in: %+v", s)
	}
	w.change(func() { w.metadata["issuer"] = "https://elsewhere.example" })
	if _, err := p.Explain(t.Context(), server); err == nil {
		t.Error("a wrong issuer is explained without an error")
	} else if id, _ := auth.Advice(err); id != auth.IDMetadata {
		t.Errorf("error = %v", err)
	}
}

// TestTokenAndRefresh hands out a token, and renews it when told to.
func TestTokenAndRefresh(t *testing.T) {
	w := newWorld(t, 1)
	server := remote("api", w.url(0), nil)
	p := newProcess(t, folder(t))
	if _, err := p.Token(t.Context(), server); err == nil {
		t.Error("there is a token although nobody signed in")
	} else if _, ok := errors.AsType[*auth.LoginRequiredError](err); !ok {
		t.Errorf("Token() = %v", err)
	}
	p.mustSignIn(server)
	first, err := p.Token(t.Context(), server)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Refresh(t.Context(), server); err != nil {
		t.Fatal(err)
	}
	second, err := p.Token(t.Context(), server)
	if err != nil || first.Reveal() == second.Reveal() || !slices.Contains(w.seen, "") {
		t.Errorf("renewed: %t, %v", first.Reveal() != second.Reveal(), err)
	}
	works(t, p.client(server), server.URL)
	open := serve(t, func(http.ResponseWriter, *http.Request) {})
	if token, err := p.Token(t.Context(), remote("open", open.URL, nil)); err != nil || token != "" {
		t.Errorf("a server that is open to everybody: %v", err)
	}
}
