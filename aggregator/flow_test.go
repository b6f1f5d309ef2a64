package aggregator

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/upstreamtest"
)

// logger returns a server that takes log levels.
func logger(t *testing.T) *upstreamtest.Server {
	t.Helper()
	return (&upstreamtest.Server{Results: map[string]string{"tools/list": tools("t"), "logging/setLevel": "{}"}}).Start(t)
}

func levels(s *upstreamtest.Server) []string {
	var all []string
	for _, m := range s.Received("logging/setLevel") {
		level, _ := jsonrpc.GetString(m.Params(), "level")
		all = append(all, level)
	}
	return all
}

// T51: levels go to every server that logs, and messages come back as they are.
func TestT51Logs(t *testing.T) {
	a, b := logger(t), logger(t)
	silent := (&upstreamtest.Server{Capabilities: `{"tools":{}}`}).Start(t)
	c := plait(t, "mcpServers: {a: {url: $a}, b: {url: $b}, c: {url: $c}}", a, b, silent).open()
	c.result("tools/list", "")
	for _, params := range []string{`{"level":"loud"}`, `{"level":"Error"}`, `{"level":4}`, `{}`, `{"level":"info","Level":"error"}`, ""} {
		c.fails("logging/setLevel", params, jsonrpc.CodeInvalidParams)
	}
	equal(t, "answer", c.result("logging/setLevel", `{"level":"error"}`), "{}")
	if !cmp.Equal(levels(a), []string{"error"}) || !cmp.Equal(levels(b), []string{"error"}) || levels(silent) != nil {
		t.Errorf("levels %v, %v and %v", levels(a), levels(b), levels(silent))
	}
	const message = `{"level":"debug","logger":"l","data":{"x":1.0},"future":1}`
	a.Notify("notifications/message", message)
	equal(t, "message", string(c.await("notifications/message", 1)[0].Params()), message)
}

// A server that does not answer holds nobody up who sets the level.
func TestLevelWithAHungServer(t *testing.T) {
	t.Parallel()
	b := (&upstreamtest.Server{Handle: func(c *upstreamtest.Call) { <-c.Request.Context().Done() }}).Start(t)
	a := logger(t)
	c := plait(t, "startup: {wait: 100ms}\n"+two, a, b).open()
	c.result("tools/list", "")
	begin := time.Now()
	equal(t, "answer", c.result("logging/setLevel", `{"level":"error"}`), "{}")
	if d := time.Since(begin); d > 20*time.Second {
		t.Errorf("it took %v", d)
	}
	if !cmp.Equal(levels(a), []string{"error"}) {
		t.Errorf("levels %v", levels(a))
	}
}

// A shared server gets the least severe level, and each client hears what it wants to.
func TestLevelsOfASharedServer(t *testing.T) {
	a, b := logger(t), logger(t)
	s := plait(t, "mcpServers: {a: {url: $a, shared: true}, b: {url: $b}}", a, b)
	p, q := s.open(), s.open()
	p.result("tools/list", "")
	p.result("logging/setLevel", `{"level":"warning"}`)
	q.result("logging/setLevel", `{"level":"error"}`)
	p.result("logging/setLevel", `{"level":"info"}`)
	if want := []string{"warning", "warning", "info"}; !cmp.Equal(levels(a), want) {
		t.Errorf("levels %v", levels(a))
	}
	for _, level := range []string{"info", "error"} {
		a.Notify("notifications/message", `{"level":"`+level+`","data":1}`)
	}
	p.await("notifications/message", 2)
	equal(t, "q's", string(q.await("notifications/message", 1)[0].Params()), `{"level":"error","data":1}`)
}

// T52: progress increases and ends with the answer; none comes that was not asked for.
func TestT52Progress(t *testing.T) {
	a := with(t, "t", func(c *upstreamtest.Call) {
		for _, value := range []string{"1", "2", "1", "2", "1e999", `"NaN"`, "null", "-1", "3"} {
			c.Progress(value)
		}
		c.Notify("notifications/progress", `{"progressToken":"other","progress":9}`)
		c.Notify("notifications/progress", `{"progressToken":12345,"progress":9}`)
		c.Result(`{"content":[]}`)
	})
	b := with(t, "u", nil)
	c := plait(t, two, a, b).open()
	for n := range 3 {
		c.result("tools/call", `{"name":"a_t","_meta":{"progressToken":"p","k":1.0}}`)
		var got []string
		for _, m := range c.received("notifications/progress") {
			got = append(got, string(m.Params()))
		}
		want := []string{`{"progressToken":"p","progress":1}`, `{"progressToken":"p","progress":2}`, `{"progressToken":"p","progress":3}`}
		for range n {
			want = append(want, want[:3]...)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("progress (-want +got):\n%s", d)
		}
	}
	token, _ := jsonrpc.Get(a.Received("tools/call")[2].Params(), "_meta", "progressToken")
	a.Notify("notifications/progress", `{"progressToken":`+string(token)+`,"progress":4}`)
	c.result("tools/call", `{"name":"a_t"}`)
	a.Notify("notifications/message", `{"level":"info","data":"end"}`)
	c.await("notifications/message", 1)
	if n := len(c.received("notifications/progress")); n != 9 {
		t.Errorf("progress that nobody asked for")
	}
	if meta, ok := jsonrpc.Get(a.Received("tools/call")[3].Params(), "_meta"); ok {
		t.Errorf("the server was asked for progress: %s", meta)
	}
	for _, token := range []string{"null", "{}", "true", "[1]"} {
		c.fails("tools/call", `{"name":"a_t","_meta":{"progressToken":`+token+`}}`, jsonrpc.CodeInvalidParams)
	}
}

// T06's part for this era: _meta passes, but for what the protocol keeps between two ends.
func TestMetaPasses(t *testing.T) {
	a, b := with(t, "t", echo), with(t, "u", nil)
	c := plait(t, two, a, b).open()
	got := c.result("tools/call", `{"name":"a_t","_meta":{"traceparent":"00-1-01","io.modelcontextprotocol/subscriptionId":9,`+
		`"tracestate":"v=1","baggage":"k=v","com.acme/x":{"y":1.0},"io.modelcontextprotocol/model-immediate-response":"m"}}`)
	equal(t, "_meta", got, `{"name":"t","_meta":{"traceparent":"00-1-01",`+
		`"tracestate":"v=1","baggage":"k=v","com.acme/x":{"y":1.0},"io.modelcontextprotocol/model-immediate-response":"m"}}`)
}

// T53 (f): a client that cancels a call is told that the question which the call caused is over.
func TestT53CancelDuringAQuestion(t *testing.T) {
	a, b := asking(t), asking(t)
	c := plait(t, two, a, b).open()
	ctx, cancel := context.WithCancel(t.Context())
	var call sync.WaitGroup
	call.Go(func() {
		if m := c.callAs(ctx, `"x"`, "tools/call", `{"name":"b_t","arguments":{"method":"elicitation/create","params":{"message":"m"}}}`); m != nil {
			t.Errorf("a cancelled request was answered: %s", m.Text().Bytes())
		}
	})
	asked := c.await("elicitation/create", 1)[0]
	cancel()
	call.Wait()
	told := c.await("notifications/cancelled", 1)[0]
	if id, _ := jsonrpc.Get(told.Params(), "requestId"); string(id) != string(asked.ID()) {
		t.Errorf("cancelled %s, want %s", id, asked.ID())
	}
	id, _ := jsonrpc.Get(b.Await(t, "notifications/cancelled", 1)[0].Params(), "requestId")
	if want := b.Received("tools/call")[0].ID(); string(id) != string(want) {
		t.Errorf("the server was told of %s, want %s", id, want)
	}
}

// A call times out when nothing comes, and progress begins the time anew.
func TestCallTimeout(t *testing.T) {
	t.Parallel()
	const timeout = 4 * time.Second
	a := with(t, "t", func(c *upstreamtest.Call) {
		if steps, _ := jsonrpc.Get(c.Params(), "arguments", "steps"); steps != nil {
			for n := range 5 {
				pause(timeout / 4)
				c.Progress(strconv.Itoa(n))
			}
			c.Result(`{"content":[]}`)
			return
		}
		<-c.Request.Context().Done()
	})
	b := with(t, "u", nil)
	c := plait(t, "mcpServers: {a: {url: $a, callTimeout: 4s}, b: {url: $b}}", a, b).open()
	c.result("tools/call", `{"name":"a_t","arguments":{"steps":1},"_meta":{"progressToken":1}}`)
	begin := time.Now()
	e := c.fails("tools/call", `{"name":"a_t"}`, jsonrpc.CodeInternal)
	if d := time.Since(begin); d < timeout || d > 20*time.Second {
		t.Errorf("it took %v", d)
	}
	for _, word := range []string{`server "a"`, "tools/call", "4s", "callTimeout"} {
		if !strings.Contains(e.Message, word) {
			t.Errorf("the error does not say %s: %s", word, e.Message)
		}
	}
	a.Await(t, "notifications/cancelled", 1)
}

// The time of a call does not run while its user thinks.
func TestCallTimeoutRestsWhileTheClientIsAsked(t *testing.T) {
	t.Parallel()
	a, b := asking(t), with(t, "u", nil)
	c := plait(t, "mcpServers: {a: {url: $a, callTimeout: 3s}, b: {url: $b}}", a, b).open()
	var call sync.WaitGroup
	call.Go(func() {
		equal(t, "answer", c.asks("a_t", "elicitation/create", `{"message":"m"}`), `{"jsonrpc":"2.0","id":1,"result":{"action":"accept"}}`)
	})
	asked := c.await("elicitation/create", 1)[0]
	pause(4 * time.Second)
	c.respond(jsonrpc.Result(asked.ID(), jsonrpc.Raw(`{"action":"accept"}`)))
	call.Wait()
}
