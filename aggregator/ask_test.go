package aggregator

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/upstreamtest"
)

// asking returns a server whose tool t asks the client by the request in its arguments, with the id 1 or
// that in its _meta, and gives what the client answered as its result.
func asking(t *testing.T) *upstreamtest.Server {
	t.Helper()
	return with(t, "t", func(c *upstreamtest.Call) {
		if c.Method() != "tools/call" {
			return
		}
		method, _ := jsonrpc.GetString(c.Params(), "arguments", "method")
		params, _ := jsonrpc.Get(c.Params(), "arguments", "params")
		id, ok := jsonrpc.Get(c.Params(), "_meta", "id")
		if !ok {
			id = jsonrpc.Raw("1")
		}
		if m := c.Ask(string(id), method, string(params)); m != nil {
			c.Result(fmt.Sprintf(`{"content":[],"answer":%s}`, m.Text().Bytes()))
		}
		c.Stay()
	})
}

// answers makes the client answer every request with the result that f gives for it.
func (c *client) answers(f func(*jsonrpc.Message) string) {
	c.ask = func(m *jsonrpc.Message) jsonrpc.Text { return jsonrpc.Result(m.ID(), jsonrpc.Raw(f(m))) }
}

// asks has a server's tool ask the client, and returns what the server got for an answer.
func (c *client) asks(tool, method, params string) string {
	c.t.Helper()
	arguments := `{"method":"` + method + `"`
	if params != "" {
		arguments += `,"params":` + params
	}
	result := c.result("tools/call", `{"name":"`+tool+`","arguments":`+arguments+`}}`)
	answer, _ := jsonrpc.Get(jsonrpc.Raw(result), "answer")
	return string(answer)
}

// Requests of two servers with one id, for two clients: each answer comes back to who asked.
func TestQuestionsWithOneID(t *testing.T) {
	a, b := asking(t), asking(t)
	s := plait(t, two, a, b)
	var all sync.WaitGroup
	clients := []*client{s.open(), s.open()}
	for n, c := range clients {
		c.answers(func(m *jsonrpc.Message) string {
			method, _ := jsonrpc.GetString(m.Params(), "_meta", "k")
			return fmt.Sprintf(`{"client":%d,"asked":%q,"by":%q,"x":1.0}`, n, m.Method(), method)
		})
		for _, tool := range []string{"a_t", "b_t"} {
			for i, method := range []string{"sampling/createMessage", "elicitation/create", "roots/list", "acme/custom"} {
				all.Go(func() {
					id := []string{`1`, `"1"`, `9007199254740993`, `"\u00e9"`}[i]
					result := c.result("tools/call", fmt.Sprintf(
						`{"name":%q,"_meta":{"id":%s},"arguments":{"method":%q,"params":{"_meta":{"k":%q}}}}`, tool, id, method, tool))
					got, _ := jsonrpc.Get(jsonrpc.Raw(result), "answer")
					want := fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"client":%d,"asked":%q,"by":%q,"x":1.0}}`, id, n, method, tool)
					equal(t, "answer", string(got), want)
				})
			}
		}
	}
	all.Wait()
	for _, c := range clients {
		ids := map[jsonrpc.ID]bool{}
		for _, m := range c.got {
			if m.Kind() == jsonrpc.Request {
				ids[m.ID()] = true
			}
		}
		if len(ids) != 8 {
			t.Errorf("%d ids of 8 requests", len(ids))
		}
	}
}

// An answer that is an error arrives as it was given.
func TestAnswerThatIsAnError(t *testing.T) {
	a, b := asking(t), asking(t)
	c := plait(t, two, a, b).open()
	c.ask = func(m *jsonrpc.Message) jsonrpc.Text {
		return jsonrpc.Failure(m.ID(), &jsonrpc.Error{Code: -1, Message: "User rejected", Data: jsonrpc.Raw(`{"x":1.0}`)})
	}
	equal(t, "answer", c.asks("b_t", "sampling/createMessage", "{}"),
		`{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"User rejected","data":{"x":1.0}}}`)
	equal(t, "ping", c.asks("b_t", "ping", ""), `{"jsonrpc":"2.0","id":1,"result":{}}`)
	if n := len(c.received("ping")); n != 0 {
		t.Error("a ping was passed on")
	}
}

// What the client is asked is what the server asks, but for what several servers would confuse.
func TestQuestionsAreEditedOnlyWhereTheyMust(t *testing.T) {
	const (
		sampling = `{"messages":[{"role":"user","content":[{"type":"resource_link","uri":"file:///r.md","x":1.0},` +
			`{"type":"tool_result","toolUseId":"1","content":[]}]}],"tools":[{"name":"t","inputSchema":{}}],"includeContext":"thisServer"}`
		form = `{"message":"Na\u006de?","requestedSchema":{"type":"object","properties":{"n":{"type":"integer","maximum":1e2}}}}`
		url  = `{"mode":"url","elicitationId":"e1","url":"https://i/x","message":"m"}`
	)
	list := `{"resources":[{"uri":"file:///r.md","name":"r"}]}`
	a, b := asking(t), asking(t)
	a.Set("resources/list", list)
	b.Set("resources/list", list)
	asked := func(c *client, tool, method, params string) string {
		c.answers(func(*jsonrpc.Message) string { return "{}" })
		c.asks(tool, method, params)
		got := c.received(method)
		return string(got[len(got)-1].Params())
	}
	c := plait(t, two, a, b).open()
	c.result("resources/list", "")
	equal(t, "form", asked(c, "b_t", "elicitation/create", form), strings.Replace(form, `"Na\u006de?"`, `"[b] Name?"`, 1))
	equal(t, "url", asked(c, "b_t", "elicitation/create", url), `{"mode":"url","elicitationId":"b:e1","url":"https://i/x","message":"[b] m"}`)
	equal(t, "sampling", asked(c, "b_t", "sampling/createMessage", sampling),
		strings.NewReplacer("file:///r.md", "b+file:///r.md", "thisServer", "none").Replace(sampling))
	equal(t, "sampling of the owner", asked(c, "a_t", "sampling/createMessage", sampling),
		strings.Replace(sampling, "thisServer", "none", 1))
	if got := asked(c, "b_t", "roots/list", ""); got != "" {
		t.Errorf("params out of nothing: %s", got)
	}
	c = plait(t, "mcpServers: {b: {url: $b}}", a, b).open()
	for method, params := range map[string]string{"elicitation/create": form, "sampling/createMessage": sampling} {
		equal(t, "one server", asked(c, "b_t", method, params), params)
	}
	equal(t, "one server", asked(c, "b_t", "elicitation/create", url), url)
}

// Progress of the client reaches the server that asked, with its token.
func TestProgressOfTheClient(t *testing.T) {
	a, b := asking(t), asking(t)
	c := plait(t, two, a, b).open()
	c.ask = func(m *jsonrpc.Message) jsonrpc.Text {
		token, _ := jsonrpc.Get(m.Params(), "_meta", "progressToken")
		for n := range 3 {
			c.notify("notifications/progress", fmt.Sprintf(`{"progressToken":%s,"progress":%d,"x":1.0}`, token, n))
		}
		c.notify("notifications/progress", `{"progressToken":"p","progress":9}`)
		return jsonrpc.Result(m.ID(), jsonrpc.Raw("{}"))
	}
	c.asks("b_t", "sampling/createMessage", `{"_meta":{"progressToken":"p"}}`)
	var got []string
	for _, m := range b.Await(t, "notifications/progress", 3) {
		got = append(got, string(m.Params()))
	}
	want := []string{
		`{"progressToken":"p","progress":0,"x":1.0}`, `{"progressToken":"p","progress":1,"x":1.0}`,
		`{"progressToken":"p","progress":2,"x":1.0}`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("progress (-want +got):\n%s", d)
	}
	if len(a.Received("notifications/progress")) != 0 {
		t.Error("progress went to the wrong server")
	}
}

// T44: a server asks the client whose session it is and nobody else.
func TestT44Attribution(t *testing.T) {
	journal := filepath.Join(t.TempDir(), "journal")
	s := plait(t, `mcpServers: {a: {command: "$self", env: {`+childRole+`: server, PLAIT_TEST_JOURNAL: `+journal+`}}, b: {command: "$self", disabled: true}}`)
	p, q := s.open(), s.open()
	for _, c := range []*client{p, q} {
		c.answers(func(*jsonrpc.Message) string { return `{"action":"decline"}` })
		c.result("tools/list", "")
	}
	ctx, cancel := context.WithCancel(t.Context())
	var waits sync.WaitGroup
	for _, c := range []*client{p, q} {
		waits.Go(func() { c.callAs(ctx, `"w"`, "tools/call", `{"name":"a_wait"}`) })
	}
	eventually(t, "both calls are there", func() bool { return strings.Count(text(t, journal), `"wait"`) == 2 })
	p.result("tools/call", `{"name":"a_ask"}`)
	p.await("elicitation/create", 1)
	cancel()
	waits.Wait()
	eventually(t, "both children are told", func() bool { return strings.Count(text(t, journal), "notifications/cancelled") == 2 })
	if n := len(q.received("elicitation/create")); n != 0 {
		t.Errorf("the wrong client was asked %d times", n)
	}
	if n := strings.Count(text(t, journal), "initialize {"); n != 2 {
		t.Errorf("%d children for two clients", n)
	}
}

func text(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(b)
}

// T44 with a shared server: one session for both clients, which can ask nobody.
func TestT44SharedServerAsksNobody(t *testing.T) {
	a, b := asking(t), asking(t)
	s := plait(t, "mcpServers: {a: {url: $a, shared: true}, b: {url: $b}}", a, b)
	p, q := s.open(), s.open()
	for _, c := range []*client{p, q} {
		c.result("tools/list", "") // both servers are there
		if got := c.asks("a_t", "elicitation/create", `{"message":"m"}`); !strings.Contains(got, `"code":-32602`) {
			t.Errorf("the server got %s", got)
		}
		c.notify("notifications/roots/list_changed", "")
	}
	b.Await(t, "notifications/roots/list_changed", 2)
	if n := len(p.received("elicitation/create")) + len(q.received("elicitation/create")); n != 0 {
		t.Errorf("somebody was asked")
	}
	hello := a.Received("initialize")
	if len(hello) != 1 || len(b.Received("initialize")) != 2 {
		t.Fatalf("%d sessions with the shared server", len(hello))
	}
	if capabilities, _ := jsonrpc.Get(hello[0].Params(), "capabilities"); string(capabilities) != "{}" {
		t.Errorf("declared %s", capabilities)
	}
	if n := len(a.Received("notifications/roots/list_changed")); n != 0 {
		t.Error("a server that was not told of roots was told that they changed")
	}
	capabilities, _ := jsonrpc.Get(b.Received("initialize")[0].Params(), "capabilities")
	equal(t, "capabilities of the client", string(capabilities), allCapabilities)
}

// T45: the error that asks to visit a URL.
func TestT45URLElicitation(t *testing.T) {
	const data = `{"elicitations":[{"mode":"url","elicitationId":%q,"url":"https://i/x","message":"m","x":1.0}]}`
	a := with(t, "u", nil)
	b := with(t, "t", func(c *upstreamtest.Call) { c.Error(-32042, "visit first", fmt.Sprintf(data, "e1")) })
	s := plait(t, two, a, b)
	c := s.open()
	equal(t, "data", string(c.fails("tools/call", `{"name":"b_t"}`, -32042).Data), fmt.Sprintf(data, "b:e1"))
	b.Notify("notifications/elicitation/complete", `{"elicitationId":"e1"}`)
	equal(t, "complete", string(c.await("notifications/elicitation/complete", 1)[0].Params()), `{"elicitationId":"b:e1"}`)
	old := s.openAs("2025-06-18", allCapabilities)
	equal(t, "older client", old.result("tools/call", `{"name":"b_t"}`),
		`{"content":[{"type":"text","text":"visit first\nm https://i/x"}],"isError":true}`)
	c = plait(t, "mcpServers: {b: {url: $b}}", a, b).open()
	equal(t, "one server", string(c.fails("tools/call", `{"name":"b_t"}`, -32042).Data), fmt.Sprintf(data, "e1"))
}

// The client is told when a server gives a question up, and its late answer goes nowhere.
func TestServerCancelsItsQuestion(t *testing.T) {
	a := with(t, "t", func(c *upstreamtest.Call) {
		go c.Ask(`"q"`, "elicitation/create", `{"message":"m"}`)
		<-c.Request.Context().Done()
	})
	b := with(t, "u", nil)
	s := plait(t, two, a, b)
	c := s.open()
	ctx, cancel := context.WithCancel(t.Context())
	var call sync.WaitGroup
	call.Go(func() { c.callAs(ctx, "7", "tools/call", `{"name":"a_t"}`) })
	asked := c.await("elicitation/create", 1)[0]
	a.Notify("notifications/cancelled", `{"requestId":"q","reason":"enough"}`)
	told := c.await("notifications/cancelled", 1)[0]
	equal(t, "what the client is told", string(told.Params()), `{"requestId":`+string(asked.ID())+`,"reason":"enough"}`)
	c.respond(jsonrpc.Result(asked.ID(), jsonrpc.Raw(`{"action":"accept"}`)))
	cancel()
	call.Wait()
	a.Await(t, "notifications/cancelled", 1)
	if n := len(a.Received("")); n != 0 {
		t.Errorf("a cancelled question was answered")
	}
}
