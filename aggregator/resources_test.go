package aggregator

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/upstreamtest"
)

// reader returns a server that lists resources and answers resources/read with the URI that it was asked for,
// unless contents has others for it. One with the value "" is not found.
func reader(t *testing.T, list []string, contents map[string]string) *upstreamtest.Server {
	t.Helper()
	var items []string
	for _, uri := range list {
		items = append(items, fmt.Sprintf(`{"uri":%q,"name":"n"}`, uri))
	}
	return (&upstreamtest.Server{
		Results: map[string]string{"resources/list": `{"resources":[` + strings.Join(items, ",") + `]}`},
		Handle: func(c *upstreamtest.Call) {
			uri, _ := jsonrpc.GetString(c.Params(), "uri")
			own, ok := contents[uri]
			switch {
			case c.Method() == "resources/subscribe", c.Method() == "resources/unsubscribe":
				c.Result("{}")
			case c.Method() != "resources/read":
			case ok && own == "":
				c.Error(-32002, "Resource not found", `{"uri":`+string(jsonrpc.Quote(uri))+`}`)
			case ok:
				c.Result(`{"contents":[` + own + `]}`)
			default:
				c.Result(fmt.Sprintf(`{"contents":[{"uri":%q,"text":%q}]}`, uri, uri))
			}
		},
	}).Start(t)
}

// reads returns the URIs that a server was asked for.
func reads(s *upstreamtest.Server) []string {
	var uris []string
	for _, m := range s.Received("resources/read") {
		uri, _ := jsonrpc.GetString(m.Params(), "uri")
		uris = append(uris, uri)
	}
	return uris
}

func (c *client) read(uri string) string {
	c.t.Helper()
	return c.result("resources/read", `{"uri":`+string(jsonrpc.Quote(uri))+`}`)
}

// T23: what a server names in its contents can be read from it although nobody lists it.
func TestT23MultiContents(t *testing.T) {
	const both = `{"uri":"file:///d/1","text":"1"},{"uri":"file:///d/2","text":"2"}`
	a := reader(t, nil, map[string]string{"file:///d": "", "file:///d/2": ""})
	b := reader(t, []string{"file:///d"}, map[string]string{"file:///d": both})
	c := plait(t, two, a, b).open()
	equal(t, "contents", c.read("file:///d"), `{"contents":[`+both+`]}`)
	c.read("file:///d/2")
	if got := reads(b); !cmp.Equal(got, []string{"file:///d", "file:///d/2"}) {
		t.Errorf("b was asked for %v", got)
	}
	if got := reads(a); got != nil {
		t.Errorf("a was asked for %v", got)
	}
}

// What tools and prompts name can be read from their server, too.
func TestURIsOfResultsAreLearned(t *testing.T) {
	a := reader(t, nil, nil)
	results := map[string]string{
		"tools/list":   tools("t"),
		"prompts/list": `{"prompts":[{"name":"p"}]}`,
		"tools/call": `{"content":[{"type":"resource_link","uri":"file:///1"},` +
			`{"type":"resource","resource":{"uri":"file:///2","text":""}}]}`,
		"prompts/get": `{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"file:///3","text":""}}}]}`,
	}
	b := (&upstreamtest.Server{Results: results, Handle: echo}).Start(t)
	c := plait(t, two, a, b).open()
	equal(t, "call", c.result("tools/call", `{"name":"b_t"}`), results["tools/call"])
	equal(t, "prompt", c.result("prompts/get", `{"name":"b_p"}`), results["prompts/get"])
	for i := range 3 {
		c.read(fmt.Sprintf("file:///%d", i+1))
	}
	if got := reads(a); got != nil {
		t.Errorf("a was asked for %v", got)
	}
}

// T24: of a URI that two servers list the second's gets an alias, everywhere but in text.
func TestT24CollisionAlias(t *testing.T) {
	const uri, alias = "file:///r.md", "b+file:///r.md"
	contents := func(uri string) string {
		return `{"content":[{"type":"text","text":"see ` + "file:///r.md" + `"},` +
			`{"type":"resource","resource":{"uri":"` + uri + `","text":"x"}},{"type":"resource_link","uri":"` + uri + `"}]}`
	}
	a, b := reader(t, []string{uri}, nil), reader(t, []string{uri}, map[string]string{"file:///gone": ""})
	for _, s := range []*upstreamtest.Server{a, b} {
		s.Set("tools/list", tools("t"))
		s.Set("tools/call", contents(uri))
	}
	c := plait(t, two, a, b).open()
	if got := names(t, c.result("resources/list", ""), "resources", "uri"); !cmp.Equal(got, []string{uri, alias}) {
		t.Errorf("list: %v", got)
	}
	equal(t, "a's", c.read(uri), `{"contents":[{"uri":"file:///r.md","text":"file:///r.md"}]}`)
	equal(t, "b's", c.read(alias), `{"contents":[{"uri":"b+file:///r.md","text":"file:///r.md"}]}`)
	if !cmp.Equal(reads(a), []string{uri}) || !cmp.Equal(reads(b), []string{uri}) {
		t.Errorf("a was asked for %v, b for %v", reads(a), reads(b))
	}
	equal(t, "a's tool", c.result("tools/call", `{"name":"a_t"}`), contents(uri))
	equal(t, "b's tool", c.result("tools/call", `{"name":"b_t"}`), contents(alias))

	c.result("resources/subscribe", `{"uri":"`+alias+`"}`)
	equal(t, "subscription", string(b.Received("resources/subscribe")[0].Params()), `{"uri":"file:///r.md"}`)
	if n := len(a.Received("resources/subscribe")); n != 0 {
		t.Error("a was asked for b's resource")
	}
	b.Notify("notifications/resources/updated", `{"uri":"file:///r.md","x":1.0}`)
	equal(t, "b's update", string(c.await("notifications/resources/updated", 1)[0].Params()), `{"uri":"b+file:///r.md","x":1.0}`)
	a.Notify("notifications/resources/updated", `{"uri":"file:///r.md"}`)
	equal(t, "a's update", string(c.await("notifications/resources/updated", 2)[1].Params()), `{"uri":"file:///r.md"}`)
	c.result("resources/unsubscribe", `{"uri":"`+alias+`"}`)
	equal(t, "end of it", string(b.Received("resources/unsubscribe")[0].Params()), `{"uri":"file:///r.md"}`)
}

// T25, without the restart: who owns a URI keeps it while it is offline.
func TestT25Hijack(t *testing.T) {
	const uri = "https://x/secret"
	var down atomic.Bool
	a := reader(t, []string{uri}, nil)
	a.Intercept = func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) bool {
		if down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return down.Load()
	}
	b := reader(t, nil, nil)
	s := plait(t, two, a, b)
	c := s.open()
	c.result("resources/list", "")
	c.read(uri)
	down.Store(true)
	b.Set("resources/list", `{"resources":[{"uri":"https://x/secret","name":"mine"}]}`)
	b.Notify("notifications/resources/list_changed", "")
	c.await("notifications/resources/list_changed", 1)
	for _, c := range []*client{c, s.open()} {
		if e := c.fails("resources/read", `{"uri":"`+uri+`"}`, jsonrpc.CodeInternal); !strings.Contains(e.Message, `server "a"`) {
			t.Errorf("the error does not name the server: %s", e.Message)
		}
		if got := names(t, c.result("resources/list", ""), "resources", "uri"); !cmp.Equal(got[len(got)-1:], []string{"b+" + uri}) {
			t.Errorf("list: %v", got)
		}
	}
	if got := reads(b); got != nil {
		t.Errorf("b was asked for %v", got)
	}
}

func withMeta(uri, also string) string {
	return `{"tools":[{"name":"t","inputSchema":{"type":"object"},"_meta":{"ui":{"resourceUri":"` + uri +
		`","visibility":["app"]},` + also + `"k":1.0}}]}`
}

// T26: two servers with the view of one name.
func TestT26AppsCollision(t *testing.T) {
	const uri, alias = "ui://app/main.html", "ui://b+app/main.html"
	const rest = `"mimeType":"text/html;profile=mcp-app","text":"<b>ui://app/main.html</b>","_meta":{"ui":{"csp":{"x":[]}}}`
	also := func(uri string) string { return `"ui/resourceUri":"` + uri + `",` }
	a := reader(t, nil, map[string]string{uri: `{"uri":"` + uri + `",` + rest + `}`})
	b := reader(t, nil, map[string]string{uri: `{"uri":"` + uri + `",` + rest + `}`})
	a.Set("tools/list", withMeta(uri, also(uri)))
	b.Set("tools/list", withMeta(uri, also(uri)))
	c := plait(t, two, a, b).open()
	list := c.result("tools/list", "")
	want := strings.Replace(withMeta(uri, also(uri)), `"t"`, `"a_t"`, 1)
	want = strings.TrimSuffix(want, `]}`) + "," +
		strings.TrimPrefix(strings.Replace(withMeta(alias, also(alias)), `"t"`, `"b_t"`, 1), `{"tools":[`)
	equal(t, "list", list, want)
	equal(t, "b's view", c.read(alias), `{"contents":[{"uri":"`+alias+`",`+rest+`}]}`)
	equal(t, "a's view", c.read(uri), `{"contents":[{"uri":"`+uri+`",`+rest+`}]}`)
	if !cmp.Equal(reads(a), []string{uri}) || !cmp.Equal(reads(b), []string{uri}) {
		t.Errorf("a was asked for %v, b for %v", reads(a), reads(b))
	}
}

// T27: a view calls a tool by its bare name and reads what nobody lists.
func TestT27AppBridge(t *testing.T) {
	a, b := reader(t, nil, nil), reader(t, nil, nil)
	a.Set("tools/list", strings.Replace(withMeta("ui://app/main.html", ""), `"t"`, `"refresh"`, 1))
	a.Set("tools/call", `{"content":[]}`)
	b.Set("tools/list", tools("u"))
	c := plait(t, "naming: {bareNames: true}\n"+two, a, b).open()
	c.result("tools/list", "")
	c.result("tools/call", `{"name":"refresh"}`)
	c.read("ui://app/data.json")
	if len(a.Received("tools/call")) != 1 || !cmp.Equal(reads(a), []string{"ui://app/data.json"}) || reads(b) != nil {
		t.Errorf("a was asked for %v, b for %v", reads(a), reads(b))
	}
}

// T28: an expansion of a template goes to the server of the most specific one; so does a completion.
func TestT28Templates(t *testing.T) {
	const general, special = "repo://{owner}/{name}/contents{/path*}", "repo://acme/{name}/wiki"
	a, b := reader(t, nil, nil), reader(t, nil, nil)
	a.Set("resources/templates/list", `{"resourceTemplates":[{"uriTemplate":"`+general+`","name":"g"}]}`)
	b.Set("resources/templates/list", `{"resourceTemplates":[{"uriTemplate":"`+special+`","name":"s"}]}`)
	for _, s := range []*upstreamtest.Server{a, b} {
		s.Set("completion/complete", `{"completion":{"values":[]}}`)
	}
	c := plait(t, two, a, b).open()
	c.read("repo://acme/k/wiki")
	c.read("repo://acme/k/contents/x/y")
	if !cmp.Equal(reads(a), []string{"repo://acme/k/contents/x/y"}) || !cmp.Equal(reads(b), []string{"repo://acme/k/wiki"}) {
		t.Errorf("a was asked for %v, b for %v", reads(a), reads(b))
	}
	for _, ref := range []string{general, special, "repo://acme/k/contents/x", "repo://acme/k/wiki"} {
		params := `{"ref":{"type":"ref/resource","uri":"` + ref + `"},"argument":{"name":"name","value":"v"}}`
		c.result("completion/complete", params)
		owner := a
		if strings.HasSuffix(ref, "wiki") {
			owner = b
		}
		all := owner.Received("completion/complete")
		equal(t, "completion", string(all[len(all)-1].Params()), params)
	}
	if len(a.Received("completion/complete")) != 2 || len(b.Received("completion/complete")) != 2 {
		t.Error("completions went to the wrong server")
	}
}

// A resource that nobody knows is asked of every server; the one that has it gets it.
func TestUnlistedResourceIsSearched(t *testing.T) {
	a := reader(t, nil, map[string]string{"file:///x": "", "file:///gone": ""})
	b := reader(t, nil, map[string]string{"file:///gone": ""})
	c := plait(t, two, a, b).open()
	equal(t, "found", c.read("file:///x"), `{"contents":[{"uri":"file:///x","text":"file:///x"}]}`)
	e := c.fails("resources/read", `{"uri":"file:///g\u006fne"}`, jsonrpc.CodeInvalidParams)
	equal(t, "data", string(e.Data), `{"uri":"file:///gone"}`)
	c.fails("resources/subscribe", `{"uri":"file:///gone"}`, jsonrpc.CodeInvalidParams)
	if n := len(a.Received("resources/subscribe")) + len(b.Received("resources/subscribe")); n != 0 {
		t.Error("a subscription was tried at random")
	}
}

// T30: the metadata of a tool cannot lead to another server's view.
func TestT30Squatting(t *testing.T) {
	const uri, alias = "ui://a-app/main.html", "ui://b+a-app/main.html"
	a, b := reader(t, []string{uri}, nil), reader(t, nil, nil)
	b.Set("tools/list", withMeta(uri, ""))
	c := plait(t, two, a, b).open()
	c.result("resources/list", "")
	if list := c.result("tools/list", ""); !strings.Contains(list, `"resourceUri":"`+alias+`"`) {
		t.Errorf("list: %s", list)
	}
	c.read(alias)
	if !cmp.Equal(reads(b), []string{uri}) || reads(a) != nil {
		t.Errorf("a was asked for %v, b for %v", reads(a), reads(b))
	}
}
