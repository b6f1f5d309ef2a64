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

// until answers nothing before the channel is closed.
func until(open <-chan struct{}) func(http.ResponseWriter, *http.Request, *jsonrpc.Message) bool {
	return func(_ http.ResponseWriter, r *http.Request, _ *jsonrpc.Message) bool {
		select {
		case <-open:
			return false
		case <-r.Context().Done():
			return true
		}
	}
}

// with returns a server with one tool.
func with(t *testing.T, tool string, handle func(*upstreamtest.Call)) *upstreamtest.Server {
	t.Helper()
	return (&upstreamtest.Server{Results: map[string]string{"tools/list": tools(tool)}, Handle: handle}).Start(t)
}

// T08: a server that does not answer delays lists up to the bound and nothing else; what it has is announced.
func TestT08DeadUpstream(t *testing.T) {
	a := with(t, "t", func(c *upstreamtest.Call) { c.Result(`{"content":[]}`) })
	open := make(chan struct{})
	b := (&upstreamtest.Server{Results: map[string]string{"tools/list": tools("u")}, Intercept: until(open)}).Start(t)
	c := plait(t, "startup: {wait: 300ms}\n"+two, b, a).open() // $a hangs
	begin := time.Now()
	if got := names(t, c.result("tools/list", ""), "tools", "name"); !cmp.Equal(got, []string{"b_t"}) {
		t.Errorf("first list: %v", got)
	}
	if d := time.Since(begin); d < 250*time.Millisecond || d > 20*time.Second {
		t.Errorf("the list took %v", d)
	}
	c.result("tools/call", `{"name":"b_t"}`)
	c.result("logging/setLevel", `{"level":"info"}`)
	e := c.fails("tools/call", `{"name":"a_u"}`, jsonrpc.CodeInvalidParams)
	for _, word := range []string{`server "a"`, "connecting"} {
		if !strings.Contains(e.Message, word) {
			t.Errorf("the error does not say %s: %s", word, e.Message)
		}
	}
	close(open)
	c.await("notifications/tools/list_changed", 1)
	if got := names(t, c.result("tools/list", ""), "tools", "name"); !cmp.Equal(got, []string{"a_u", "b_t"}) {
		t.Errorf("second list: %v", got)
	}
	c.result("prompts/list", "")
	b.Set("prompts/list", `{"prompts":[{"name":"p"}]}`)
	b.Notify("notifications/prompts/list_changed", "")
	c.await("notifications/prompts/list_changed", 1)
	if n := len(c.received("notifications/tools/list_changed")); n != 1 {
		t.Errorf("%d announcements", n)
	}
}

// A server that is down for good says so in the answer to a call, with its state and what to do.
func TestCallOfAServerThatIsDown(t *testing.T) {
	a := with(t, "t", nil)
	b := (&upstreamtest.Server{Intercept: func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) bool {
		w.WriteHeader(http.StatusInternalServerError)
		return true
	}}).Start(t)
	c := plait(t, "mcpServers: {a: {url: $a}, b: {url: $b, methods: [\"b/*\"]}}", a, b).open()
	c.result("tools/list", "")
	e := c.fails("b/do", "", jsonrpc.CodeInternal)
	for _, word := range []string{`server "b"`, "waiting", "500", "tries again", "check its url"} {
		if !strings.Contains(e.Message, word) {
			t.Errorf("the error does not say %s: %s", word, e.Message)
		}
	}
	equal(t, "data", string(e.Data), `{"server":"b","state":"waiting","id":"PLAIT-SRV-004"}`)
}

// T09's part for this era: pages are drained, and an empty cursor is the end.
func TestPagesAreDrained(t *testing.T) {
	var cursors []string
	a := (&upstreamtest.Server{Handle: func(c *upstreamtest.Call) {
		cursor, _ := jsonrpc.Get(c.Params(), "cursor")
		cursors = append(cursors, string(cursor))
		next := map[string]string{"": `"p2"`, `"p2"`: `"p3"`, `"p3"`: `""`}[string(cursor)]
		c.Result(fmt.Sprintf(`{"tools":[{"name":"t%d","inputSchema":{"type":"object"}}],"nextCursor":%s}`, len(cursors), next))
	}}).Start(t)
	b := (&upstreamtest.Server{}).Start(t)
	c := plait(t, two, a, b).open()
	equal(t, "list", c.result("tools/list", ""), strings.ReplaceAll(tools("a_t1", "a_t2", "a_t3"), " ", ""))
	if want := []string{"", `"p2"`, `"p3"`}; !cmp.Equal(cursors, want) {
		t.Errorf("cursors %v", cursors)
	}
}

// T10: lists that do not end are cut.
func TestT10CursorLoop(t *testing.T) {
	for name, test := range map[string]struct {
		page  func(n int64) string
		most  int64
		items int
	}{
		"same cursor": {func(int64) string {
			return `{"tools":[{"name":"t","inputSchema":{"type":"object"}}],"nextCursor":"x"}`
		}, 3, 1},
		"same page": {func(n int64) string {
			return fmt.Sprintf(`{"tools":[{"name":"t","inputSchema":{"type":"object"}}],"nextCursor":"x%d"}`, n)
		}, 3, 1},
		"other pages": {func(n int64) string {
			return fmt.Sprintf(`{"tools":[{"name":"t%d","inputSchema":{"type":"object"}}],"nextCursor":"x%d"}`, n, n)
		}, 1000, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			var pages atomic.Int64
			a := (&upstreamtest.Server{
				Capabilities: `{"tools":{}}`,
				Handle:       func(c *upstreamtest.Call) { c.Result(test.page(pages.Add(1))) },
			}).Start(t)
			b := (&upstreamtest.Server{}).Start(t)
			s := plait(t, "startup: {wait: 60s}\n"+two, a, b)
			got := names(t, s.open().result("tools/list", ""), "tools", "name")
			if n := pages.Load(); n > test.most || len(got) != test.items {
				t.Errorf("%d tools of %d pages", len(got), n)
			}
			if len(s.log.lines("[WARN]", "does not end", "server=a")) != 1 {
				t.Error("no warning")
			}
		})
	}
}

// T11: plait gives no cursors, so there is none that it takes.
func TestT11BadCursor(t *testing.T) {
	a, b := with(t, "t", nil), with(t, "t", nil)
	c := plait(t, two, a, b).open()
	for _, list := range []string{"tools", "prompts", "resources", "resources/templates", "tasks"} {
		c.fails(list+"/list", `{"cursor":"zzz"}`, jsonrpc.CodeInvalidParams)
		c.fails(list+"/list", `{"cursor":""}`, jsonrpc.CodeInvalidParams)
	}
}

// T12: a list that a server advertises and does not have, or cannot give, costs only that list.
func TestT12AdvertisesButNotImplemented(t *testing.T) {
	a := with(t, "t", nil)
	b := with(t, "u", func(c *upstreamtest.Call) {
		switch c.Method() {
		case "resources/list":
			c.Error(jsonrpc.CodeMethodNotFound, "Method not found", "")
		case "prompts/list":
			c.Error(jsonrpc.CodeInternal, "broken", "")
		case "resources/templates/list":
			c.Result(`{"resourceTemplates":[{"uriTemplate":"x://{y}","name":"x"}]}`)
		}
	})
	c := plait(t, two, a, b).open()
	if got := names(t, c.result("tools/list", ""), "tools", "name"); !cmp.Equal(got, []string{"a_t", "b_u"}) {
		t.Errorf("tools: %v", got)
	}
	equal(t, "resources", c.result("resources/list", ""), `{"resources":[]}`)
	equal(t, "prompts", c.result("prompts/list", ""), `{"prompts":[]}`)
	equal(t, "templates", c.result("resources/templates/list", ""),
		`{"resourceTemplates":[{"uriTemplate":"x://{y}","name":"x"}]}`)
}

// T14: a malformed tool is dropped with a warning, and the others are listed.
func TestT14PoisonousTool(t *testing.T) {
	a := (&upstreamtest.Server{Results: map[string]string{"tools/list": `{"tools":[` +
		`{"name":"ok","inputSchema":{"type":"object"},"future":[1.0]},` +
		`{"name":"arr","inputSchema":{"type":"object"},"outputSchema":{"type":"array"}},` +
		`{"name":"noType","inputSchema":{}},` +
		`{"name":5},null,"x",{"inputSchema":{"type":"object"}},` +
		`{"name":"dup","name":"ok2","inputSchema":{"type":"object"}}]}`}}).Start(t)
	b := with(t, "u", nil)
	s := plait(t, two, a, b)
	equal(t, "list", s.open().result("tools/list", ""), `{"tools":[`+
		`{"name":"a_ok","inputSchema":{"type":"object"},"future":[1.0]},`+
		`{"name":"a_arr","inputSchema":{"type":"object"}},`+
		`{"name":"a_noType","inputSchema":{"type":"object"}},`+
		`{"name":"b_u","inputSchema":{"type":"object"}}]}`)
	for _, item := range []string{`"#4"`, `"#5"`, `"#6"`, `"#7"`, "item=dup"} {
		if n := len(s.log.lines("[WARN]", "server=a", "list=tool", item)); n != 1 {
			t.Errorf("%d warnings about %s", n, item)
		}
	}
}

// T16: the client is told of a change once, and only when the merged list is another.
func TestT16ListChanged(t *testing.T) {
	const changed = "notifications/tools/list_changed"
	a, b := with(t, "t", nil), with(t, "u", nil)
	c := plait(t, two, a, b).open()
	first := c.result("tools/list", "")
	c.result("prompts/list", "")
	for range 50 {
		a.Notify(changed, "")
	}
	a.Await(t, "tools/list", 2)
	a.Set("prompts/list", `{"prompts":[{"name":"p"}]}`)
	a.Notify("notifications/prompts/list_changed", "")
	c.await("notifications/prompts/list_changed", 1)
	if n := len(c.received(changed)); n != 0 {
		t.Errorf("%d announcements of a list that did not change", n)
	}
	if n := len(a.Received("tools/list")); n > 10 {
		t.Errorf("the list was read %d times", n)
	}
	equal(t, "second list", c.result("tools/list", ""), first)
	a.Set("tools/list", tools("t", "z"))
	a.Notify(changed, "")
	c.await(changed, 1)
	want := []string{"a_t", "a_z", "b_u"}
	if got := names(t, c.result("tools/list", ""), "tools", "name"); !cmp.Equal(got, want) {
		t.Errorf("list: %v", got)
	}
	a.Set("prompts/list", `{"prompts":[]}`)
	a.Notify("notifications/prompts/list_changed", "")
	c.await("notifications/prompts/list_changed", 2)
	if n := len(c.received(changed)); n != 1 {
		t.Errorf("%d announcements of one change", n)
	}
}

// Resources and templates have one notification, which is sent once for both.
func TestOneAnnouncementForResourcesAndTemplates(t *testing.T) {
	a := (&upstreamtest.Server{Results: map[string]string{
		"resources/list": `{"resources":[]}`, "resources/templates/list": `{"resourceTemplates":[]}`,
	}}).Start(t)
	b := with(t, "u", nil)
	c := plait(t, two, a, b).open()
	c.result("resources/list", "")
	c.result("resources/templates/list", "")
	c.result("prompts/list", "")
	a.Set("resources/list", `{"resources":[{"uri":"x://1","name":"1"}]}`)
	a.Set("resources/templates/list", `{"resourceTemplates":[{"uriTemplate":"x://{y}","name":"x"}]}`)
	a.Notify("notifications/resources/list_changed", "")
	c.await("notifications/resources/list_changed", 1)
	eventually(t, "both lists are read", func() bool {
		return strings.Contains(c.result("resources/list", ""), "x://1") &&
			strings.Contains(c.result("resources/templates/list", ""), "x://{y}")
	})
}

// A list whose connections are cut before the answer is read again: that does no harm.
func TestCutListIsReadAgain(t *testing.T) {
	const times = 4
	var cut atomic.Int32
	a := (&upstreamtest.Server{
		Results: map[string]string{"tools/list": tools("t")},
		Intercept: func(_ http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) bool {
			if m.Method() == "tools/list" && cut.Add(1) <= times {
				panic(http.ErrAbortHandler)
			}
			return false
		},
	}).Start(t)
	c := plait(t, "mcpServers: {a: {url: $a}}", a).open()
	if got := names(t, c.result("tools/list", ""), "tools", "name"); cut.Load() != times+1 || !cmp.Equal(got, []string{"a_t"}) {
		t.Errorf("the list after %d requests: %v", cut.Load(), got)
	}
}
