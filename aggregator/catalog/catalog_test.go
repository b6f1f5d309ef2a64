package catalog_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plait-mcp/plait/aggregator/catalog"
	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// world is a configuration and what its servers list.
type world struct {
	naming  config.Naming
	servers []*config.Server
	lists   map[string]catalog.Lists
	pins    *catalog.Pins
}

// servers makes a world of servers whose prefix is their name, or is given as name=prefix.
func servers(names ...string) *world {
	w := &world{naming: config.Naming{Separator: "_", MaxLength: 48}, lists: map[string]catalog.Lists{}}
	for _, n := range names {
		name, prefix, ok := strings.Cut(n, "=")
		if !ok {
			prefix = name
		}
		w.servers = append(w.servers, &config.Server{Name: name, Prefix: prefix})
	}
	return w
}

func (w *world) namer() *catalog.Namer { return catalog.NewNamer(w.naming, w.servers) }

// build makes the catalog of the servers that have lists and remembers its pins.
func (w *world) build() *catalog.Catalog {
	n := w.namer()
	var fragments []*catalog.Fragment
	for name, lists := range w.lists {
		fragments = append(fragments, n.Fragment(name, lists))
	}
	c := catalog.Build(n, fragments, w.pins)
	w.pins = c.Pins()
	return c
}

// tools gives a server tools of these names.
func (w *world) tools(server string, names ...string) *world {
	lists := w.lists[server]
	lists.Tools = nil
	for _, n := range names {
		lists.Tools = append(lists.Tools, tool(n))
	}
	w.lists[server] = lists
	return w
}

// resources gives a server resources of these URIs.
func (w *world) resources(server string, uris ...string) *world {
	lists := w.lists[server]
	lists.Resources = nil
	for _, u := range uris {
		lists.Resources = append(lists.Resources, raw(`{"uri":%s,"name":"r"}`, jsonrpc.Quote(u)))
	}
	w.lists[server] = lists
	return w
}

// templates gives a server resource templates.
func (w *world) templates(server string, texts ...string) *world {
	lists := w.lists[server]
	lists.Templates = nil
	for _, text := range texts {
		lists.Templates = append(lists.Templates, raw(`{"uriTemplate":%s,"name":"t"}`, jsonrpc.Quote(text)))
	}
	w.lists[server] = lists
	return w
}

// rawTools gives a server tools as they are written.
func (w *world) rawTools(server string, texts ...string) *world {
	lists := w.lists[server]
	lists.Tools = nil
	for _, text := range texts {
		lists.Tools = append(lists.Tools, jsonrpc.Raw(text))
	}
	w.lists[server] = lists
	return w
}

func (w *world) prompts(server string, names ...string) *world {
	lists := w.lists[server]
	lists.Prompts = nil
	for _, n := range names {
		lists.Prompts = append(lists.Prompts, raw(`{"name":%s}`, jsonrpc.Quote(n)))
	}
	w.lists[server] = lists
	return w
}

func tool(name string) jsonrpc.Raw {
	return raw(`{"name":%s,"inputSchema":{"type":"object"}}`, jsonrpc.Quote(name))
}

// uiTool is a tool with a view.
func uiTool(name, uri string) string {
	return fmt.Sprintf(`{"name":%q,"inputSchema":{"type":"object"},"_meta":{"ui":{"resourceUri":%q,"csp":[1.0]},"ui/resourceUri":%q}}`,
		name, uri, uri)
}

func raw(format string, args ...any) jsonrpc.Raw { return jsonrpc.Raw(fmt.Sprintf(format, args...)) }

// exposed returns the exposed names of a kind, in order.
func exposed(c *catalog.Catalog, k catalog.Kind) []string {
	var names []string
	for e := range c.Entries(k) {
		names = append(names, e.Exposed)
	}
	return names
}

// listed returns the items of a list as they are written.
func listed(t *testing.T, c *catalog.Catalog, k catalog.Kind) []string {
	t.Helper()
	if !json.Valid(c.List(k)) {
		t.Fatalf("List(%v) is no JSON: %s", k, c.List(k))
	}
	var items []string
	for item := range jsonrpc.Elements(c.List(k)) {
		items = append(items, string(item))
	}
	return items
}

func problems(c *catalog.Catalog) []string {
	var all []string
	for _, w := range c.Warnings() {
		all = append(all, w.String())
	}
	return all
}

func wantStrings(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// checkTools fails unless every listed tool can be called by its name and leads to where it came from.
func checkTools(t *testing.T, c *catalog.Catalog) {
	t.Helper()
	for want := range c.Entries(catalog.Tools) {
		if got, err := c.Tool(want.Exposed); err != nil || got != want {
			t.Errorf("Tool(%q) = %+v, %v; want %+v", want.Exposed, got, err, want)
		}
	}
}

func TestEveryByteOfAnItemSurvives(t *testing.T) {
	const weird = `{ "title":"", "inputSchema":{"type":"object","$anchor":"r","if":{},"properties":{"n":{"maximum":9223372036854775807}}},` +
		`"annotations":{"x-v":1,"readOnlyHint":false},"name":"t","futureField":[1.0,-0,1e400],"_meta":{"k":9007199254740993,"s":"\ud800<&>"}}`
	c := servers("a", "b").rawTools("a", " "+weird+"\n").build()
	wantStrings(t, "tools", listed(t, c, catalog.Tools), strings.Replace(weird, `"t"`, `"a_t"`, 1))
	if len(c.Warnings()) != 0 {
		t.Errorf("warnings: %v", c.Warnings())
	}
}

func TestEmptyCatalog(t *testing.T) {
	for _, w := range []*world{servers(), servers("a"), servers("a="), servers("a", "b")} {
		c := w.build()
		for _, k := range []catalog.Kind{catalog.Tools, catalog.Prompts, catalog.Resources, catalog.Templates} {
			if string(c.List(k)) != "[]" || !c.Same(k, nil) || !c.Same(k, servers().build()) {
				t.Errorf("List(%v) = %s", k, c.List(k))
			}
		}
	}
	if servers("a").namer().Fragment("nobody", catalog.Lists{}) != nil {
		t.Error("a fragment of a server that is not configured")
	}
}

// The order of servers is that of the configuration, a server's items stay in its own order.
func TestListOrder(t *testing.T) {
	w := servers("b", "a").tools("a", "z", "y").tools("b", "2", "1")
	for range 10 {
		wantStrings(t, "tools", exposed(w.build(), catalog.Tools), "b_2", "b_1", "a_z", "a_y")
	}
}

// T16, the pure part: a list is the same unless an item changed.
func TestT16Same(t *testing.T) {
	w := servers("a", "b").tools("a", "x").tools("b", "y").resources("a", "u://1")
	before := w.build()
	again := w.build()
	after := w.tools("b", "y", "z").build()
	if !again.Same(catalog.Tools, before) || after.Same(catalog.Tools, before) || before.Same(catalog.Tools, nil) {
		t.Error("Same(Tools) does not follow the list")
	}
	if !after.Same(catalog.Resources, before) {
		t.Error("Same(Resources) does not follow the list")
	}
	if string(before.List(catalog.Tools)) != string(again.List(catalog.Tools)) {
		t.Error("two catalogs of the same lists differ")
	}
}

func TestConcurrentUse(t *testing.T) {
	w := servers("a", "b")
	w.naming.BareNames = true
	w.tools("a", "t", "u").tools("b", "t").templates("a", "x://{y}")
	c := w.build()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if e, err := c.Tool("u"); err != nil || e.Server != "a" {
				t.Errorf("Tool(u) = %v, %v", e, err)
			}
			if r := c.Resource("x://1"); r.Step != catalog.Template {
				t.Errorf("Resource = %v", r)
			}
			if len(c.List(catalog.Tools)) < 20 {
				t.Error("short list")
			}
		})
	}
	wg.Wait()
}

// T14: one poisonous item is repaired or left out and named; the others are not touched.
func TestT14PoisonousTools(t *testing.T) {
	w := servers("a", "b").rawTools("a",
		`{"name":"ok","inputSchema":{"type":"object"},"x":1.0}`,
		`{"name":"arr","inputSchema":{"type":"object"},"outputSchema":{"type":"array"},"y":2.0}`,
		`{"name":"anyOut","outputSchema":{"anyOf":[]},"inputSchema":{"type":"object"}}`,
		`{"name":"noType","inputSchema":{}}`,
		`{"name":"badType","inputSchema":{"type":["object"],"z":3.0}}`,
		`{"name":"noSchema"}`,
		`{"name":"nullSchema","inputSchema":null}`,
		`{"name":5,"inputSchema":{"type":"object"}}`,
		`{"inputSchema":{"type":"object"}}`,
		`null`, `[]`, `"tool"`,
		`{"name":"","inputSchema":{"type":"object"}}`,
		`{"name":"ok","inputSchema":{"type":"object"},"second":true}`,
		`{"name":"two","name":"ok","inputSchema":{"type":"object"}}`,
		`{"name":"cases","Name":"ok","inputSchema":{"type":"object"}}`,
		`{"name":"schemas","inputSchema":{"type":"object","type":"array"}}`,
		`{"name":"views","inputSchema":{"type":"object"},"_meta":{"ui":{"resourceUri":"ui://x","resourceUri":"ui://y"}}}`,
		`{"name":"last","inputSchema":{"type":"object"}}`,
	)
	c := w.build()
	wantStrings(t, "tools", listed(t, c, catalog.Tools),
		`{"name":"a_ok","inputSchema":{"type":"object"},"x":1.0}`,
		`{"name":"a_arr","inputSchema":{"type":"object"},"y":2.0}`,
		`{"name":"a_anyOut","inputSchema":{"type":"object"}}`,
		`{"name":"a_noType","inputSchema":{"type":"object"}}`,
		`{"name":"a_badType","inputSchema":{"type":"object","z":3.0}}`,
		`{"name":"a_last","inputSchema":{"type":"object"}}`,
	)
	wantStrings(t, "warnings", problems(c),
		`a: tool arr: outputSchema.type is not "object"; left out`,
		`a: tool anyOut: outputSchema.type is not "object"; left out`,
		`a: tool badType: inputSchema.type is not "object"; set`,
		`a: tool noSchema: inputSchema is no object; left out`,
		`a: tool nullSchema: inputSchema is no object; left out`,
		`a: tool #8: is no object with a string "name"; left out`,
		`a: tool #9: is no object with a string "name"; left out`,
		`a: tool #10: is no object with a string "name"; left out`,
		`a: tool #11: is no object with a string "name"; left out`,
		`a: tool #12: is no object with a string "name"; left out`,
		`a: tool "": has an empty name; left out`,
		`a: tool ok: is listed more than once; only the first is shown`,
		`a: tool two: duplicate member "name"; left out`,
		`a: tool cases: member "Name" must be written "name"; left out`,
		`a: tool schemas: duplicate member "type"; left out`,
		`a: tool views: duplicate member "resourceUri"; left out`,
	)
	if !slices.Equal(problems(c), problems(w.build())) {
		t.Error("the same lists give other warnings")
	}
	checkTools(t, c)
}

func TestPoisonousResourcesAndPrompts(t *testing.T) {
	w := servers("a", "b")
	w.lists["a"] = catalog.Lists{
		Prompts:   []jsonrpc.Raw{raw(`{"name":"p","arguments":[{"name":"x"}]}`), raw(`null`), raw(`{"name":"p"}`)},
		Resources: []jsonrpc.Raw{raw(`{"uri":"u://1","name":"n","size":1.0}`), raw(`{"name":"n"}`), raw(`{"uri":"u://2","URI":"u://3"}`)},
		Templates: []jsonrpc.Raw{raw(`{"uriTemplate":"u://{x"}`), raw(`{"uriTemplate":7}`)},
	}
	c := w.build()
	wantStrings(t, "prompts", listed(t, c, catalog.Prompts), `{"name":"a_p","arguments":[{"name":"x"}]}`)
	wantStrings(t, "resources", listed(t, c, catalog.Resources), `{"uri":"u://1","name":"n","size":1.0}`)
	wantStrings(t, "templates", listed(t, c, catalog.Templates), `{"uriTemplate":"u://{x"}`)
	if got := len(c.Warnings()); got != 6 {
		t.Errorf("%d warnings: %v", got, c.Warnings())
	}
}

// A single server without a prefix is not touched, however odd it is.
func TestPassthrough(t *testing.T) {
	odd := []string{
		`{"name":"x.y/\u200b","outputSchema":{"type":"array"}}`, `{"name":"Get"}`, `{"name":"get"}`, `{"name":"get","again":1}`,
		`{"name":""}`, `{"name":"` + strings.Repeat("n", 200) + `"}`,
	}
	w := servers("a=").rawTools("a", append(slices.Clone(odd), `null`, `{"name":7}`)...).resources("a", "u://1", "u://1")
	c := w.build()
	wantStrings(t, "tools", listed(t, c, catalog.Tools), odd...)
	if got := len(c.Warnings()); got != 2 {
		t.Errorf("%d warnings: %v", got, c.Warnings())
	}
	for _, name := range []string{"x.y/\u200b", "Get", "get", "", "hidden"} {
		if e, err := c.Tool(name); err != nil || e != (catalog.Entry{Server: "a", Name: name, Exposed: name}) {
			t.Errorf("Tool(%q) = %+v, %v", name, e, err)
		}
	}
	if r := c.Resource("any:thing"); r.Step != catalog.Only || r.Targets[0] != (catalog.Target{Server: "a", URI: "any:thing"}) {
		t.Errorf("Resource = %+v", r)
	}
	ref := jsonrpc.Raw(`{"type":"ref/new"}`)
	if refs, err := c.Completion(ref); err != nil || len(refs) != 1 || string(refs[0].Ref) != string(ref) {
		t.Errorf("Completion = %v, %v", refs, err)
	}
}
