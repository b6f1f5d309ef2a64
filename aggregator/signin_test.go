package aggregator

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/auth/authtest"
	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/transport"
	"github.com/plait-mcp/plait/upstream/upstreamtest"
)

// keyed is a strand whose servers a, b, … stand behind a real authorization server.
type keyed struct {
	*strand

	manager *auth.Manager
	cfg     *config.Config
}

// guard starts what is a strand besides: an authorization server in front of the MCP servers.
func guard(t *testing.T, servers ...*upstreamtest.Server) []*authtest.Guarded {
	t.Helper()
	var all []http.Handler
	for _, s := range servers {
		all = append(all, s)
	}
	return authtest.GuardAll(t, all)
}

// guardedPlait returns a plait of its own, as in a process, with snapshots and sign-ins in the folder dir.
func guardedPlait(t *testing.T, dir, yaml string, front ...*authtest.Guarded) *keyed {
	t.Helper()
	for i, g := range front {
		yaml = strings.ReplaceAll(yaml, "$"+string(rune('a'+i)), g.URL)
	}
	cfg := configured(t, yaml+"\nauth: {callback: {port: 0}, callWait: 0s}\n")
	log := &record{}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log:\n%s", strings.Join(log.lines(), ""))
		}
	})
	logger := hclog.New(&hclog.LoggerOptions{Output: log, Level: hclog.Debug})
	kept, err := store.Open(store.Options{Dir: dir + "/auth", Credentials: config.Credentials{Store: "file"}, Log: logger.Named("store")})
	if err != nil {
		t.Fatal(err)
	}
	manager := auth.NewManager(t.Context(), auth.Options{Store: kept, Auth: cfg.Auth, Version: "test", Log: logger.Named("auth")})
	agg := New(t.Context(), cfg, Options{
		Version: "test", Log: logger, Auth: manager, LoginTool: loginTool,
		Snapshots: upstream.OpenSnapshots(dir+"/snapshots", time.Hour, logger),
	})
	t.Cleanup(func() {
		agg.Close()
		manager.Close()
		_ = kept.Close()
	})
	return &keyed{&strand{t: t, agg: agg, log: log}, manager, cfg}
}

// signIn signs a person in by a link of plait, as a browser does: the page, the button, and all that follows.
func signIn(t *testing.T, link string) string {
	t.Helper()
	page := authtest.Visit(t, link)
	if !strings.Contains(page, "/go") {
		t.Fatalf("the page has no way on:\n%s", page)
	}
	page = authtest.Visit(t, link+"/go")
	if !strings.Contains(page, "Signed in") {
		t.Fatalf("the sign-in ended with\n%s", page[max(0, strings.Index(page, "<main")):])
	}
	return page
}

// loginTool is an mcp-go server with the tool.
func loginTool(*Aggregator) transport.Local {
	s := server.NewMCPServer("t", "1", server.WithToolCapabilities(false))
	s.AddTool(mcp.NewTool(LoginTool), func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return mcp.NewToolResultText("told"), nil
	})
	return local(func(ctx context.Context, message []byte) []byte {
		answer, err := json.Marshal(s.HandleMessage(ctx, message))
		if err != nil {
			return nil
		}
		return answer
	})
}

type local func(ctx context.Context, message []byte) []byte

// Handle implements transport.Local.
func (l local) Handle(ctx context.Context, message []byte) []byte { return l(ctx, message) }

// oneOfEach returns a server with a tool, a prompt and a resource.
func oneOfEach(name string) *upstreamtest.Server {
	return (&upstreamtest.Server{
		Handle: echo,
		Results: map[string]string{
			"tools/list": tools(name), "prompts/list": `{"prompts":[{"name":"` + name + `"}]}`,
			"resources/list": `{"resources":[{"uri":"x://` + name + `","name":"r"}]}`,
		},
	}).Make()
}

// noLinks is a client that cannot show links.
const noLinks = `{"elicitation":{"form":{}}}`

// told is what a client was told of a sign-in, in whatever way.
type told struct {
	Error, Server, Identity, URL, Command, ID string
	Elicitations                              []struct{ Mode, ElicitationID, URL, Message string }
}

func readTold(t *testing.T, raw jsonrpc.Raw) told {
	t.Helper()
	var got told
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	return got
}

// A server that needs a sign-in blocks no other; its tools stay listed; a client that cannot show links is told in the
// result of the tool, and in the data of other errors; after the sign-in everything works by itself.
func TestSignInByToolResult(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := oneOfEach("t"), oneOfEach("u").Start(t)
	front := guard(t, a)
	yaml := patient + "mcpServers: {a: {url: $a}, b: {url: " + b.URL + "}}"
	s := guardedPlait(t, dir, yaml, front...)
	c := s.openAs(latest, noLinks)
	equal(t, "nothing is known of a", strings.Join(names(t, c.result("tools/list", ""), "tools", "name"), " "), "b_u plait_auth")
	equal(t, "b works", c.result("tools/call", `{"name":"b_u"}`), `{"name":"u"}`)
	equal(t, "the login tool", c.result("tools/call", `{"name":"plait_auth"}`), `{"content":[{"type":"text","text":"told"}]}`)
	link := s.ask(c, "a_t", "a")
	signIn(t, link)
	c.await("notifications/tools/list_changed", 1)
	eventually(t, "a is there", func() bool {
		return slices.Equal(names(t, c.result("tools/list", ""), "tools", "name"), []string{"a_t", "b_u"})
	})
	equal(t, "a works", c.result("tools/call", `{"name":"a_t"}`), `{"name":"t"}`)
	equal(t, "who knows it may use the login tool", c.result("tools/call", `{"name":"plait_auth"}`), `{"content":[{"type":"text","text":"told"}]}`)
	c.result("prompts/list", "")
	c.result("resources/list", "")
	s.agg.Close()
	if got := front[0].Stats(t); got.Register != 1 || got.Authorize != 1 {
		t.Errorf("stats %+v", got)
	}

	s = guardedPlait(t, dir, yaml, front...)
	c = s.openAs(latest, noLinks)
	equal(t, "the next process is signed in", c.result("tools/call", `{"name":"a_t"}`), `{"name":"t"}`)
	s.agg.Close()

	front[0].RefuseKnown()
	if err := s.manager.SignOut(t.Context(), s.cfg.Servers[:1], auth.SignOutOptions{}); err != nil {
		t.Fatal(err)
	}
	s = guardedPlait(t, dir, yaml, front...)
	c = s.openAs(latest, noLinks)
	equal(t, "from the snapshot", strings.Join(names(t, c.result("tools/list", ""), "tools", "name"), " "), "a_t b_u")
	s.ask(c, "a_t", "a")
	for method, params := range map[string]string{"prompts/get": `{"name":"a_t"}`, "resources/read": `{"uri":"x://t"}`} {
		got := readTold(t, c.fails(method, params, jsonrpc.CodeInternal).Data)
		if got.Error != "auth_required" || got.Server != "a" || got.URL != link && got.URL == "" || got.Command != "plait auth login a" {
			t.Errorf("%s: %+v", method, got)
		}
	}
}

// ask calls a tool that needs a sign-in and returns the link that the client is given in its result.
func (s *keyed) ask(c *client, tool, identity string) string {
	s.t.Helper()
	result := jsonrpc.Raw(c.result("tools/call", `{"name":"`+tool+`"}`))
	structured, _ := jsonrpc.Get(result, "structuredContent")
	got := readTold(s.t, structured)
	texts, _ := jsonrpc.Get(result, "content")
	text := string(texts)
	isError, _ := jsonrpc.Get(result, "isError")
	for _, want := range []string{got.URL, "plait auth login " + identity} {
		if !strings.Contains(text, want) {
			s.t.Errorf("the text does not say %s: %s", want, text)
		}
	}
	if got.Identity != identity || !strings.HasPrefix(got.URL, "http://127.0.0.1:") || string(isError) != "true" ||
		!strings.Contains(got.URL, "/connect/") || !strings.HasPrefix(got.ID, "PLAIT-AUTH-") {
		s.t.Fatalf("the result is %s", result)
	}
	return got.URL
}

// A client of 2025-11-25 that shows links gets the error that asks for that, whatever it had asked for, and hears when
// the person is done. However many calls there are, there is one link. The link is a page of plait.
func TestSignInByElicitation(t *testing.T) {
	t.Parallel()
	a, b := oneOfEach("t"), oneOfEach("u").Start(t)
	front := guard(t, a)
	s := guardedPlait(t, t.TempDir(), "mcpServers: {a: {url: $a}, b: {url: "+b.URL+"}}", front...)
	c := s.open()
	var all sync.WaitGroup
	var mu sync.Mutex
	links, ids := map[string]bool{}, map[string]bool{}
	for range 20 {
		all.Go(func() {
			e := c.fails("tools/call", `{"name":"a_t"}`, -32042)
			got := readTold(t, e.Data)
			if len(got.Elicitations) != 1 || got.Elicitations[0].Mode != "url" || got.Elicitations[0].Message == "" {
				t.Errorf("the data are %s", e.Data)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			links[got.Elicitations[0].URL], ids[got.Elicitations[0].ElicitationID] = true, true
		})
	}
	all.Wait()
	if len(links) != 1 || len(ids) != 1 {
		t.Fatalf("links %v with ids %v", links, ids)
	}
	other := s.openAs("2025-06-18", allCapabilities)
	for link := range links {
		equal(t, "another client", s.ask(other, "a_t", "a"), link)
		signIn(t, link)
	}
	done := c.await("notifications/elicitation/complete", 1)
	for id := range ids {
		equal(t, "what is done", string(done[0].Params()), `{"elicitationId":"`+id+`"}`)
	}
	equal(t, "call", c.result("tools/call", `{"name":"a_t"}`), `{"name":"t"}`)
	equal(t, "the other's call", other.result("tools/call", `{"name":"a_t"}`), `{"name":"t"}`)
	if n := len(other.received("notifications/elicitation/complete")); n != 0 {
		t.Errorf("a client that was not asked heard %d times that it is done", n)
	}
	if got := front[0].Stats(t); got.Register != 1 || got.Authorize != 1 {
		t.Errorf("stats %+v", got)
	}
}

// A sign-in in another process wakes all clients here, and is told to those that were asked.
func TestSignInElsewhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	front := guard(t, oneOfEach("t"))
	const yaml = "mcpServers: {a: {url: $a, prefix: a}}"
	here, there := guardedPlait(t, dir, yaml, front...), guardedPlait(t, dir, yaml, front...)
	c, d := here.open(), there.openAs(latest, noLinks)
	asked := readTold(t, c.fails("tools/call", `{"name":"a_t"}`, -32042).Data)
	link := there.ask(d, "a_t", "a")
	equal(t, "the sign-in that is under way is joined", link, asked.Elicitations[0].URL)
	signIn(t, link)
	c.await("notifications/elicitation/complete", 1)
	for _, each := range []*client{c, d} {
		eventually(t, "it wakes", func() bool { return string(each.call("tools/call", `{"name":"a_t"}`).Result()) == `{"name":"t"}` })
	}
}

// A21: plait is no deputy of somebody else. It registers no clients of its own, and the link that a client gets is a
// page that says which server, which authorization server and which scopes, and waits for a person: it leads nowhere
// by itself, and the address of the authorization server, with all that is in it, never goes to a client.
func TestA21NoConfusedDeputy(t *testing.T) {
	t.Parallel()
	front := guard(t, oneOfEach("t"))
	s := guardedPlait(t, t.TempDir(), "mcpServers: {a: {url: $a, prefix: a}}", front...)
	c := s.open()
	answer := c.call("tools/call", `{"name":"a_t"}`).Text().Bytes()
	for _, secret := range []string{front[0].Issuer, "state=", "code_challenge", "client_id"} {
		if bytes.Contains(answer, []byte(secret)) {
			t.Errorf("the client is told %s: %s", secret, answer)
		}
	}
	e := c.fails("tools/call", `{"name":"a_t"}`, -32042)
	link := readTold(t, e.Data).Elicitations[0].URL
	page := authtest.Visit(t, link)
	_, host, _ := strings.Cut(front[0].Issuer, "://")
	for _, want := range []string{"a", host, "mcp:read"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %s:\n%s", want, page)
		}
	}
	if got := front[0].Stats(t); got.Authorize != 0 {
		t.Errorf("the page led on by itself: %+v", got)
	}
}

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
	for version, way := range map[string]func(c *client) string{
		"2025-06-18": func(c *client) string { return s.ask(c, "a_t", "a") },
		latest: func(c *client) string {
			got := readTold(t, c.fails("tools/call", `{"name":"a_w"}`, -32042).Data)
			if got.Error != "insufficient_scope" || got.Command != "plait auth login a" || !strings.Contains(got.Elicitations[0].Message, "mcp:write") {
				t.Errorf("told %+v", got)
			}
			return got.Elicitations[0].URL
		},
	} {
		if version != latest {
			c := s.openAs(version, allCapabilities)
			signIn(t, way(c))
			eventually(t, "it wakes", func() bool { return c.result("tools/call", `{"name":"a_t"}`) == `{"name":"t"}` })
		}
	}
	c := s.open()
	sessions := a.Sessions()
	equal(t, "call", c.result("tools/call", `{"name":"a_t"}`), `{"name":"t"}`)
	got := readTold(t, c.fails("tools/call", `{"name":"a_w"}`, -32042).Data)
	if got.Error != "insufficient_scope" || got.Command != "plait auth login a" || !strings.Contains(got.Elicitations[0].Message, "mcp:write") {
		t.Errorf("told %+v", got)
	}
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
