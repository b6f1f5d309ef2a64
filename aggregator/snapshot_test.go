package aggregator

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
	"github.com/plait-mcp/plait/upstream/upstreamtest"
)

// patient is the start of configurations in which nothing comes from waiting: a list that waited for a server
// that hangs would hang the test.
const patient = "startup: {wait: 1h}\n"

// moody is a server that a test lets work, hang or refuse while it runs.
type moody struct {
	*upstreamtest.Server

	mu   sync.Mutex
	mood string        // "", "hangs", "401"
	news chan struct{} // closed when the mood changes
}

// newMoody returns a server that has one of everything, and instructions.
func newMoody(t *testing.T, name string) *moody {
	t.Helper()
	m := &moody{news: make(chan struct{})}
	m.Server = &upstreamtest.Server{
		Instructions: "Be kind to " + name + ".", Intercept: m.intercept, Handle: echo,
		Results: map[string]string{
			"tools/list": tools(name), "prompts/list": `{"prompts":[{"name":"` + name + `"}]}`,
			"resources/list":           `{"resources":[{"uri":"x://` + name + `","name":"r"}]}`,
			"resources/templates/list": `{"resourceTemplates":[{"uriTemplate":"x://` + name + `/{x}","name":"r"}]}`,
		},
	}
	m.Start(t)
	return m
}

func (m *moody) intercept(w http.ResponseWriter, r *http.Request, message *jsonrpc.Message) bool {
	for {
		m.mu.Lock()
		mood, news := m.mood, m.news
		m.mu.Unlock()
		switch mood {
		case "":
			return false
		case "401":
			w.WriteHeader(http.StatusUnauthorized)
			return true
		case "ponders": // over what it has
			if message.Method() != "tools/list" {
				return false
			}
		}
		select {
		case <-news:
		case <-r.Context().Done():
			return true
		}
	}
}

// is changes the mood.
func (m *moody) is(mood string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mood = mood
	close(m.news)
	m.news = make(chan struct{})
}

var allLists = []string{"tools/list", "prompts/list", "resources/list", "resources/templates/list"}

// learnt lets a first process list everything, end, and leave its snapshots in dir.
func learnt(t *testing.T, dir, yaml string, servers ...*upstreamtest.Server) (lists map[string]string) {
	t.Helper()
	s := plaitIn(t, dir, yaml, servers...)
	c := s.open()
	lists = map[string]string{}
	for _, method := range allLists {
		lists[method] = c.result(method, "")
	}
	s.agg.Close()
	return lists
}

// The first lists after a start are complete, whatever has become of the servers.
func TestFirstListsFromSnapshots(t *testing.T) {
	dir := t.TempDir()
	a, b := newMoody(t, "t"), newMoody(t, "u")
	want := learnt(t, dir, patient+two, a.Server, b.Server)
	a.is("hangs")
	b.is("401")
	c := plaitIn(t, dir, patient+two, a.Server, b.Server).open()
	for _, method := range allLists {
		equal(t, method, c.result(method, ""), want[method])
	}
	for server, name := range map[string]string{"a": "t", "b": "u"} {
		for l := range protocol.Lists {
			for _, s := range c.session.now.Load().servers {
				if items := s.List(l); s.Name() == server && (!items.Snapshot || items.Version == 0 || len(items.Items) != 1) {
					t.Errorf("%s of %s: %+v, want a %s of the snapshot", l.Member(), server, items, name)
				}
			}
		}
	}
	var call sync.WaitGroup
	call.Go(func() { equal(t, "call", c.result("tools/call", `{"name":"a_t"}`), `{"name":"t"}`) })
	a.Await(t, "initialize", 2)
	a.is("")
	call.Wait()
	a.Await(t, "resources/templates/list", 2)
	eventually(t, "the server confirms its lists", func() bool {
		for l := range protocol.Lists {
			if c.session.now.Load().servers[0].List(l).Snapshot {
				return false
			}
		}
		return true
	})
	for _, method := range []string{"tools", "prompts", "resources"} {
		if n := len(c.received("notifications/" + method + "/list_changed")); n != 0 {
			t.Errorf("%s did not change and were announced", method)
		}
	}
}

// What has changed since the snapshot is announced once, and found by who asks for it before.
func TestSnapshotIsRevalidated(t *testing.T) {
	dir := t.TempDir()
	a, b := newMoody(t, "t"), newMoody(t, "u")
	learnt(t, dir, patient+two, a.Server, b.Server)
	a.Set("tools/list", tools("t2"))
	a.is("hangs")
	c := plaitIn(t, dir, patient+two, a.Server, b.Server).open()
	equal(t, "first list", strings.Join(names(t, c.result("tools/list", ""), "tools", "name"), " "), "a_t b_u")
	var calls sync.WaitGroup
	calls.Go(func() { // of the old list: the server says what it says
		equal(t, "old name", c.result("tools/call", `{"name":"a_t"}`), `{"name":"t"}`)
	})
	calls.Go(func() { // not known yet
		equal(t, "new name", c.result("tools/call", `{"name":"a_t2"}`), `{"name":"t2"}`)
	})
	a.Await(t, "initialize", 2)
	a.is("ponders")
	a.Await(t, "tools/call", 1)
	a.is("")
	calls.Wait()
	c.await("notifications/tools/list_changed", 1)
	equal(t, "second list", strings.Join(names(t, c.result("tools/list", ""), "tools", "name"), " "), "a_t2 b_u")
	c.fails("tools/call", `{"name":"a_t"}`, jsonrpc.CodeInvalidParams)
	if n := len(c.received("notifications/tools/list_changed")); n != 1 {
		t.Errorf("it was announced %d times", n)
	}
}

// One empty answer takes nothing away, whether the list is from the disk or was read before; two do.
func TestEmptyAnswers(t *testing.T) {
	for name, snapshots := range map[string]bool{"from the disk": true, "read before": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			a, b := newMoody(t, "t"), newMoody(t, "u")
			var s *strand
			var c *client
			empty := func() {
				a.Set("tools/list", `{"tools":[]}`)
				b.Set("tools/list", `{"tools":[]}`)
			}
			if snapshots {
				learnt(t, dir, patient+two, a.Server, b.Server)
				empty()
				s = plaitIn(t, dir, patient+two, a.Server, b.Server)
				c = s.open()
				c.result("tools/list", "")
			} else {
				s = plait(t, patient+two, a.Server, b.Server)
				c = s.open()
				c.result("tools/list", "")
				empty()
				for _, server := range []*moody{a, b} {
					server.Notify("notifications/tools/list_changed", "")
				}
			}
			listed := 2
			for _, server := range []*moody{a, b} {
				server.Await(t, "tools/list", listed)
			}
			eventually(t, "both are doubted", func() bool { return len(s.log.lines("empty all of a sudden")) == 2 })
			a.Set("tools/list", tools("t"))
			c.await("notifications/tools/list_changed", 1)
			equal(t, "list", strings.Join(names(t, c.result("tools/list", ""), "tools", "name"), " "), "a_t")
			a.Await(t, "tools/list", listed+1)
			if n := len(c.received("notifications/tools/list_changed")); n != 1 {
				t.Errorf("%d changes", n)
			}
			s.agg.Close()
			again := plaitIn(t, dir, patient+two, a.Server, b.Server)
			a.is("hangs")
			b.is("hangs")
			if snapshots { // the disk was told, too
				got := strings.Join(names(t, again.open().result("tools/list", ""), "tools", "name"), " ")
				equal(t, "list after a restart", got, "a_t")
			}
		})
	}
}

// A server that has no tools any more says so by its capabilities, which are looked at twice, too.
func TestLostCapability(t *testing.T) {
	dir := t.TempDir()
	a, b := newMoody(t, "t"), newMoody(t, "u")
	learnt(t, dir, patient+two, a.Server, b.Server)
	a.Capabilities = `{"prompts":{}}`
	s := plaitIn(t, dir, patient+two, a.Server, b.Server)
	c := s.open()
	equal(t, "first list", strings.Join(names(t, c.result("tools/list", ""), "tools", "name"), " "), "a_t b_u")
	c.await("notifications/tools/list_changed", 1)
	equal(t, "second list", strings.Join(names(t, c.result("tools/list", ""), "tools", "name"), " "), "b_u")
	if len(s.log.lines("empty all of a sudden", "server=a")) != 1 {
		t.Error("it was believed at once")
	}
}

// Errors take nothing away, and a list that cannot be read is asked for again.
func TestErrorsLeaveTheList(t *testing.T) {
	dir := t.TempDir()
	a, b := newMoody(t, "t"), newMoody(t, "u")
	want := learnt(t, dir, patient+two, a.Server, b.Server)
	delete(a.Results, "tools/list")
	var broken sync.Once
	failed := make(chan struct{})
	a.Handle = func(c *upstreamtest.Call) {
		c.Error(jsonrpc.CodeInternal, "the database is down", "")
		broken.Do(func() { close(failed) })
	}
	s := plaitIn(t, dir, patient+two, a.Server, b.Server)
	c := s.open()
	equal(t, "list", c.result("tools/list", ""), want["tools/list"])
	<-failed
	eventually(t, "it is logged", func() bool { return len(s.log.lines("a list could not be read", "server=a")) > 0 })
	equal(t, "list", c.result("tools/list", ""), want["tools/list"])
	eventually(t, "who asks has it read again", func() bool { return len(s.log.lines("a list could not be read", "server=a")) > 1 })
	a.is("ponders")
	a.Set("tools/list", tools("t2"))
	equal(t, "list", c.result("tools/list", ""), want["tools/list"])
	a.is("")
	c.await("notifications/tools/list_changed", 1)
}

// A call to a tool that is known from the snapshot alone waits for its server, but not longer than a connection
// may take.
func TestCallToAServerThatHangs(t *testing.T) {
	dir := t.TempDir()
	a, b := newMoody(t, "t"), newMoody(t, "u")
	const yaml = patient + "mcpServers: {a: {url: $a, connectTimeout: 300ms}, b: {url: $b}}"
	learnt(t, dir, yaml, a.Server, b.Server)
	a.is("hangs")
	b.is("401")
	c := plaitIn(t, dir, yaml, a.Server, b.Server).open()
	c.result("tools/list", "")
	for server, words := range map[string][]string{"a": {"connectTimeout"}, "b": {"401"}} {
		name := map[string]string{"a": "a_t", "b": "b_u"}[server]
		e := c.fails("tools/call", `{"name":"`+name+`"}`, jsonrpc.CodeInternal)
		for _, word := range append(words, `server "`+server+`"`) {
			if !strings.Contains(e.Message, word) {
				t.Errorf("the error does not say %s: %s", word, e.Message)
			}
		}
	}
}

// The snapshot is of one server, as it is configured, and of one kind of client.
func TestSnapshotOfAnother(t *testing.T) {
	dir := t.TempDir()
	a, b := newMoody(t, "t"), newMoody(t, "u")
	const yaml = "startup: {wait: 200ms}\n" + two
	learnt(t, dir, patient+two, a.Server, b.Server)
	a.is("hangs")
	b.is("hangs")
	other := strings.ReplaceAll(yaml, "$b}", "$b, headers: {X-Tenant: other}}")
	got := names(t, plaitIn(t, dir, other, a.Server, b.Server).open().result("tools/list", ""), "tools", "name")
	equal(t, "another header", strings.Join(got, " "), "a_t")
	got = names(t, plaitIn(t, dir, yaml, a.Server, b.Server).openAs(latest, "{}").result("tools/list", ""), "tools", "name")
	equal(t, "other capabilities", strings.Join(got, " "), "")
	relabelled := strings.ReplaceAll(yaml, "$b}", "$b, prefix: c, callTimeout: 1s}")
	got = names(t, plaitIn(t, dir, relabelled, a.Server, b.Server).open().result("tools/list", ""), "tools", "name")
	equal(t, "another prefix", strings.Join(got, " "), "a_t c_u")
}

// A file that is damaged is none.
func TestDamagedSnapshot(t *testing.T) {
	dir := t.TempDir()
	a, b := newMoody(t, "t"), newMoody(t, "u")
	want := learnt(t, dir, patient+two, a.Server, b.Server)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if err := os.Truncate(file, 100); err != nil {
			t.Fatal(err)
		}
	}
	s := plaitIn(t, dir, patient+two, a.Server, b.Server)
	equal(t, "list", s.open().result("tools/list", ""), want["tools/list"])
	if n := len(s.log.lines("[WARN]", "a snapshot is not as plait wrote it")); n != 2 {
		t.Errorf("%d warnings", n)
	}
}

// initialize has the instructions of servers that are not there.
func TestInstructionsFromSnapshots(t *testing.T) {
	initialize := func(s *strand) string {
		c := &client{t: t, news: make(chan struct{})}
		c.session = s.agg.Open(c)
		return c.result("initialize", `{"protocolVersion":"`+latest+`","capabilities":`+allCapabilities+
			`,"clientInfo":{"name":"t","version":"1"}}`)
	}
	dir := t.TempDir()
	a, b := newMoody(t, "t"), newMoody(t, "u")
	learnt(t, dir, patient+two, a.Server, b.Server)
	asked := len(a.Received("initialize"))
	result := initialize(plaitIn(t, dir, patient+two, a.Server, b.Server))
	for _, want := range []string{"Be kind to t.", "Be kind to u."} {
		if !strings.Contains(result, want) {
			t.Errorf("no %q in %s", want, result)
		}
	}
	if len(a.Received("initialize")) != asked {
		t.Error("a server was asked")
	}
	const one = "mcpServers: {a: {url: $a, prefix: \"\"}}"
	a.Capabilities = `{"tools":{"x":1}}`
	dir = t.TempDir()
	learnt(t, dir, patient+one, a.Server)
	a.is("hangs")
	result = initialize(plaitIn(t, dir, "startup: {wait: 100ms}\n"+one, a.Server))
	if got, _ := jsonrpc.Get(jsonrpc.Raw(result), "capabilities"); string(got) != a.Capabilities {
		t.Errorf("the capabilities of one server that is late: %s", result)
	}
	if !strings.Contains(result, `"instructions":"Be kind to t."`) {
		t.Errorf("no instructions in %s", result)
	}
}

// Many clients at once, and those that come later, share what is known; a process that goes on writes what changes.
func TestSnapshotsOfManyClients(t *testing.T) {
	dir := t.TempDir()
	a, b := newMoody(t, "t"), newMoody(t, "u")
	first, second := plaitIn(t, dir, patient+two, a.Server, b.Server), plaitIn(t, dir, patient+two, a.Server, b.Server)
	var all sync.WaitGroup
	for _, s := range []*strand{first, second} {
		for range 4 {
			c := s.open()
			all.Go(func() {
				equal(t, "list", strings.Join(names(t, c.result("tools/list", ""), "tools", "name"), " "), "a_t b_u")
			})
		}
	}
	all.Wait()
	a.Set("tools/list", tools("t2"))
	a.Notify("notifications/tools/list_changed", "")
	for _, s := range []*strand{first, second} {
		for c := range s.agg.sessions {
			eventually(t, "the list is read again", func() bool {
				return string(c.now.Load().servers[0].List(protocol.Tools).Items[0]) != `{"name":"t","inputSchema":{"type":"object"}}`
			})
		}
	}
	eventually(t, "it is written, while the processes go on", func() bool {
		a.is("hangs")
		third := plaitIn(t, dir, "startup: {wait: 10ms}\n"+two, a.Server, b.Server)
		defer third.agg.Close()
		list := third.open().result("tools/list", "")
		return strings.Contains(list, "a_t2")
	})
}

// A lazy server is shown from its snapshot and not connected before a call wants it; what is not known of it is
// asked for.
func TestLazyServersAreShownFromSnapshots(t *testing.T) {
	const lazy = patient + "mcpServers: {a: {url: $a, lazy: true}, b: {url: $b, lazy: true}}"
	dir := t.TempDir()
	a, b := newMoody(t, "t"), newMoody(t, "u")
	first := plaitIn(t, dir, lazy, a.Server, b.Server)
	c := first.open()
	equal(t, "first of all", strings.Join(names(t, c.result("tools/list", ""), "tools", "name"), " "), "a_t b_u")
	first.agg.Close()
	c = plaitIn(t, dir, lazy, a.Server, b.Server).open()
	equal(t, "from the snapshot", strings.Join(names(t, c.result("tools/list", ""), "tools", "name"), " "), "a_t b_u")
	equal(t, "call", c.result("tools/call", `{"name":"b_u"}`), `{"name":"u"}`)
	b.Await(t, "tools/list", 2) // confirmed, when it is there anyway
	if n := len(a.Received("initialize")); n != 1 {
		t.Errorf("a server that nobody used was connected %d times", n-1)
	}
	equal(t, "no snapshot of these", strings.Join(names(t, c.result("prompts/list", ""), "prompts", "name"), " "), "a_t b_u")
	if n := len(a.Received("initialize")); n != 2 {
		t.Errorf("connected %d times", n)
	}
}
