package catalog_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plait-mcp/plait/aggregator/catalog"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// wantResource fails unless a URI is found by that step at these "server uri" pairs.
func wantResource(t *testing.T, c *catalog.Catalog, uri string, step catalog.Step, want ...string) {
	t.Helper()
	r := c.Resource(uri)
	var got []string
	for _, target := range r.Targets {
		got = append(got, target.Server+" "+target.URI)
	}
	if d := cmp.Diff(want, got); d != "" || r.Step != step {
		t.Errorf("Resource(%q) by %v, want %v (-want +got):\n%s", uri, r.Step, step, d)
	}
}

// wantRewrite fails unless what a server sent becomes that; "" means that it stays as it is.
func wantRewrite(t *testing.T, c *catalog.Catalog, server, method, body, want string) {
	t.Helper()
	if want == "" {
		want = body
	}
	if got := string(c.Rewrite(server, method, jsonrpc.Raw(body))); got != want {
		t.Errorf("%s of %s:\n got %s\nwant %s", method, server, got, want)
	}
}

// T24: a URI that two servers list.
func TestT24CollisionAlias(t *testing.T) {
	w := servers("a", "b").resources("a", "file:///r.md").resources("b", "file:///r.md", "file:///b.md")
	c := w.build()
	wantStrings(t, "resources", listed(t, c, catalog.Resources), `{"uri":"file:///r.md","name":"r"}`,
		`{"uri":"b+file:///r.md","name":"r"}`, `{"uri":"file:///b.md","name":"r"}`)
	wantResource(t, c, "file:///r.md", catalog.Listed, "a file:///r.md")
	wantResource(t, c, "b+file:///r.md", catalog.Alias, "b file:///r.md")
	wantResource(t, c, "file:///b.md", catalog.Listed, "b file:///b.md")
	wantResource(t, c, "b+file:///next.md", catalog.Alias, "b file:///next.md")

	const result = `{"content":[{"type":"text","text":"see file:///r.md"}, {"type":"resource","resource":{"uri":"%s","text":"file:///r.md"}},` +
		`{"type":"resource_link","uri":"%s","name":"n","x":1.0}],"structuredContent":{"uri":"file:///r.md"}}`
	before := fmt.Sprintf(result, "file:///r.md", "file:///r.md")
	after := strings.Replace(fmt.Sprintf(result, "b+file:///r.md", "b+file:///r.md"), "}, {", "},{", 1)
	wantRewrite(t, c, "b", "tools/call", before, after)
	wantRewrite(t, c, "b", "tasks/result", before, after)
	wantRewrite(t, c, "a", "tools/call", before, "")
	wantRewrite(t, c, "b", "acme/other", before, "")
	wantRewrite(t, c, "b", "notifications/resources/updated", `{"uri":"file:///r.md"}`, `{"uri":"b+file:///r.md"}`)
	wantRewrite(t, c, "a", "notifications/resources/updated", `{"uri":"file:///r.md"}`, "")
	wantRewrite(t, c, "b", "resources/read", `{"contents":[{"uri":"file:///r.md","text":"T"},{"uri":"file:///o"}]}`,
		`{"contents":[{"uri":"b+file:///r.md","text":"T"},{"uri":"file:///o"}]}`)
	if got := string(c.RewriteError("b", jsonrpc.Raw(`{"uri":"file:\/\/\/r.md","k":1}`))); got != `{"uri":"b+file:///r.md","k":1}` {
		t.Errorf("RewriteError = %s", got)
	}
	if c.HasAliases("a") || !c.HasAliases("b") || c.Expose("b", "file:///r%2emd") != "b+file:///r.md" || c.Expose("a", "file:///r.md") != "file:///r.md" {
		t.Error("HasAliases or Expose is wrong")
	}
}

func TestRewriteMessages(t *testing.T) {
	c := servers("a", "b").resources("a", "u://1").resources("b", "u://1").build()
	const link, moved = `{"type":"resource_link","uri":"u://1"}`, `{"type":"resource_link","uri":"b+u://1"}`
	const messages = `{"messages":[{"role":"user","content":%[1]s},{"role":"user","content":[%[1]s,{"type":"tool_result","toolUseId":"1","content":[%[1]s]}]}],"maxTokens":5}`
	for _, method := range []string{"prompts/get", "sampling/createMessage"} {
		wantRewrite(t, c, "b", method, fmt.Sprintf(messages, link), fmt.Sprintf(messages, moved))
		wantRewrite(t, c, "b", method, `{"messages":[{"content":{"type":"text","text":"u://1"}},{"content":{"type":"hologram","uri":"u://1"}},7]}`, "")
		wantRewrite(t, c, "b", method, `{"messages":{}}`, "")
		wantRewrite(t, c, "b", method, `[]`, "")
	}
	wantRewrite(t, c, "b", "skills/list", `{"skills":[{"uri":"u://1","resources":[{"uri":"u://1"},{"uri":"u://2"}]}]}`,
		`{"skills":[{"uri":"b+u://1","resources":[{"uri":"b+u://1"},{"uri":"u://2"}]}]}`)
	wantRewrite(t, c, "b", "skills/get", `{"uri":"u://1","digest":"u://1"}`, `{"uri":"b+u://1","digest":"u://1"}`)
	wantRewrite(t, c, "b", "resources/directory/read", `{"resources":[{"uri":"u://1"}]}`, `{"resources":[{"uri":"b+u://1"}]}`)
}

// T25: the owner of a URI stays the owner while it is configured.
func TestT25Hijack(t *testing.T) {
	const secret = "https://x/secret"
	w := servers("b", "a").resources("a", secret)
	w.build()
	delete(w.lists, "a")
	w.resources("b", secret, "https://x/%73ecret", "https://x/own")
	for _, when := range []string{"offline", "restarted", "back without it"} {
		switch when {
		case "restarted":
			kept, err := json.Marshal(w.pins.Map())
			if err != nil {
				t.Fatal(err)
			}
			var loaded map[string]string
			if err := json.Unmarshal(kept, &loaded); err != nil {
				t.Fatal(err)
			}
			w.pins = catalog.NewPins(loaded)
		case "back without it":
			w.resources("a", "https://x/other")
		}
		c := w.build()
		wantResource(t, c, secret, catalog.Listed, "a "+secret)
		wantResource(t, c, "https://x/%73ecret", catalog.Listed, "a https://x/%73ecret")
		wantResource(t, c, "b+"+secret, catalog.Alias, "b "+secret)
		if got := exposed(c, catalog.Resources)[:3]; got[0] != "b+"+secret || got[1] != "b+"+secret || got[2] != "https://x/own" {
			t.Errorf("%s: %v", when, got)
		}
	}
	w.servers = w.servers[:1] // a is no longer configured
	w.servers = append(w.servers, servers("c").servers...)
	delete(w.lists, "a")
	wantResource(t, w.build(), secret, catalog.Listed, "b "+secret)
}

// The first in the configuration owns, whoever came first is pinned.
func TestOwnerByConfigOrder(t *testing.T) {
	w := servers("a", "b").resources("b", "u://1").resources("a", "u://1")
	wantResource(t, w.build(), "u://1", catalog.Listed, "a u://1")
	w = servers("a", "b").resources("b", "u://1")
	w.build()
	w.resources("a", "u://1")
	c := w.build()
	wantResource(t, c, "u://1", catalog.Listed, "b u://1")
	wantResource(t, c, "a+u://1", catalog.Alias, "a u://1")
}

// T26: two servers with the same view, which neither lists.
func TestT26AppsCollision(t *testing.T) {
	const main = "ui://app/main.html"
	c := servers("a", "b").rawTools("a", uiTool("t", main)).
		rawTools("b", uiTool("t", main), `{"name":"o","inputSchema":{"type":"object"},"_meta":{"openai/outputTemplate":"ui://app/main.html"}}`).build()
	tools := listed(t, c, catalog.Tools)
	wantStrings(t, "tools", tools, uiTool("a_t", main), uiTool("b_t", "ui://b+app/main.html"),
		`{"name":"b_o","inputSchema":{"type":"object"},"_meta":{"openai/outputTemplate":"ui://b+app/main.html"}}`)
	wantResource(t, c, main, catalog.Listed, "a "+main)
	wantResource(t, c, "ui://b+app/main.html", catalog.Alias, "b "+main)
	wantResource(t, c, "ui://b+app/style.css?v=1", catalog.Alias, "b ui://app/style.css?v=1")
	wantRewrite(t, c, "b", "tools/call", `{"content":[],"_meta":{"ui":{"resourceUri":"ui://app/main.html"}}}`,
		`{"content":[],"_meta":{"ui":{"resourceUri":"ui://b+app/main.html"}}}`)

	const result = `{"contents":[{"uri":"%s","mimeType":"text/html;profile=mcp-app","text":"<a href='ui://app/main.html'>","_meta":{"ui":{"csp":{}}}}]}`
	for asked, target := range map[string]string{"ui://b+app/main.html": main, "ui://b+app/style.css": "ui://app/style.css"} {
		got := c.RewriteRead(catalog.Target{Server: "b", URI: target}, asked, raw(result, target))
		if string(got) != fmt.Sprintf(result, asked) {
			t.Errorf("RewriteRead(%s) = %s", asked, got)
		}
	}
	if got := c.RewriteRead(catalog.Target{Server: "a", URI: main}, main, raw(result, main)); string(got) != fmt.Sprintf(result, main) {
		t.Errorf("RewriteRead of a = %s", got)
	}
}

// T27, the pure part: what a view asks for by names and URIs that are listed nowhere.
func TestT27AppBridge(t *testing.T) {
	w := servers("a", "b").rawTools("a", uiTool("refresh", "ui://app/main.html")).tools("b", "other")
	w.naming.BareNames = true
	c := w.build()
	if e, err := c.Tool("refresh"); err != nil || e.Server != "a" {
		t.Errorf("Tool(refresh) = %+v, %v", e, err)
	}
	wantResource(t, c, "ui://app/data.json", catalog.Affinity, "a ui://app/data.json")
	wantResource(t, c, "UI://APP/data.json", catalog.Affinity, "a UI://APP/data.json")
	wantResource(t, c, "ui://other/data.json", catalog.Nowhere)
	// an authority that several have had says nothing, even when one of them is gone
	w.resources("b", "ui://app/b.html").build()
	wantResource(t, w.resources("b").build(), "ui://app/data.json", catalog.Nowhere)
	// and the schemes of the whole world never do
	c = servers("a", "b").resources("a", "file:///x", "https://h/x", "http://h/x", "data://h/x").build()
	for _, uri := range []string{"file:///y", "https://h/y", "HTTP://h/y", "data://h/y", "urn:x", ""} {
		wantResource(t, c, uri, catalog.Nowhere)
	}
}

// T28: the template with most literal characters has a URI, ties go by the order of the configuration.
func TestT28Templates(t *testing.T) {
	w := servers("a", "b", "c").
		templates("a", "repo://{owner}/{name}/contents{/path*}", "same://{x}").
		templates("b", "repo://acme/{name}/wiki", "same://{x}", "same://{x}").
		templates("c", "repo://{+all}", "same://{x}", "bad://{x")
	c := w.build()
	wantResource(t, c, "repo://acme/k/wiki", catalog.Template, "b repo://acme/k/wiki", "c repo://acme/k/wiki")
	wantResource(t, c, "repo://acme/k/contents/x/y", catalog.Template, "a repo://acme/k/contents/x/y", "c repo://acme/k/contents/x/y")
	wantResource(t, c, "same://1", catalog.Template, "a same://1", "b same://1", "c same://1")
	wantResource(t, c, "bad://{x", catalog.Nowhere)
	if got := len(exposed(c, catalog.Templates)); got != 8 {
		t.Errorf("%d templates", got)
	}
	// listed beats templates
	wantResource(t, w.resources("c", "repo://acme/k/wiki").build(), "repo://acme/k/wiki", catalog.Listed, "c repo://acme/k/wiki")
}

// A template for everything does not take what another server is likelier to have.
func TestTemplateForEverything(t *testing.T) {
	c := servers("a", "b").templates("a", "{+uri}").resources("b", "ui://app/x").build()
	wantResource(t, c, "ui://app/y", catalog.Affinity, "b ui://app/y")
	wantResource(t, c, "any:thing", catalog.Template, "a any:thing")
}

// T30: a tool that names another server's view gets that of its own server.
func TestT30Squatting(t *testing.T) {
	const view = "ui://a-app/main.html"
	c := servers("a", "b").resources("a", view).rawTools("b", uiTool("t", view)).build()
	wantStrings(t, "tools", listed(t, c, catalog.Tools), uiTool("b_t", "ui://b+a-app/main.html"))
	wantResource(t, c, "ui://b+a-app/main.html", catalog.Alias, "b "+view)
	wantResource(t, c, view, catalog.Listed, "a "+view)
	wantResource(t, c, "ui://a-app/other.html", catalog.Affinity, "a ui://a-app/other.html")
	wantStrings(t, "resources", exposed(c, catalog.Resources), view)
}

// T31, the pure part: the alias of a skill keeps its last directory.
func TestT31SkillAlias(t *testing.T) {
	c := servers("a", "b").resources("a", "skill://pdf/SKILL.md").resources("b", "skill://pdf/SKILL.md").build()
	wantResource(t, c, "skill://b+pdf/SKILL.md", catalog.Alias, "b skill://pdf/SKILL.md")
	wantResource(t, c, "skill://b+pdf/reference.md", catalog.Alias, "b skill://pdf/reference.md")
}

// Nobody takes an alias over by listing it, before or after it is given.
func TestForgedAlias(t *testing.T) {
	w := servers("a", "b", "c").resources("a", "u://1").resources("b", "u://1")
	c := w.build()
	wantResource(t, c, "b+u://1", catalog.Alias, "b u://1")
	c = w.resources("c", "b+u://1").build()
	wantResource(t, c, "b+u://1", catalog.Alias, "b u://1")
	wantResource(t, c, "c+b+u://1", catalog.Alias, "c b+u://1")

	w = servers("a", "b", "c").resources("c", "b+u://1", "b+u://3").resources("a", "u://1").resources("b", "u://1", "b+u://1")
	for range 2 {
		c = w.build()
		seen := map[string]bool{}
		for e := range c.Entries(catalog.Resources) {
			r := c.Resource(e.Exposed)
			if seen[e.Exposed] || len(r.Targets) != 1 || r.Targets[0] != (catalog.Target{Server: e.Server, URI: e.Name}) {
				t.Errorf("%+v leads to %+v", e, r)
			}
			seen[e.Exposed] = true
		}
	}
}

func TestAliasNames(t *testing.T) {
	c := servers("a", "My Server", "my_server", "9").resources("a", "u://1").
		resources("My Server", "u://1").resources("my_server", "u://1").resources("9", "u://1").build()
	got := exposed(c, catalog.Resources)
	if got[1] != "my-server+u://1" || !strings.HasPrefix(got[2], "my-server-") || got[3] != "s-9+u://1" {
		t.Errorf("resources: %v", got)
	}
}

// T22, the pure part: what a completion is asked for.
func TestT22Completion(t *testing.T) {
	w := servers("a", "b").prompts("b", "p").templates("a", "x://{y}").templates("b", "x://{y}", "z://{y}").
		resources("a", "u://1").resources("b", "u://1")
	c := w.build()
	tests := []struct {
		ref  string
		want []catalog.Ref
	}{
		{`{"type":"ref/prompt","name":"b_p","title":"P"}`, []catalog.Ref{{Server: "b", Ref: raw(`{"type":"ref/prompt","name":"p","title":"P"}`)}}},
		{`{"type":"ref/resource","uri":"x://{y}"}`, []catalog.Ref{
			{Server: "a", Ref: raw(`{"type":"ref/resource","uri":"x://{y}"}`)}, {Server: "b", Ref: raw(`{"type":"ref/resource","uri":"x://{y}"}`)},
		}},
		{`{"type":"ref/resource","uri":"z://1","k":1.0}`, []catalog.Ref{{Server: "b", Ref: raw(`{"type":"ref/resource","uri":"z://1","k":1.0}`)}}},
		{`{"type":"ref/resource","uri":"b+u://1"}`, []catalog.Ref{{Server: "b", Ref: raw(`{"type":"ref/resource","uri":"u://1"}`)}}},
	}
	for _, tt := range tests {
		got, err := c.Completion(jsonrpc.Raw(tt.ref))
		if d := cmp.Diff(tt.want, got); d != "" || err != nil {
			t.Errorf("Completion(%s): %v (-want +got):\n%s", tt.ref, err, d)
		}
	}
	for _, ref := range []string{
		`{"type":"ref/prompt","name":"p"}`, `{"type":"ref/resource","uri":"q://1"}`, `{"type":"ref/tool","name":"p"}`,
		`{"type":"ref/prompt","name":"b_p","name":"a_p"}`, `null`, `{}`,
	} {
		got, err := c.Completion(jsonrpc.Raw(ref))
		if err == nil {
			t.Errorf("Completion(%s) = %v", ref, got)
		}
	}
	var unknown *catalog.UnknownError
	if _, err := c.Completion(raw(`{"type":"ref/prompt","name":"p"}`)); !errors.As(err, &unknown) || unknown.Kind != catalog.Prompts {
		t.Errorf("unknown prompt: %v", err)
	}
}

// A single server with a prefix is asked for every URI.
func TestOnlyServer(t *testing.T) {
	c := servers("a").resources("a", "u://1").build()
	wantResource(t, c, "u://1", catalog.Only, "a u://1")
	wantResource(t, c, "file:///x", catalog.Only, "a file:///x")
}

// A server cannot make us remember without bound.
func TestPinsAreBounded(t *testing.T) {
	w := servers("a", "b")
	for round := range 3 {
		uris := make([]string, 10_000)
		for i := range uris {
			uris[i] = fmt.Sprintf("log://%d/%d", round, i)
		}
		c := w.resources("a", uris...).resources("b", "u://1").build()
		wantResource(t, c, uris[9_999], catalog.Listed, "a "+uris[9_999])
		wantResource(t, c, "u://1", catalog.Listed, "b u://1")
	}
	if got := len(w.pins.Map()); got > 17_000 {
		t.Errorf("%d pins", got)
	}
}
