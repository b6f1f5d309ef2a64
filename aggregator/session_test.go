package aggregator

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/upstreamtest"
)

// bare is a client that has not said anything.
func (s *strand) bare() *client {
	c := &client{t: s.t, news: make(chan struct{})}
	c.session = s.agg.Open(c)
	return c
}

func hello(version string) string {
	return fmt.Sprintf(`{"protocolVersion":%q,"capabilities":{},"clientInfo":{"name":"t","version":"1"}}`, version)
}

// The version is the client's own where it is known, and the servers are offered that one.
func TestVersionNegotiation(t *testing.T) {
	a, b := with(t, "t", nil), (&upstreamtest.Server{Version: "2024-11-05", Results: map[string]string{"tools/list": tools("u")}}).Start(t)
	s := plait(t, two, a, b)
	for offered, want := range map[string]string{
		"2024-11-05": "2024-11-05", "2025-03-26": "2025-03-26", "2025-06-18": "2025-06-18", "2025-11-25": "2025-11-25",
		"2026-07-28": "2025-11-25", "1.0": "2025-11-25",
	} {
		c := s.bare()
		before := len(a.Received("initialize"))
		result := jsonrpc.Raw(c.result("initialize", hello(offered)))
		got, _ := jsonrpc.GetString(result, "protocolVersion")
		equal(t, "version for "+offered, got, want)
		if _, has := jsonrpc.Get(result, "capabilities", "tasks"); has != (want == "2025-11-25") {
			t.Errorf("%s: tasks declared: %v", offered, has)
		}
		c.notify("notifications/initialized", "")
		sent, _ := jsonrpc.GetString(a.Await(t, "initialize", before+1)[before].Params(), "protocolVersion")
		equal(t, "offered to the server", sent, want)
		if tools := names(t, c.result("tools/list", ""), "tools", "name"); !cmp.Equal(tools, []string{"a_t", "b_u"}) {
			t.Errorf("%s: tools %v", offered, tools)
		}
		c.session.Close()
	}
}

// A server that speaks no version of ours is down, and it is said why.
func TestServerWithAnUnknownVersion(t *testing.T) {
	a, b := with(t, "t", nil), (&upstreamtest.Server{Version: "2023-01-01"}).Start(t)
	c := plait(t, "mcpServers: {a: {url: $a}, b: {url: $b, methods: [x]}}", a, b).open()
	c.result("tools/list", "")
	if e := c.fails("x", "", jsonrpc.CodeInternal); !strings.Contains(e.Message, `protocol version "2023-01-01"`) {
		t.Errorf("the error does not say why: %s", e.Message)
	}
}

// The first request is initialize, and there is one; a ping is always answered.
func TestOrderOfRequests(t *testing.T) {
	a, b := with(t, "t", nil), with(t, "u", nil)
	s := plait(t, two, a, b)
	c := s.bare()
	c.fails("tools/list", "", jsonrpc.CodeInvalidRequest)
	c.fails("acme/x", "", jsonrpc.CodeInvalidRequest)
	equal(t, "ping", c.result("ping", ""), "{}")
	c.notify("notifications/acme", "")
	c.notify("notifications/roots/list_changed", "")
	for _, params := range []string{
		"", "{}", `{"protocolVersion":5}`, `{"protocolVersion":"2025-06-18","protocolVersion":"2025-11-25"}`,
		`{"ProtocolVersion":"2025-06-18"}`, `{"protocolVersion":"2025-06-18","Capabilities":{}}`,
	} {
		c.fails("initialize", params, jsonrpc.CodeInvalidParams)
	}
	c.result("initialize", hello(latest))
	c.fails("initialize", hello(latest), jsonrpc.CodeInvalidRequest)
	c.result("tools/list", "")
	c.fails("acme/x", "", jsonrpc.CodeMethodNotFound)
	c.fails("server/discover", "", jsonrpc.CodeMethodNotFound)
}

// With several servers initialize is answered without them, by what any server could have.
func TestInitializeWaitsForNobody(t *testing.T) {
	open := make(chan struct{})
	a := (&upstreamtest.Server{Intercept: until(open)}).Start(t)
	c := plait(t, two, a, a).bare()
	equal(t, "result", c.result("initialize", hello(latest)), `{"protocolVersion":"2025-11-25","capabilities":`+
		superset25c+`},"serverInfo":{"name":"plait","version":"test"}}`)
	close(open)
}

// The instructions of the servers are merged for the clients that come after the first.
func TestInstructionsForASecondSession(t *testing.T) {
	a := (&upstreamtest.Server{Instructions: "Use a\nwell."}).Start(t)
	b := (&upstreamtest.Server{Results: map[string]string{"tools/list": tools("t")}}).Start(t)
	d := (&upstreamtest.Server{Instructions: "And c."}).Start(t)
	s := plait(t, "mcpServers: {a: {url: $a}, b: {url: $b}, c: {url: $c, prefix: \"\"}}", a, b, d)
	instructions := func(result string) string {
		text, _ := jsonrpc.GetString(jsonrpc.Raw(result), "instructions")
		return text
	}
	first := s.bare()
	equal(t, "first", instructions(first.result("initialize", hello(latest))), "")
	first.result("tools/list", "")
	first.session.Close()
	equal(t, "second", instructions(s.bare().result("initialize", hello(latest))),
		"# a\nNames of tools and prompts of this server start with `a_`.\n\nUse a\nwell.\n\n# c\n\nAnd c.")
}

// A single server without a prefix is passed through: what it declares, what it lists, and what nobody knows.
func TestPassthrough(t *testing.T) {
	const capabilities = `{"tools":{},"experimental":{"acme":{"x":1.0}},"future":{}}`
	a := (&upstreamtest.Server{
		Capabilities: capabilities, Instructions: "Use me.",
		Results: map[string]string{"tools/list": `{"_meta":{"k":1.0},"tools":[{"name":"x.y","future":[1.0]},{"name":"x.y"}],"ttl":5}`},
		Handle:  echo,
	}).Start(t)
	s := plait(t, `mcpServers: {a: {url: $a, prefix: ""}}`, a)
	c := s.bare()
	equal(t, "initialize", c.result("initialize", hello(latest)), `{"protocolVersion":"2025-11-25","capabilities":`+capabilities+
		`,"serverInfo":{"name":"plait","version":"test"},"instructions":"Use me."}`)
	c.notify("notifications/initialized", "")
	equal(t, "list", c.result("tools/list", ""), `{"_meta":{"k":1.0},"tools":[{"name":"x.y","future":[1.0]},{"name":"x.y"}],"ttl":5}`)
	for _, method := range []string{"tools/call", "prompts/get"} {
		equal(t, method, c.result(method, `{"name":"unlisted","x":1.0}`), `{"name":"unlisted","x":1.0}`)
	}
	for _, method := range []string{"resources/read", "resources/subscribe"} {
		equal(t, method, c.result(method, `{"uri":"x://unlisted","x":1.0}`), `{"uri":"x://unlisted","x":1.0}`)
	}
	const ref = `{"ref":{"type":"ref/other","x":1.0},"argument":{"name":"x","value":"v"}}`
	equal(t, "completion", c.result("completion/complete", ref), ref)
	equal(t, "custom request", c.result("acme/do", `[1.0]`), `[1.0]`)
	c.notify("notifications/acme", `{"x":1.0}`)
	equal(t, "custom notification", string(a.Await(t, "notifications/acme", 1)[0].Params()), `{"x":1.0}`)
	a.Notify("notifications/acme/back", `{"y":1.0}`)
	equal(t, "and back", string(c.await("notifications/acme/back", 1)[0].Text().Bytes()),
		`{"jsonrpc":"2.0","method":"notifications/acme/back","params":{"y":1.0}}`)
}

// When the single server is slow, initialize waits for it no longer than configured.
func TestPassthroughOfASlowServer(t *testing.T) {
	open := make(chan struct{})
	a := (&upstreamtest.Server{Intercept: until(open), Results: map[string]string{"tools/list": tools("t")}}).Start(t)
	c := plait(t, `{startup: {wait: 200ms}, mcpServers: {a: {url: $a, prefix: ""}}}`, a).bare()
	begin := time.Now()
	result := c.result("initialize", hello("2025-06-18"))
	if d := time.Since(begin); d < 200*time.Millisecond || d > 20*time.Second {
		t.Errorf("it took %v", d)
	}
	equal(t, "initialize", result, `{"protocolVersion":"2025-06-18","capabilities":`+superset+
		`},"serverInfo":{"name":"plait","version":"test"}}`)
	c.notify("notifications/initialized", "")
	equal(t, "first list", c.result("tools/list", ""), `{"tools":[]}`)
	close(open)
	c.await("notifications/tools/list_changed", 1)
	equal(t, "second list", c.result("tools/list", ""), tools("t"))
}

// With several servers a method that the protocol does not know goes where the configuration says.
func TestMethodsAreRouted(t *testing.T) {
	a, b := with(t, "t", echo), with(t, "u", echo)
	c := plait(t, `mcpServers: {a: {url: $a, methods: ["beta/*"]}, b: {url: $b, methods: ["acme/*", "notifications/acme"]}}`, a, b).open()
	c.result("tools/list", "")
	equal(t, "request", c.result("acme/do", `{"x":1.0}`), `{"x":1.0}`)
	c.result("beta/do", "{}")
	c.fails("acme/a/b", "", jsonrpc.CodeMethodNotFound)
	c.fails("other", "", jsonrpc.CodeMethodNotFound)
	c.fails("acme/do", `{"_meta":{},"_meta":{}}`, jsonrpc.CodeInvalidParams)
	c.notify("notifications/other", "")
	c.notify("notifications/acme", `{"x":1.0}`)
	equal(t, "notification", string(b.Await(t, "notifications/acme", 1)[0].Params()), `{"x":1.0}`)
	b.Notify("notifications/other", "")
	a.Notify("notifications/acme", "")
	b.Notify("notifications/acme", `{"y":1.0}`)
	equal(t, "and back", string(c.await("notifications/acme", 1)[0].Params()), `{"y":1.0}`)
	if len(a.Received("acme/do")) != 0 || len(b.Received("beta/do")) != 0 || len(b.Received("notifications/other")) != 0 ||
		len(c.received("notifications/other")) != 0 {
		t.Error("something went where it was not to go")
	}
}

// Every client has a session of its own with each server, which ends when the client does.
func TestSessionPerClient(t *testing.T) {
	var ended atomic.Int64
	a := with(t, "t", nil)
	b := with(t, "u", func(c *upstreamtest.Call) {
		<-c.Request.Context().Done()
		ended.Add(1)
	})
	s := plait(t, two, a, b)
	p, q := s.open(), s.open()
	for _, c := range []*client{p, q} {
		c.result("tools/list", "")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.callAs(t.Context(), "1", "tools/call", `{"name":"b_u"}`)
	}()
	b.Await(t, "tools/call", 1)
	p.session.Close()
	<-done
	eventually(t, "the call of the client that is gone ends", func() bool { return ended.Load() == 1 })
	q.result("tools/list", "")
	if n := len(a.Received("initialize")); n != 2 {
		t.Errorf("%d sessions", n)
	}
}

// A misconfigured server says so when it is called, and the others work.
func TestMisconfiguredServer(t *testing.T) {
	a := with(t, "t", echo)
	s := plait(t, `mcpServers: {a: {url: $a}, b: {url: "https://h/${MISSING}", methods: [x]}}`, a)
	c := s.open()
	equal(t, "other server", c.result("tools/call", `{"name":"a_t"}`), `{"name":"t"}`)
	e := c.fails("x", "", jsonrpc.CodeInternal)
	for _, word := range []string{`server "b"`, "misconfigured", "MISSING", "correct the configuration"} {
		if !strings.Contains(e.Message, word) {
			t.Errorf("the error does not say %s: %s", word, e.Message)
		}
	}
}

// A server that asks for time before the next attempt gets it, whoever calls.
func TestRetryAfterAtConnect(t *testing.T) {
	var tries atomic.Int64
	a := with(t, "t", echo)
	b := (&upstreamtest.Server{Intercept: func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) bool {
		tries.Add(1)
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}}).Start(t)
	c := plait(t, "mcpServers: {a: {url: $a}, b: {url: $b, transport: http, methods: [x]}}", a, b).open()
	c.result("tools/list", "")
	pause(2500 * time.Millisecond)
	if e := c.fails("x", "", jsonrpc.CodeInternal); !strings.Contains(e.Message, "tries again in 5") {
		t.Errorf("the error does not say when: %s", e.Message)
	}
	if n := tries.Load(); n != 1 {
		t.Errorf("%d attempts", n)
	}
}
