package aggregator

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/plait-mcp/plait/auth/authtest"
	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// scoped lets only tokens with a scope through to what it names.
func scoped(scope, to string) func(http.ResponseWriter, *http.Request, *jsonrpc.Message) bool {
	return func(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message) bool {
		name, _ := jsonrpc.GetString(m.Params(), "name")
		if m.Method() != to && name != to || slices.Contains(scopesOf(r), scope) {
			return false
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer error="insufficient_scope", scope=%q`, scope))
		w.WriteHeader(http.StatusForbidden)
		return true
	}
}

// scopesOf returns the scopes of the token that a request shows.
func scopesOf(r *http.Request) []string {
	parts := strings.Split(r.Header.Get("Authorization"), ".")
	if len(parts) != 3 {
		return nil
	}
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct{ Scope string }
	_ = json.Unmarshal(payload, &claims)
	return strings.Fields(claims.Scope)
}

// M33: a call that needs more rights asks for those and all that were asked for before, and then works. The session,
// and other calls, go on meanwhile.
func TestM33StepUp(t *testing.T) {
	t.Parallel()
	a := oneOfEach("t")
	a.Results["tools/list"] = tools("t", "w")
	a.Intercept = scoped("mcp:write", "w")
	front := guard(t, a)
	s := guardedPlait(t, t.TempDir(), "mcpServers: {a: {url: $a, prefix: a}}", front...)
	old := s.openAs("2025-06-18", allCapabilities)
	signIn(t, s.ask(old, "a_t", "a"))
	eventually(t, "it wakes", func() bool { return old.result("tools/call", `{"name":"a_t"}`) == `{"name":"t"}` })
	c := s.open()
	sessions := a.Sessions()
	equal(t, "call", c.result("tools/call", `{"name":"a_t"}`), `{"name":"t"}`)
	got := readTold(t, c.fails("tools/call", `{"name":"a_w"}`, -32042).Data)
	if got.Error != "insufficient_scope" || got.Command != "plait auth login a" || !strings.Contains(got.Elicitations[0].Message, "mcp:write") {
		t.Errorf("told %+v", got)
	}
	equal(t, "a client that shows no links", s.ask(old, "a_w", "a"), got.Elicitations[0].URL)
	page := authtest.Visit(t, got.Elicitations[0].URL)
	for _, scope := range []string{"mcp:read", "mcp:write"} {
		if !strings.Contains(page, scope) {
			t.Errorf("the page does not ask for %s:\n%s", scope, page)
		}
	}
	equal(t, "another call meanwhile", c.result("tools/call", `{"name":"a_t"}`), `{"name":"t"}`)
	signIn(t, got.Elicitations[0].URL)
	c.await("notifications/elicitation/complete", 1)
	equal(t, "the call", c.result("tools/call", `{"name":"a_w"}`), `{"name":"w"}`)
	if a.Sessions() < sessions {
		t.Errorf("sessions were lost: %d of %d", a.Sessions(), sessions)
	}
}

// M35: 403 to initialize is the same before there is a session.
func TestM35ForbiddenInitialize(t *testing.T) {
	t.Parallel()
	a := oneOfEach("t")
	a.Intercept = scoped("mcp:write", "initialize")
	front := guard(t, a)
	s := guardedPlait(t, t.TempDir(), "mcpServers: {a: {url: $a, prefix: a}}", front...)
	c := s.open()
	signIn(t, readTold(t, c.fails("tools/call", `{"name":"a_t"}`, -32042).Data).Elicitations[0].URL)
	c.await("notifications/elicitation/complete", 1)
	var got told
	eventually(t, "more is asked for", func() bool {
		got = readTold(t, c.fails("tools/call", `{"name":"a_t"}`, -32042).Data)
		return got.Error == "insufficient_scope"
	})
	if state := c.session.Status()[0].State; state != upstream.SignIn {
		t.Errorf("the server is %s", state)
	}
	signIn(t, got.Elicitations[0].URL)
	c.await("notifications/elicitation/complete", 2)
	equal(t, "call", c.result("tools/call", `{"name":"a_t"}`), `{"name":"t"}`)
}

// Two identities on one URL are two accounts: neither tokens nor sessions nor what was listed mix.
func TestTwoIdentitiesOnOneURL(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := oneOfEach("t")
	var mu sync.Mutex
	tokens := map[string]map[string]bool{} // by session
	a.Intercept = func(_ http.ResponseWriter, r *http.Request, _ *jsonrpc.Message) bool {
		mu.Lock()
		defer mu.Unlock()
		id := r.Header.Get("Mcp-Session-Id")
		if tokens[id] == nil {
			tokens[id] = map[string]bool{}
		}
		tokens[id][r.Header.Get("Authorization")] = true
		return false
	}
	front := guard(t, a)
	const yaml = "identities: {me: {}, you: {}}\nmcpServers: {me: {url: $a, identity: me}, you: {url: $a, identity: you}}"
	s := guardedPlait(t, dir, yaml, front...)
	c := s.openAs(latest, noLinks)
	mine, yours := s.ask(c, "me_t", "me"), s.ask(c, "you_t", "you")
	if mine == yours {
		t.Fatal("there is one link for two identities")
	}
	signIn(t, mine)
	eventually(t, "one wakes", func() bool { return c.result("tools/call", `{"name":"me_t"}`) == `{"name":"t"}` })
	s.ask(c, "you_t", "you")
	signIn(t, yours)
	eventually(t, "the other wakes", func() bool { return c.result("tools/call", `{"name":"you_t"}`) == `{"name":"t"}` })
	mu.Lock()
	defer mu.Unlock()
	delete(tokens, "") // initialize
	seen := map[string]int{}
	for id, of := range tokens {
		if len(of) != 1 {
			t.Errorf("session %s was used with %d tokens", id, len(of))
		}
		for token := range of {
			seen[token]++
		}
	}
	if len(seen) != 2 {
		t.Errorf("%d tokens for two identities", len(seen))
	}
}

// One identity on three servers signs in once.
func TestOneIdentityOnThreeServers(t *testing.T) {
	t.Parallel()
	front := guard(t, oneOfEach("t"), oneOfEach("t"), oneOfEach("t"))
	const yaml = "identities: {me: {}}\nmcpServers: {a: {url: $a, identity: me}, b: {url: $b, identity: me}, c: {url: $c, identity: me}}"
	s := guardedPlait(t, t.TempDir(), yaml, front...)
	c := s.openAs(latest, noLinks)
	link := s.ask(c, "a_t", "me")
	signIn(t, link)
	for _, tool := range []string{"a_t", "b_t", "c_t"} {
		eventually(t, tool+" wakes", func() bool { return c.result("tools/call", `{"name":"`+tool+`"}`) == `{"name":"t"}` })
	}
	if got := front[0].Stats(t); got.Authorize != 1 {
		t.Errorf("stats %+v", got)
	}
}

// M33: who signed in for a right and was not given it is not asked for it again and again.
func TestM33NotGiven(t *testing.T) {
	t.Parallel()
	a := oneOfEach("t")
	a.Results["tools/list"] = tools("t", "w")
	never := scoped("mcp:write", "w")
	a.Intercept = func(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message) bool {
		r.Header.Del("Authorization") // whatever rights it stands for, they are not enough
		return never(w, r, m)
	}
	front := guard(t, a)
	s := guardedPlait(t, t.TempDir(), "mcpServers: {a: {url: $a, prefix: a}}", front...)
	c := s.open()
	for n := range 2 { // to the server, and to more
		signIn(t, readTold(t, c.fails("tools/call", `{"name":"a_w"}`, -32042).Data).Elicitations[0].URL)
		c.await("notifications/elicitation/complete", n+1)
	}
	for range 3 {
		result := c.result("tools/call", `{"name":"a_w"}`)
		for _, want := range []string{`"isError":true`, "was not given", "plait auth login a --force"} {
			if !strings.Contains(result, want) {
				t.Errorf("the result does not say %s: %s", want, result)
			}
		}
	}
	equal(t, "another call", c.result("tools/call", `{"name":"a_t"}`), `{"name":"t"}`)
	if got := front[0].Stats(t); got.Authorize != 2 {
		t.Errorf("stats %+v", got)
	}
}

// One server with one name, used by another identity than before: nothing of the one is shown to the other.
func TestSnapshotOfAnotherIdentity(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	front := guard(t, oneOfEach("t"))
	const yaml = "identities: {me: {}, you: {}}\nmcpServers: {a: {url: $a, identity: NAME, prefix: a}}"
	for _, identity := range []string{"me", "you", "me"} {
		s := guardedPlait(t, dir, strings.ReplaceAll(yaml, "NAME", identity), front...)
		c := s.openAs(latest, noLinks)
		got := names(t, c.result("tools/list", ""), "tools", "name")
		if want := []string{LoginTool}; identity == "you" && !slices.Equal(got, want) {
			t.Errorf("%s is shown %q", identity, got)
		}
		if slices.Contains(got, LoginTool) && identity == "me" {
			signIn(t, s.ask(c, "a_t", identity))
			eventually(t, "it is listed", func() bool {
				return slices.Equal(names(t, c.result("tools/list", ""), "tools", "name"), []string{"a_t"})
			})
		}
		s.agg.Close()
	}
}
