package aggregator

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/upstreamtest"
)

// A filter reaches the client without any request to the servers, whether there are several or one that is passed
// through; what is hidden cannot be called from then on, and what is shown again can.
func TestApplyFilters(t *testing.T) {
	a := (&upstreamtest.Server{Results: map[string]string{"tools/list": tools("t", "u")}, Handle: echo}).Start(t)
	b := with(t, "v", echo)
	for _, c := range []struct {
		name, open, hide string
		t, u             string
	}{
		{"several", two, "mcpServers: {a: {url: $a, tools: {deny: [u]}}, b: {url: $b}}", "a_t", "a_u"},
		{"one", "mcpServers: {a: {url: $a, prefix: ''}}", "mcpServers: {a: {url: $a, prefix: '', tools: {deny: [u]}}}", "t", "u"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := plait(t, c.open, a, b)
			client := s.open()
			all := client.listed()
			client.result("tools/call", `{"name":"`+c.u+`"}`)
			quietly(t, func() {
				s.apply(c.hide, a, b)
				client.await("notifications/tools/list_changed", 1)
				if got := client.listed(); len(got) != len(all)-1 {
					t.Errorf("with a filter: %v", got)
				}
				client.fails("tools/call", `{"name":"`+c.u+`"}`, jsonrpc.CodeInvalidParams)
				s.apply(c.open, a, b)
				client.await("notifications/tools/list_changed", 2)
				if d := cmp.Diff(all, client.listed()); d != "" {
					t.Errorf("without it again (-want +got):\n%s", d)
				}
			}, a, b)
			equal(t, "call", client.result("tools/call", `{"name":"`+c.u+`"}`), `{"name":"u"}`)
		})
	}
}

// A call in flight on a server that has lost its place can still ask the client, which is told who asks.
func TestApplyDuringAQuestion(t *testing.T) {
	ask := make(chan struct{})
	a := with(t, "t", func(c *upstreamtest.Call) {
		<-ask
		answer := c.Ask("7", "elicitation/create", `{"message":"Well?","requestedSchema":{"type":"object","properties":{}}}`)
		c.Result(`{"content":[],"answer":` + string(answer.Result()) + `}`)
	})
	b := with(t, "u", echo)
	s := plait(t, two, a, b)
	c := s.open()
	c.listed()
	c.mu.Lock()
	c.ask = func(m *jsonrpc.Message) jsonrpc.Text {
		return jsonrpc.Result(m.ID(), jsonrpc.Raw(`{"action":"decline"}`))
	}
	c.mu.Unlock()
	var calls sync.WaitGroup
	calls.Go(func() {
		equal(t, "answer", c.result("tools/call", `{"name":"a_t"}`), `{"content":[],"answer":{"action":"decline"}}`)
	})
	a.Await(t, "tools/call", 1)
	s.apply("mcpServers: {b: {url: $b, prefix: ''}}", a, b)
	close(ask)
	calls.Wait()
	message, _ := jsonrpc.GetString(c.received("elicitation/create")[0].Params(), "message")
	equal(t, "question", message, "[a] Well?")
	ended(t, a)
}

// A server that is new gets the log level of the client.
func TestApplyBringsTheLogLevel(t *testing.T) {
	a, b := with(t, "t", echo), with(t, "u", echo)
	s := plait(t, "mcpServers: {a: {url: $a}}", a)
	c := s.open()
	c.listed()
	c.result("logging/setLevel", `{"level":"warning"}`)
	s.apply(two, a, b)
	equal(t, "level", string(b.Await(t, "logging/setLevel", 1)[0].Params()), `{"level":"warning"}`)
	if n := len(a.Received("logging/setLevel")); n != 1 {
		t.Errorf("the other server was told %d times", n)
	}
}

// Of a server that is gone no task stays, not even when one of that name comes later; of one that is connected anew
// they do.
func TestApplyAndTasks(t *testing.T) {
	server := func() *upstreamtest.Server {
		return (&upstreamtest.Server{Results: map[string]string{
			"tools/list": tools("t"), "tools/call": `{"task":{"taskId":"1","status":"working"}}`, "tasks/get": `{"taskId":"1","status":"working"}`,
		}}).Start(t)
	}
	a, other, b := server(), server(), with(t, "u", echo)
	s := plait(t, two, a, b)
	c := s.open()
	c.listed()
	c.result("tools/call", `{"name":"a_t","task":{}}`)
	s.apply(two, other, b)
	c.result("tasks/get", `{"taskId":"1"}`)
	if len(a.Received("tasks/get")) != 0 || len(other.Received("tasks/get")) != 1 {
		t.Error("the task is not that of the server in its place")
	}
	s.apply("mcpServers: {b: {url: $b}, c: {url: $a}}", a, b)
	s.apply(two, other, b)
	c.listed()
	c.fails("tasks/get", `{"taskId":"1"}`, jsonrpc.CodeInvalidParams)
}

// Servers that a reload makes wrong, or right, are what they are after a start.
func TestApplyAndMisconfiguredServers(t *testing.T) {
	a, b := with(t, "t", echo), with(t, "u", echo)
	s := plait(t, two, a, b)
	c := s.open()
	c.listed()
	const wrong = "mcpServers: {a: {url: 'ftp://a'}, b: {url: $b}}"
	s.apply(wrong, a, b)
	if d := cmp.Diff([]string{"b_u"}, c.listed()); d != "" {
		t.Error(d)
	}
	e := c.fails("tools/call", `{"name":"a_t"}`, jsonrpc.CodeInvalidParams)
	if state, _ := jsonrpc.GetString(e.Data, "state"); state != "misconfigured" {
		t.Errorf("the error says %s", e.Data)
	}
	quietly(t, func() { s.apply(wrong, a, b) }, b)
	s.apply(two, a, b)
	if d := cmp.Diff([]string{"a_t", "b_u"}, c.listed()); d != "" {
		t.Error(d)
	}
	if n := len(b.Received("initialize")); n != 1 {
		t.Errorf("the other server was greeted %d times", n)
	}
}
