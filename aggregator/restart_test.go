package aggregator

import (
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/upstreamtest"
)

// T50 with a child: what the client had set up is there again after it died, and other servers do not notice.
func TestT50ChildDies(t *testing.T) {
	journal := filepath.Join(t.TempDir(), "journal")
	b := with(t, "t", echo)
	s := plait(t, `mcpServers: {a: {command: "$self", env: {`+childRole+`: server, PLAIT_TEST_JOURNAL: `+journal+`}}, b: {url: $b}}`, b, b)
	c := s.open()
	tools := c.result("tools/list", "")
	c.result("resources/list", "")
	c.result("resources/subscribe", `{"uri":"file:///r"}`)
	c.result("logging/setLevel", `{"level":"error"}`)
	var calls sync.WaitGroup
	calls.Go(func() { c.fails("tools/call", `{"name":"a_wait"}`, jsonrpc.CodeInternal) })
	eventually(t, "the call is there", func() bool { return strings.Contains(text(t, journal), `"wait"`) })
	e := c.fails("tools/call", `{"name":"a_die"}`, jsonrpc.CodeInternal)
	calls.Wait()
	if !strings.Contains(e.Message, `server "a"`) {
		t.Errorf("the error does not name the server: %s", e.Message)
	}
	equal(t, "other server", c.result("tools/call", `{"name":"b_t"}`), `{"name":"t"}`)
	equal(t, "updated", string(c.await("notifications/resources/updated", 1)[0].Params()), `{"uri":"file:///r"}`)
	equal(t, "call", c.result("tools/call", `{"name":"a_echo"}`), `{"content":[],"params":{"name":"echo"}}`)
	equal(t, "list", c.result("tools/list", ""), tools)
	all := text(t, journal)
	second := all[strings.LastIndex(all, "initialize {"):]
	for _, once := range []string{`resources/subscribe {"uri":"file:///r"}`, `logging/setLevel {"level":"error"}`} {
		if strings.Count(all, once) != 2 || strings.Count(second, once) != 1 {
			t.Errorf("%s in\n%s", once, all)
		}
	}
	if strings.Count(all, "initialize {") != 2 || strings.Count(all, `"die"`) != 1 || strings.Count(all, `"wait"`) != 1 {
		t.Errorf("the children were asked for\n%s", all)
	}
	if n := len(c.received("notifications/resources/updated")); n != 1 {
		t.Errorf("%d updates", n)
	}
	if n := len(c.received("notifications/tools/list_changed")); n != 0 {
		t.Errorf("a list that did not change was announced")
	}
}

// forgetful returns a server that counts how often its tool was carried out, and takes subscriptions and levels.
func forgetful(t *testing.T, ran *atomic.Int64) *upstreamtest.Server {
	t.Helper()
	return (&upstreamtest.Server{
		Results: map[string]string{
			"tools/list": tools("t"), "resources/list": `{"resources":[{"uri":"x://1","name":"1"}]}`,
			"resources/subscribe": "{}", "resources/unsubscribe": "{}", "logging/setLevel": "{}",
		},
		Handle: func(c *upstreamtest.Call) {
			if c.Method() == "tools/call" {
				ran.Add(1)
				c.Result(string(c.Params()))
			}
		},
	}).Start(t)
}

// T50 and T60 (f): a server that forgets the session gets one new one with all that was set up, and carries
// nothing out twice.
func TestT50ServerForgets(t *testing.T) {
	var ran atomic.Int64
	a, b := forgetful(t, &ran), with(t, "u", nil)
	c := plait(t, two, a, b).open()
	c.result("tools/list", "")
	c.result("resources/subscribe", `{"uri":"x://1"}`)
	c.result("logging/setLevel", `{"level":"error"}`)
	for round := 1; round <= 3; round++ {
		a.Forget()
		var calls sync.WaitGroup
		for range 10 {
			calls.Go(func() { equal(t, "call", c.result("tools/call", `{"name":"a_t"}`), `{"name":"t"}`) })
		}
		calls.Wait()
		if n := ran.Load(); n != int64(10*round) {
			t.Errorf("10 calls were carried out %d times", n-int64(10*(round-1)))
		}
		c.await("notifications/resources/updated", round)
		for method, n := range map[string]int{"initialize": 1, "resources/subscribe": 1, "logging/setLevel": 1} {
			if got := len(a.Received(method)); got != n+round {
				t.Errorf("round %d: %d requests %s", round, got, method)
			}
		}
	}
	if len(c.received("notifications/resources/updated")) != 3 || len(c.received("notifications/tools/list_changed")) != 0 {
		t.Error("the client heard more than it should")
	}
	c.result("resources/unsubscribe", `{"uri":"x://1"}`)
	a.Forget()
	c.result("tools/call", `{"name":"a_t"}`)
	if n := len(a.Received("resources/subscribe")); n != 4 {
		t.Errorf("an ended subscription was put back")
	}
}

// T60 (f): a call that the server has taken is not sent again: it is answered late, or it fails.
func TestT60SessionLostDuringACall(t *testing.T) {
	release := make(chan struct{})
	var ran atomic.Int64
	a := with(t, "t", func(c *upstreamtest.Call) {
		ran.Add(1)
		switch how, _ := jsonrpc.GetString(c.Params(), "arguments", "how"); how {
		case "late":
			<-release
			c.Result(`{"content":["late"]}`)
		case "never":
			<-release
			c.Stay()
		default:
			c.Result(`{"content":[]}`)
		}
	})
	b := with(t, "u", nil)
	c := plait(t, two, a, b).open()
	var calls sync.WaitGroup
	calls.Go(func() {
		equal(t, "late", c.result("tools/call", `{"name":"a_t","arguments":{"how":"late"}}`), `{"content":["late"]}`)
	})
	calls.Go(func() {
		e := c.fails("tools/call", `{"name":"a_t","arguments":{"how":"never"}}`, jsonrpc.CodeInternal)
		if !strings.Contains(e.Message, `server "a"`) {
			t.Errorf("the error does not name the server: %s", e.Message)
		}
	})
	a.Await(t, "tools/call", 2)
	a.Forget()
	c.result("tools/call", `{"name":"a_t"}`)
	close(release)
	calls.Wait()
	if n := ran.Load(); n != 3 {
		t.Errorf("three calls were carried out %d times", n)
	}
}

// T50: servers that do not stay up are tried less and less often, and disturb nobody.
func TestT50CrashLoop(t *testing.T) {
	t.Parallel()
	a := with(t, "t", echo)
	amnesia := (&upstreamtest.Server{Intercept: func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) bool {
		if m.Kind() == jsonrpc.Request && m.Method() != "initialize" {
			w.WriteHeader(http.StatusNotFound)
			return true
		}
		return false
	}}).Start(t)
	s := plait(t, `mcpServers: {a: {url: $a}, b: {url: $b}, c: {command: "$self", env: {`+childRole+`: crash}}}`, a, amnesia)
	c := s.open()
	end := time.After(3 * time.Second)
	for over := false; !over; {
		c.result("tools/list", "")
		equal(t, "other server", c.result("tools/call", `{"name":"a_t"}`), `{"name":"t"}`)
		select {
		case <-end:
			over = true
		case <-time.After(20 * time.Millisecond):
		}
	}
	if n := len(amnesia.Received("initialize")); n < 2 || n > 30 {
		t.Errorf("the server that forgets at once was greeted %d times", n)
	}
	if n := len(s.log.lines("connected: server=c")); n > 30 {
		t.Errorf("the child that dies at once was started %d times", n)
	}
}

// A call tries a server that is down, at once unless that was done a moment ago, and does not wait for the back-off.
func TestCallCutsTheBackOffShort(t *testing.T) {
	t.Parallel()
	var up atomic.Bool
	a := with(t, "t", echo)
	b := with(t, "u", echo)
	b.Intercept = func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) bool {
		if !up.Load() {
			w.WriteHeader(http.StatusBadGateway)
		}
		return !up.Load()
	}
	c := plait(t, `mcpServers: {a: {url: $a}, b: {url: $b, methods: [x]}}`, a, b).open()
	c.result("tools/list", "")
	for range 3 { // the waits grow
		c.fails("x", "", jsonrpc.CodeInternal)
		pause(2100 * time.Millisecond)
	}
	up.Store(true)
	eventually(t, "the call succeeds", func() bool { return c.call("x", "{}").Error() == nil })
	c.await("notifications/tools/list_changed", 1)
}

// A lost ping is logged and changes nothing.
func TestLostPing(t *testing.T) {
	a, b := with(t, "t", echo), with(t, "u", nil)
	a.Intercept = func(_ http.ResponseWriter, r *http.Request, m *jsonrpc.Message) bool {
		if m.Method() == "ping" {
			<-r.Context().Done()
		}
		return m.Method() == "ping"
	}
	s := plait(t, "mcpServers: {a: {url: $a, ping: {interval: 20ms, timeout: 20ms}}, b: {url: $b, ping: {interval: 20ms, timeout: 30s}}}", a, b)
	c := s.open()
	c.result("tools/list", "")
	a.Await(t, "ping", 3)
	b.Await(t, "ping", 3)
	eventually(t, "it is logged", func() bool { return len(s.log.lines("[WARN]", "lost ping", "server=a")) > 1 })
	equal(t, "call", c.result("tools/call", `{"name":"a_t"}`), `{"name":"t"}`)
	if len(a.Received("initialize")) != 1 || len(s.log.lines("lost ping", "server=b")) != 0 {
		t.Error("a lost ping had consequences")
	}
}

// A shared server has one subscription for all clients, as long as one of them has it.
func TestSubscriptionsOfASharedServer(t *testing.T) {
	var ran atomic.Int64
	a, b := forgetful(t, &ran), with(t, "u", nil)
	s := plait(t, "mcpServers: {a: {url: $a, shared: true}, b: {url: $b}}", a, b)
	p, q, r := s.open(), s.open(), s.open()
	for _, c := range []*client{p, q, r} {
		c.result("resources/list", "")
	}
	for _, c := range []*client{p, q} {
		equal(t, "subscribe", c.result("resources/subscribe", `{"uri":"x://1"}`), "{}")
	}
	a.Notify("notifications/resources/updated", `{"uri":"x://1/sub"}`)
	a.Notify("notifications/resources/updated", `{"uri":"x://11"}`)
	for _, c := range []*client{p, q} {
		equal(t, "update", string(c.await("notifications/resources/updated", 1)[0].Params()), `{"uri":"x://1/sub"}`)
	}
	equal(t, "first unsubscribe", p.result("resources/unsubscribe", `{"uri":"x://1"}`), "{}")
	if len(a.Received("resources/subscribe")) != 1 || len(a.Received("resources/unsubscribe")) != 0 {
		t.Error("the server was told of one client")
	}
	a.Notify("notifications/resources/updated", `{"uri":"x://1"}`)
	q.await("notifications/resources/updated", 2)
	q.result("resources/unsubscribe", `{"uri":"x://1"}`)
	a.Await(t, "resources/unsubscribe", 1)
	if len(p.received("notifications/resources/updated")) != 1 || len(r.received("notifications/resources/updated")) != 0 {
		t.Error("a client was told of what it did not subscribe to")
	}
}
