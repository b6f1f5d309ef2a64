package aggregator

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/upstreamtest"
)

// apply replaces the configuration.
func (s *strand) apply(yaml string, servers ...*upstreamtest.Server) config.Plan {
	s.t.Helper()
	return s.agg.Apply(configured(s.t, yaml, servers...))
}

// listed returns the names of the tools.
func (c *client) listed() []string {
	c.t.Helper()
	return names(c.t, c.result("tools/list", ""), "tools", "name")
}

// quietly does something, and fails the test when a server was asked for anything meanwhile.
func quietly(t *testing.T, do func(), servers ...*upstreamtest.Server) {
	t.Helper()
	before := make([]int, len(servers))
	for i, s := range servers {
		before[i] = len(s.All())
	}
	do()
	for i, s := range servers {
		if all := s.All(); len(all) != before[i] {
			for _, m := range all[before[i]:] {
				t.Errorf("server %d was sent %s", i, m.Text().Bytes())
			}
		}
	}
}

// A change of prefix, filter or anything else that does not decide the connection reaches the client, and calls,
// without any request to the servers.
func TestApplyWithoutRequests(t *testing.T) {
	a, b := with(t, "t", echo), with(t, "u", echo)
	s := plait(t, two, a, b)
	c := s.open()
	if d := cmp.Diff([]string{"a_t", "b_u"}, c.listed()); d != "" {
		t.Fatal(d)
	}
	for i, edit := range []struct {
		yaml string
		want []string
	}{
		{"mcpServers: {a: {url: $a, prefix: x}, b: {url: $b}}", []string{"x_t", "b_u"}},
		{"mcpServers: {b: {url: $b}, a: {url: $a, prefix: x}}", []string{"b_u", "x_t"}},
		{"mcpServers: {b: {url: $b, prefix: ''}, a: {url: $a, prefix: x}}", []string{"u", "x_t"}},
		{"naming: {separator: __}\nmcpServers: {b: {url: $b}, a: {url: $a, callTimeout: 5s, required: true}}", []string{"b__u", "a__t"}},
	} {
		quietly(t, func() {
			s.apply(edit.yaml, a, b)
			c.await("notifications/tools/list_changed", i+1)
			if d := cmp.Diff(edit.want, c.listed()); d != "" {
				t.Errorf("%s (-want +got):\n%s", edit.yaml, d)
			}
		}, a, b)
	}
	if d := cmp.Diff([]string{"u", "t"}, called(c, c.listed())); d != "" {
		t.Errorf("called (-want +got):\n%s", d)
	}
	quietly(t, func() {
		s.apply("mcpServers: {b: {url: $b, maxConcurrent: 3, prefix: b_}, a: {url: $a, prefix: a_}}", a, b)
		pause(3 * quiet)
	}, a, b)
	if n := len(c.received("notifications/tools/list_changed")); n != 4 {
		t.Errorf("%d announcements, want 4: the last change does not show", n)
	}
}

// One server may become several, and the other way round; only the names change, and tasks stay known.
func TestApplyOneOrSeveral(t *testing.T) {
	a, b := with(t, "t", echo), with(t, "u", echo)
	s := plait(t, "mcpServers: {a: {url: $a, prefix: ''}}", a)
	c := s.open()
	if d := cmp.Diff([]string{"t"}, c.listed()); d != "" {
		t.Fatal(d)
	}
	equal(t, "task", c.result("tasks/get", `{"taskId":"1"}`), `{"taskId":"1"}`)
	s.apply(two, a, b)
	if d := cmp.Diff([]string{"a_t", "b_u"}, c.listed()); d != "" {
		t.Error(d)
	}
	equal(t, "task of before", c.result("tasks/get", `{"taskId":"1"}`), `{"taskId":"1"}`)
	quietly(t, func() { s.apply("mcpServers: {b: {url: $b, prefix: ''}}", b, b) }, b)
	equal(t, "call", c.result("tools/call", `{"name":"u"}`), `{"name":"u"}`)
	if n := len(a.Received("initialize")); n != 1 {
		t.Errorf("%d sessions", n)
	}
	s.apply("mcpServers: {}")
	if d := cmp.Diff([]string(nil), c.listed()); d != "" {
		t.Error(d)
	}
	c.fails("tools/call", `{"name":"u"}`, jsonrpc.CodeInvalidParams)
}

// slow returns a server whose tool answers when release is closed.
func slow(t *testing.T, release chan struct{}) *upstreamtest.Server {
	t.Helper()
	return with(t, "t", func(c *upstreamtest.Call) {
		select {
		case <-release:
		case <-c.Request.Context().Done():
		}
		c.Result(string(c.Params()))
	})
}

// A call in flight comes to its end on the server that has lost its place; new calls do not go there.
func TestApplyDrains(t *testing.T) {
	release := make(chan struct{})
	a, b := slow(t, release), with(t, "u", echo)
	s := plait(t, two, a, b)
	c := s.open()
	c.listed()
	var calls sync.WaitGroup
	calls.Go(func() { equal(t, "call in flight", c.result("tools/call", `{"name":"a_t"}`), `{"name":"t"}`) })
	a.Await(t, "tools/call", 1)
	s.apply("mcpServers: {b: {url: $b}}", a, b)
	c.fails("tools/call", `{"name":"a_t"}`, jsonrpc.CodeInvalidParams)
	equal(t, "other call", c.result("tools/call", `{"name":"b_u"}`), `{"name":"u"}`)
	if n := len(a.Received("tools/call")); n != 1 {
		t.Errorf("%d calls reached the server", n)
	}
	close(release)
	calls.Wait()
	ended(t, a)
	if n := len(b.Received("initialize")); n != 1 {
		t.Errorf("the other server was greeted %d times", n)
	}
}

// ended waits until nobody has a session with a server.
func ended(t *testing.T, s *upstreamtest.Server) {
	t.Helper()
	eventually(t, "the sessions end", func() bool { return s.Sessions() == 0 })
}

// A call that takes longer than reload.drain is given up.
func TestApplyDrainLimit(t *testing.T) {
	a, b := slow(t, nil), with(t, "u", echo)
	s := plait(t, two, a, b)
	c := s.open()
	c.listed()
	var calls sync.WaitGroup
	calls.Go(func() {
		e := c.fails("tools/call", `{"name":"a_t"}`, jsonrpc.CodeInternal)
		if !strings.Contains(e.Message, `server "a"`) {
			t.Errorf("the error does not name the server: %s", e.Message)
		}
	})
	a.Await(t, "tools/call", 1)
	s.apply("reload: {drain: 50ms}\nmcpServers: {b: {url: $b}}", a, b)
	calls.Wait()
	ended(t, a)
}

// A client that leaves waits for no drain.
func TestApplyCloseEndsDrain(t *testing.T) {
	a, b := slow(t, nil), with(t, "u", echo)
	s := plait(t, two, a, b)
	c := s.open()
	c.listed()
	ctx, cancel := context.WithCancel(t.Context())
	var calls sync.WaitGroup
	calls.Go(func() { c.callAs(ctx, "7", "tools/call", `{"name":"a_t"}`) })
	a.Await(t, "tools/call", 1)
	s.apply("mcpServers: {b: {url: $b}}", a, b)
	c.session.Close()
	ended(t, a)
	cancel()
	calls.Wait()
}

// A server whose connection changes is opened beside the old one: it has what the client had set up, and the
// list does not flicker.
func TestApplyRestarts(t *testing.T) {
	const lists = `{"resources":[{"uri":"x://1","name":"1"}]}`
	server := func() *upstreamtest.Server {
		return (&upstreamtest.Server{Handle: echo, Results: map[string]string{
			"tools/list": tools("t"), "resources/list": lists, "resources/subscribe": "{}", "logging/setLevel": "{}",
		}}).Start(t)
	}
	open := make(chan struct{})
	a, b, late := server(), with(t, "u", echo), server()
	late.Intercept = until(open)
	s := plait(t, two, a, b)
	c := s.open()
	c.listed()
	c.result("resources/list", "")
	c.result("resources/subscribe", `{"uri":"x://1"}`)
	c.result("logging/setLevel", `{"level":"error"}`)
	before := len(b.All())
	s.apply("mcpServers: {a: {url: $a}, b: {url: $b}}", late, b)
	pause(3 * quiet)
	if v := c.session.now.Load(); len(v.catalog().List(0)) < len(tools("t", "u"))-len(`{"tools":}`) {
		t.Errorf("the list flickers: %s", v.catalog().List(0))
	}
	close(open)
	late.Await(t, "tools/list", 1)
	late.Await(t, "resources/list", 1)
	for method, params := range map[string]string{"resources/subscribe": `{"uri":"x://1"}`, "logging/setLevel": `{"level":"error"}`} {
		equal(t, method, string(late.Await(t, method, 1)[0].Params()), params)
	}
	c.await("notifications/resources/updated", 1)
	equal(t, "call", c.result("tools/call", `{"name":"a_t"}`), `{"name":"t"}`)
	ended(t, a)
	pause(3 * quiet)
	if got := c.received("notifications/tools/list_changed"); len(got) != 0 || len(c.received("notifications/resources/list_changed")) != 0 {
		t.Errorf("a list that did not change was announced")
	}
	if all := b.All(); len(all) != before {
		t.Errorf("the other server was sent %s", all[before].Text().Bytes())
	}
	if len(late.Received("tools/call")) != 1 || len(a.Received("tools/call")) != 0 {
		t.Error("the call did not go to the new server")
	}
}

// Of a server whose new settings do not work nothing stays, as after a start, and the change is told once, when
// all new servers have settled.
func TestApplyToABrokenServer(t *testing.T) {
	open := make(chan struct{})
	a, b := with(t, "t", echo), with(t, "u", echo)
	late := with(t, "v", echo)
	late.Intercept = until(open)
	down := with(t, "w", echo)
	down.Intercept = func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) bool {
		w.WriteHeader(http.StatusBadGateway)
		return true
	}
	s := plait(t, two, a, b)
	c := s.open()
	c.listed()
	s.apply("mcpServers: {a: {url: $a}, b: {url: $b}, c: {url: $c}}", down, b, late)
	pause(3 * quiet)
	if n := len(c.received("notifications/tools/list_changed")); n != 0 {
		t.Errorf("%d announcements before the servers have settled", n)
	}
	close(open)
	c.await("notifications/tools/list_changed", 1)
	if d := cmp.Diff([]string{"b_u", "c_v"}, c.listed()); d != "" {
		t.Error(d)
	}
	pause(3 * quiet)
	if n := len(c.received("notifications/tools/list_changed")); n != 1 {
		t.Errorf("%d announcements", n)
	}
}

// A server that hangs delays the announcement by startup.wait and no longer, and so it is with a list that is
// asked for right after.
func TestApplyHangingServer(t *testing.T) {
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	a, b, hung := with(t, "t", echo), with(t, "u", echo), with(t, "v", echo)
	hung.Intercept = until(never)
	s := plait(t, two, a, b)
	c := s.open()
	c.listed()
	s.apply("startup: {wait: 300ms}\nmcpServers: {c: {url: $c}, b: {url: $b}}", a, b, hung)
	begin := time.Now()
	if d := cmp.Diff([]string{"b_u"}, c.listed()); d != "" {
		t.Error(d)
	}
	if took := time.Since(begin); took < 200*time.Millisecond {
		t.Errorf("the list waited %s for the new server", took)
	}
	s.apply("startup: {wait: 300ms}\nmcpServers: {b: {url: $b}}", a, b, hung)
}

// A session that has not begun to work gets the servers of the latest generation, and one call of initialize may
// fall into a change.
func TestApplyBeforeTheFirstRequest(t *testing.T) {
	a, b := with(t, "t", echo), with(t, "u", echo)
	s := plait(t, "mcpServers: {a: {url: $a}}", a)
	c := &client{t: t, news: make(chan struct{})}
	c.session = s.agg.Open(c)
	s.apply("mcpServers: {b: {url: $b}}", a, b)
	c.result("initialize", `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}`)
	s.apply("mcpServers: {b: {url: $b, prefix: x}}", a, b)
	if d := cmp.Diff([]string{"x_u"}, c.listed()); d != "" {
		t.Error(d)
	}
	if n := len(a.All()); n != 0 {
		t.Errorf("the server of before got %d messages", n)
	}
}

// Clients of a shared server go to the new one together, each with what it had set up.
func TestApplyToASharedServer(t *testing.T) {
	server := func() *upstreamtest.Server {
		return (&upstreamtest.Server{Handle: echo, Results: map[string]string{
			"tools/list": tools("t"), "resources/list": `{"resources":[{"uri":"x://1","name":"1"},{"uri":"x://2","name":"2"}]}`,
			"resources/subscribe": "{}", "logging/setLevel": "{}",
		}}).Start(t)
	}
	a, other, b := server(), server(), with(t, "u", echo)
	const yaml = "mcpServers: {a: {url: $a, shared: true}, b: {url: $b}}"
	s := plait(t, yaml, a, b)
	var clients []*client
	for i := range 3 {
		c := s.open()
		clients = append(clients, c)
		c.listed()
		c.result("resources/list", "")
		c.result("resources/subscribe", fmt.Sprintf(`{"uri":"x://%d"}`, i%2+1))
	}
	s.apply("mcpServers: {a: {url: $a, shared: true, prefix: x}, b: {url: $b}}", a, b)
	for _, c := range clients {
		c.await("notifications/tools/list_changed", 1)
		equal(t, "call", c.result("tools/call", `{"name":"x_t"}`), `{"name":"t"}`)
	}
	s.apply(yaml, other, b)
	for _, c := range clients {
		equal(t, "call", c.result("tools/call", `{"name":"a_t"}`), `{"name":"t"}`)
	}
	other.Await(t, "resources/subscribe", 2)
	ended(t, a)
	if x, y := len(a.Received("initialize")), len(other.Received("initialize")); x != 1 || y != 1 {
		t.Errorf("the shared servers were greeted %d and %d times", x, y)
	}
	other.Notify("notifications/resources/updated", `{"uri":"x://2"}`)
	for i, c := range clients { // to each once because it may have missed something
		c.await("notifications/resources/updated", 1+i%2)
		if n := len(c.received("notifications/resources/updated")); n != 1+i%2 {
			t.Errorf("client %d: %d updates", i, n)
		}
	}
}

// A shared server that nobody uses any more ends when it is not configured any more.
func TestApplyToASharedServerWithoutClients(t *testing.T) {
	a, b := with(t, "t", echo), with(t, "u", echo)
	const yaml = "mcpServers: {a: {url: $a, shared: true}, b: {url: $b}}"
	s := plait(t, yaml, a, b)
	first := s.open()
	first.listed()
	first.session.Close()
	second := s.open()
	second.listed()
	second.session.Close()
	if a.Sessions() != 1 || len(a.Received("initialize")) != 1 {
		t.Errorf("%d sessions, %d greetings", a.Sessions(), len(a.Received("initialize")))
	}
	s.apply("mcpServers: {a: {url: $a, shared: true, callTimeout: 7s}, b: {url: $b}}", a, b)
	if a.Sessions() != 1 {
		t.Error("the session ended although the server stays")
	}
	s.apply("mcpServers: {b: {url: $b}}", a, b)
	ended(t, a)
}

// The race test of changes: clients come, call and go while the configuration changes; no call to the server that
// stays the same fails or is carried out twice.
func TestApplyWhileClientsCall(t *testing.T) {
	const changes, callers = 60, 4
	a, b, other := with(t, "t", echo), with(t, "u", echo), with(t, "v", echo)
	s := plait(t, two, a, b)
	edits := []string{
		"mcpServers: {b: {url: $b}}",
		"mcpServers: {a: {url: $a, prefix: z}, b: {url: $b}}",
		"mcpServers: {b: {url: $b}, a: {url: $c}}",
		"mcpServers: {a: {url: $a, shared: true}, c: {url: $c}, b: {url: $b}}",
		"mcpServers: {a: {url: 'http://127.0.0.1:1/mcp'}, b: {url: $b}}",
		"mcpServers: {d: {url: $c}, b: {url: $b, callTimeout: 9s}}",
		two,
	}
	done := make(chan struct{})
	var work sync.WaitGroup
	var mu sync.Mutex
	asked := map[string]int{}
	for i := range callers {
		work.Go(func() {
			for n := 0; ; n++ {
				c := s.open()
				for k := range 20 {
					id := fmt.Sprintf("%d-%d-%d", i, n, k)
					equal(t, "call", c.result("tools/call", `{"name":"b_u","arguments":{"id":"`+id+`"}}`), `{"name":"u","arguments":{"id":"`+id+`"}}`)
					mu.Lock()
					asked[id]++
					mu.Unlock()
					c.call("tools/call", `{"name":"a_t"}`)
					c.call("tools/list", "")
				}
				c.session.Close()
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	c := s.open()
	for i := range changes {
		s.apply(edits[i%len(edits)], a, b, other)
		c.call("tools/call", `{"name":"a_t"}`)
	}
	s.apply(edits[len(edits)-1], a, b, other)
	close(done)
	work.Wait()
	eventually(t, "the last list", func() bool { return cmp.Equal([]string{"a_t", "b_u"}, c.listed()) })
	if got := s.agg.now.Load().number; got != changes+2 {
		t.Errorf("generation %d, want %d", got, changes+2)
	}
	for _, m := range b.Received("tools/call") {
		id, _ := jsonrpc.GetString(m.Params(), "arguments", "id")
		asked[id]--
	}
	for id, n := range asked {
		if n != 0 {
			t.Errorf("call %s was carried out %d times too few", id, n)
		}
	}
}
