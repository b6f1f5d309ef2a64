package catalog_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/plait-mcp/plait/aggregator/catalog"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// nameByTool returns the exposed name by server and tool.
func nameByTool(c *catalog.Catalog) map[[2]string]string {
	names := map[[2]string]string{}
	for e := range c.Entries(catalog.Tools) {
		names[[2]string{e.Server, e.Name}] = e.Exposed
	}
	return names
}

// FuzzNames checks that exposed names are valid, unlike each other, lead back, and depend neither on the order
// of a list nor on who is there.
func FuzzNames(f *testing.F) {
	f.Add("a", "a_b", "b_c\nx.y\nx_y\nGet\nget", "c\nB_c", uint8(48), uint8(0))
	f.Add("", "t", "1\n2\nt_1\n\n-\nt_x", "1", uint8(16), uint8(1))
	f.Add("A", "a", "x\nX\nxX\n\u200bx", "x\nх", uint8(20), uint8(2))
	f.Fuzz(func(t *testing.T, prefixA, prefixB, toolsA, toolsB string, limit, separator uint8) {
		if !utf8.ValidString(toolsA + toolsB) {
			return
		}
		w := servers("one="+prefixA, "two="+prefixB)
		w.naming.MaxLength = 16 + int(limit)%49
		w.naming.Separator = []string{"_", "__", "-"}[separator%3]
		listA, listB := strings.Split(toolsA, "\n"), strings.Split(toolsB, "\n")
		c := w.tools("one", listA...).tools("two", listB...).build()
		folded := map[string]bool{}
		for e := range c.Entries(catalog.Tools) {
			if len(e.Exposed) > w.naming.MaxLength || !valid.MatchString(e.Exposed) || folded[strings.ToLower(e.Exposed)] {
				t.Errorf("%+v: too long, invalid or twice", e)
			}
			folded[strings.ToLower(e.Exposed)] = true
		}
		checkTools(t, c)
		if slices.ContainsFunc(c.Warnings(), func(w catalog.Warning) bool { return strings.Contains(w.Problem, "hash") }) {
			return // who meets a forged hash depends on who is there
		}
		names := nameByTool(c)
		distinct := map[[2]string]bool{}
		for server, list := range map[string][]string{"one": listA, "two": listB} {
			for _, n := range list {
				if n != "" {
					distinct[[2]string{server, n}] = true
				}
			}
		}
		if len(names) != len(distinct) {
			t.Errorf("%d tools, %d names: %v", len(distinct), len(names), names)
		}
		slices.Reverse(listA)
		if again := nameByTool(w.tools("one", listA...).build()); !maps.Equal(names, again) {
			t.Errorf("names depend on the order: %v, %v", names, again)
		}
		delete(w.lists, "two")
		for tool, name := range nameByTool(w.build()) {
			if names[tool] != name {
				t.Errorf("%v is %s beside another server, %s alone", tool, names[tool], name)
			}
		}
	})
}

// FuzzItems checks that any list gives a valid one, and that all in it can be found.
func FuzzItems(f *testing.F) {
	f.Add(`[{"name":"x","inputSchema":{}},{"name":"x\u0000y","inputSchema":{"type":1},"outputSchema":{}, "_meta":{"ui":{"resourceUri":"ui://a"}}}]`)
	f.Add(`[{"uri":"u://1"},{"uri":"\ud800"},{"uriTemplate":"x://{y}"},null,1,"",[[]]]`)
	f.Fuzz(func(t *testing.T, text string) {
		if !json.Valid([]byte(text)) {
			return
		}
		items := slices.Collect(jsonrpc.Elements(jsonrpc.Raw(strings.TrimSpace(text))))
		all := catalog.Lists{Tools: items, Prompts: items, Resources: items, Templates: items}
		for _, w := range []*world{servers("a", "b"), servers("a=")} {
			for _, s := range w.servers {
				w.lists[s.Name] = all
			}
			c := w.build()
			for k := catalog.Tools; k <= catalog.Templates; k++ {
				if count := len(listed(t, c, k)); count != len(exposed(c, k)) {
					t.Errorf("%d of %v listed, %d exposed", count, k, len(exposed(c, k)))
				}
			}
			if !c.Same(catalog.Tools, w.build()) {
				t.Error("a second catalog is not the same")
			}
			for e := range c.Entries(catalog.Resources) {
				if r := c.Resource(e.Exposed); len(r.Targets) == 0 || r.Targets[0].Server != e.Server {
					t.Errorf("%+v leads to %+v", e, r)
				}
			}
		}
	})
}

// FuzzRewrite checks that a rewritten body is valid and differs from the body in nothing but URIs.
func FuzzRewrite(f *testing.F) {
	f.Add("tools/call", `{"content":[{"type":"resource_link","uri":"u://1"},1,{"type":"tool_result","content":[{}]}],"_meta":{"ui":{"resourceUri":"u://1"}}}`)
	f.Add("prompts/get", `{"messages":[{"content":{"type":"resource","resource":{"uri":"u://1"}}}]}`)
	f.Add("resources/read", `{"contents":[ {"uri":"u://1"} , {"uri":"u:\/\/1"}]}`)
	f.Add("skills/list", `{"skills":{"uri":"u://1","resources":[{"uri":"u://1"}]}}`)
	f.Fuzz(func(t *testing.T, method, body string) {
		if !json.Valid([]byte(body)) || strings.Contains(body, `\u`) || !utf8.ValidString(body) {
			return
		}
		body = strings.TrimSpace(body)
		c := servers("a", "b").resources("a", "u://1").resources("b", "u://1").build()
		if got := string(c.Rewrite("a", method, jsonrpc.Raw(body))); got != body {
			t.Errorf("a has no aliases, yet %s became %s", body, got)
		}
		got := c.Rewrite("b", method, jsonrpc.Raw(body))
		if !json.Valid(got) {
			t.Fatalf("%s became %s", body, got)
		}
		if string(got) != body && !strings.Contains(string(got), `"b+u://1"`) {
			t.Errorf("%s became %s", body, got)
		}
	})
}
