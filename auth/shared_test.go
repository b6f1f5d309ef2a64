package auth_test

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/auth/authtest"
	"github.com/plait-mcp/plait/config"
)

// TestOneIdentityOnThreeServers signs in once at a real authorization server, and comes to three servers with a token
// for each of them.
func TestOneIdentityOnThreeServers(t *testing.T) {
	nothing := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	guarded := authtest.GuardAll(t, []http.Handler{nothing, nothing, nothing})
	identity := config.NewIdentity("work", config.GrantAuthorizationCode)
	var servers []*config.Server
	for i, g := range guarded {
		servers = append(servers, remote(string(rune('a'+i)), g.URL, identity))
	}
	dir := folder(t)
	p := newProcess(t, dir, servers...)
	var clients []*auth.Client
	var woken []<-chan struct{}
	for _, s := range servers {
		c := p.client(s)
		clients, woken = append(clients, c), append(woken, c.Changed())
		fails[*auth.LoginRequiredError](t, c, s.URL)
	}
	p.mustSignIn(servers[1])
	for i, c := range clients {
		wait(t, woken[i])
		works(t, c, servers[i].URL)
	}
	again := newProcess(t, dir, servers...)
	for _, s := range servers {
		works(t, again.client(s), s.URL)
		again.mustSignIn(s) // which finds that somebody is signed in
	}
	if stats := guarded[0].Stats(t); stats.Authorize != 1 || stats.Register != 1 || stats.Reuse != 0 {
		t.Errorf("stats = %+v, want one sign-in", stats)
	}
	all := p.Status(t.Context(), servers)
	if len(all) != 1 || all[0].State != auth.StateReady || strings.Join(all[0].Servers, "") != "abc" {
		t.Errorf("status = %+v", all)
	}
}

// TestLaterServerJoins adds a server to an identity that is signed in: it takes part when its authorization server lets
// it.
func TestLaterServerJoins(t *testing.T) {
	w := newWorld(t, 2)
	identity := config.NewIdentity("work", config.GrantAuthorizationCode)
	identity.Grant = config.GrantAuto
	a, b := remote("a", w.url(0), identity), remote("b", w.url(1), identity)
	dir := folder(t)
	newProcess(t, dir, a).mustSignIn(a)
	works(t, newProcess(t, dir, a, b).client(b), b.URL)
	if n := w.count(&w.authorizations); n != 1 {
		t.Errorf("%d sign-ins", n)
	}
}

// TestOneLoginRefused has an authorization server that takes one resource at a time: each server gets a sign-in of its
// own, and that is remembered.
func TestOneLoginRefused(t *testing.T) {
	w := newWorld(t, 2)
	w.authorize = func(q url.Values) (url.Values, bool) {
		if len(q["resource"]) > 1 {
			return url.Values{"error": {"invalid_target"}}, true
		}
		return nil, false
	}
	w.token = func(form url.Values) (int, any, bool) {
		if form.Get("grant_type") == "refresh_token" {
			status, answer := refusal("invalid_target")
			return status, answer, true
		}
		return 0, nil, false
	}
	identity := config.NewIdentity("work", config.GrantAuthorizationCode)
	a, b := remote("a", w.url(0), identity), remote("b", w.url(1), identity)
	dir := folder(t)
	p := newProcess(t, dir, a, b)
	p.mustSignIn(a)
	works(t, p.client(a), a.URL)
	fails[*auth.LoginRequiredError](t, p.client(b), b.URL)
	q := newProcess(t, dir, a, b)
	q.mustSignIn(b)
	works(t, q.client(a), a.URL)
	works(t, q.client(b), b.URL)
	var resources []string
	for _, asked := range w.asked {
		resources = append(resources, strings.Join(asked["resource"], " "))
	}
	both := a.URL + " " + b.URL
	if want := []string{both, a.URL}; !slices.Equal(resources[:2], want) || resources[len(resources)-1] != b.URL {
		t.Errorf("asked for %q", resources)
	}
}

// TestOneLoginAlways does not sign in to one server alone.
func TestOneLoginAlways(t *testing.T) {
	w := newWorld(t, 2)
	w.authorize = func(url.Values) (url.Values, bool) { return url.Values{"error": {"invalid_target"}}, true }
	identity := config.NewIdentity("work", config.GrantAuthorizationCode)
	identity.OneLogin = "always"
	a, b := remote("a", w.url(0), identity), remote("b", w.url(1), identity)
	refused, ok := errors.AsType[*auth.RefusedError](newProcess(t, folder(t), a, b).signIn(a))
	if !ok || refused.ID != auth.IDRequest || !strings.Contains(refused.Error(), "oneLogin: auto") || w.authorizations != 1 {
		t.Errorf("SignIn() = %v after %d attempts", refused, w.authorizations)
	}
}

// TestOneLoginNever asks for one resource only.
func TestOneLoginNever(t *testing.T) {
	w := newWorld(t, 2)
	identity := config.NewIdentity("work", config.GrantAuthorizationCode)
	identity.OneLogin = "never"
	a, b := remote("a", w.url(0), identity), remote("b", w.url(1), identity)
	p := newProcess(t, folder(t), a, b)
	p.mustSignIn(a)
	if got := w.asked[0]["resource"]; !slices.Equal(got, []string{a.URL}) {
		t.Errorf("asked for %q", got)
	}
	fails[*auth.LoginRequiredError](t, p.client(b), b.URL)
}

// TestTwoIdentitiesOnOneURL never mixes what they have, in memory and on disk.
func TestTwoIdentitiesOnOneURL(t *testing.T) {
	w := newWorld(t, 1)
	work, home := config.NewIdentity("work", config.GrantAuthorizationCode), config.NewIdentity("home", config.GrantAuthorizationCode)
	a, b := remote("a", w.url(0), work), remote("b", w.url(0), home)
	dir := folder(t)
	p := newProcess(t, dir, a, b)
	p.mustSignIn(a)
	fails[*auth.LoginRequiredError](t, p.client(b), b.URL)
	p.mustSignIn(b)
	first, second := works(t, p.client(a), a.URL), works(t, p.client(b), b.URL)
	if first == second {
		t.Errorf("both come as %q", first)
	}
	q := newProcess(t, dir, a, b)
	if works(t, q.client(a), a.URL) != first || works(t, q.client(b), b.URL) != second {
		t.Error("another process has other tokens")
	}
	if err := q.SignOut(t.Context(), []*config.Server{a}, auth.SignOutOptions{}); err != nil {
		t.Fatal(err)
	}
	fails[*auth.LoginRequiredError](t, q.client(a), a.URL)
	if works(t, q.client(b), b.URL) != second {
		t.Error("the other identity was signed out, too")
	}
	if w.registrations != 2 {
		t.Errorf("%d registrations, want one for each identity", w.registrations)
	}
}

// TestB2StateOfEachServer has one identity at two authorization servers: the registrations stay apart.
func TestB2StateOfEachServer(t *testing.T) {
	one, two := newWorld(t, 1), newWorld(t, 1)
	identity := config.NewIdentity("me", config.GrantAuthorizationCode)
	a, b := remote("a", one.url(0), identity), remote("b", two.url(0), identity)
	p := newProcess(t, folder(t), a, b)
	p.mustSignIn(a)
	p.mustSignIn(b)
	works(t, p.client(a), a.URL)
	works(t, p.client(b), b.URL)
	if one.registrations != 1 || two.registrations != 1 {
		t.Errorf("%d and %d registrations", one.registrations, two.registrations)
	}
	if got := one.asked[0]["resource"]; !slices.Equal(got, []string{a.URL}) {
		t.Errorf("one sign-in asked for %q", got)
	}
}

// TestSignOut forgets in all processes, and tells the authorization server when asked to.
func TestSignOut(t *testing.T) {
	w := newWorld(t, 1)
	server := remote("api", w.url(0), nil)
	dir := folder(t)
	p, q := newProcess(t, dir), newProcess(t, dir)
	p.mustSignIn(server)
	c := q.client(server)
	works(t, c, server.URL)
	if err := p.SignOut(t.Context(), []*config.Server{server}, auth.SignOutOptions{Revoke: true, ForgetClient: true}); err != nil {
		t.Fatal(err)
	}
	if w.count(&w.tokenCalls) != 1 || len(w.access)+len(w.refresh) != 0 {
		t.Errorf("the authorization server still knows %v %v", w.access, w.refresh)
	}
	fails[*auth.LoginRequiredError](t, c, server.URL)
	if s := q.Status(t.Context(), []*config.Server{server}); s[0].State != auth.StateNeedsLogin || s[0].Next != "run plait auth login api" {
		t.Errorf("status = %+v", s)
	}
	p.mustSignIn(server)
	if w.registrations != 2 {
		t.Errorf("%d registrations, want another one", w.registrations)
	}
}
