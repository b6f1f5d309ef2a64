package aggregator

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/auth/authtest"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

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
	equal(t, "a works at once", c.result("tools/call", `{"name":"a_t"}`), `{"name":"t"}`)
	c.await("notifications/tools/list_changed", 1)
	eventually(t, "a is there", func() bool {
		return slices.Equal(names(t, c.result("tools/list", ""), "tools", "name"), []string{"a_t", "b_u"})
	})
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
	listed := names(t, c.result("tools/list", ""), "tools", "name") // it may not be known yet that nobody is signed in
	equal(t, "from the snapshot", strings.TrimSuffix(strings.Join(listed, " "), " "+LoginTool), "a_t b_u")
	s.ask(c, "a_t", "a")
	for method, params := range map[string]string{"prompts/get": `{"name":"a_t"}`, "resources/read": `{"uri":"x://t"}`} {
		got := readTold(t, c.fails(method, params, jsonrpc.CodeInternal).Data)
		if got.Error != "auth_required" || got.Server != "a" || got.URL != link && got.URL == "" || got.Command != "plait auth login a" {
			t.Errorf("%s: %+v", method, got)
		}
	}
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
	for _, want := range []string{"Sign in to a<", host, "mcp:read"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %s:\n%s", want, page)
		}
	}
	if got := front[0].Stats(t); got.Authorize != 0 {
		t.Errorf("the page led on by itself: %+v", got)
	}
}

// A call waits for a person who has gone on from the page to the authorization server, and is made when they are done.
func TestCallWaitsForWhoSignsIn(t *testing.T) {
	t.Parallel()
	front := guard(t, oneOfEach("t"))
	s := guardedPlait(t, t.TempDir(), "auth: {callback: {port: 0}, callWait: 1h}\nmcpServers: {a: {url: $a, prefix: a}}", front...)
	c := s.openAs(latest, noLinks)
	link := s.ask(c, "a_t", "a")
	equal(t, "nobody has followed the link yet", s.ask(c, "a_t", "a"), link)
	there := goOn(t, link)
	var call sync.WaitGroup
	call.Go(func() { equal(t, "call", c.result("tools/call", `{"name":"a_t"}`), `{"name":"t"}`) })
	if page := authtest.Visit(t, there); !strings.Contains(page, "Signed in") {
		t.Errorf("the sign-in ended with %s", page)
	}
	call.Wait()
}

// goOn presses the button on the page of a link and returns where that leads.
func goOn(t *testing.T, link string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link+"/go", nil)
	if err != nil {
		t.Fatal(err)
	}
	wire := &http.Transport{}
	defer wire.CloseIdleConnections()
	answer, err := wire.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.Header.Get("Location")
}

// M8: where there can be no sign-in, a client is told why and what to set, whatever it is.
func TestM8NoWayToSignIn(t *testing.T) {
	t.Parallel()
	front := guardWith(t, []string{"AS_DCR=0"}, oneOfEach("t"))
	s := guardedPlait(t, t.TempDir(), "mcpServers: {a: {url: $a, prefix: a}}", front...)
	for _, capabilities := range []string{noLinks, allCapabilities} {
		result := s.openAs(latest, capabilities).result("tools/call", `{"name":"a_t"}`)
		for _, want := range []string{`"isError":true`, "clientId", `"id":"PLAIT-AUTH-011"`} {
			if !strings.Contains(result, want) {
				t.Errorf("the result does not say %s: %s", want, result)
			}
		}
		if strings.Contains(result, "/connect/") {
			t.Errorf("there is a link: %s", result)
		}
	}
}

// What a client could not read is left out: structured content of a tool with a schema for it, the result of a call
// that wants a task.
func TestSignInInTheFormThatFits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := oneOfEach("t")
	a.Results["tools/list"] = `{"tools":[{"name":"t","inputSchema":{"type":"object"},"outputSchema":{"type":"object"}}]}`
	front := guard(t, a)
	const yaml = patient + "mcpServers: {a: {url: $a, prefix: a}}"
	s := guardedPlait(t, dir, yaml, front...)
	c := s.openAs(latest, noLinks)
	signIn(t, s.ask(c, "a_t", "a"))
	eventually(t, "it is listed", func() bool { return slices.Contains(names(t, c.result("tools/list", ""), "tools", "name"), "a_t") })
	s.agg.Close()
	if err := s.manager.SignOut(t.Context(), s.cfg.Servers[:1], auth.SignOutOptions{}); err != nil {
		t.Fatal(err)
	}
	s = guardedPlait(t, dir, yaml, front...)
	c = s.openAs(latest, noLinks)
	result := c.result("tools/call", `{"name":"a_t"}`)
	if !strings.Contains(result, "/connect/") || strings.Contains(result, "structuredContent") {
		t.Errorf("of a tool with an output schema: %s", result)
	}
	e := c.fails("tools/call", `{"name":"a_t","task":{"ttl":1000}}`, jsonrpc.CodeInternal)
	if got := readTold(t, e.Data); got.Error != "auth_required" || got.URL == "" {
		t.Errorf("of a call that wants a task: %+v", got)
	}
}

// A server that is passed through unchanged is no other: whoever replaces another program sees what it offers, and
// until then the way to sign in.
func TestSignInToAServerThatIsPassedThrough(t *testing.T) {
	t.Parallel()
	front := guard(t, oneOfEach("t"))
	s := guardedPlait(t, t.TempDir(), "mcpServers: {a: {url: $a, prefix: \"\"}}", front...)
	c := s.openAs(latest, noLinks)
	equal(t, "tools", strings.Join(names(t, c.result("tools/list", ""), "tools", "name"), " "), LoginTool)
	equal(t, "the login tool", c.result("tools/call", `{"name":"plait_auth"}`), `{"content":[{"type":"text","text":"told"}]}`)
	signIn(t, s.ask(c, "t", "a"))
	c.await("notifications/tools/list_changed", 1)
	eventually(t, "it is listed", func() bool { return slices.Equal(names(t, c.result("tools/list", ""), "tools", "name"), []string{"t"}) })
	equal(t, "call", c.result("tools/call", `{"name":"t"}`), `{"name":"t"}`)
}
