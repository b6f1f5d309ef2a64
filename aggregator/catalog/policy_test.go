package catalog_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plait-mcp/plait/aggregator/catalog"
	"github.com/plait-mcp/plait/config"
)

func globs(texts ...string) []config.Glob {
	var all []config.Glob
	for i, text := range texts {
		all = append(all, config.Glob{Text: text, Pos: config.Pos{File: "f.yaml", Line: i + 1, Col: 1}})
	}
	return all
}

func hinted(name, annotations string) string {
	return `{"name":"` + name + `", "inputSchema":{"type":"object"},"annotations":` + annotations + `,"x":1.0}`
}

// Which items rules show, and which they do not.
func TestRules(t *testing.T) {
	truth := config.Override{Annotations: map[string]any{"readOnlyHint": true}}
	for name, c := range map[string]struct {
		server, profile config.Rules
		want            string
	}{
		"none":          {config.Rules{}, config.Rules{}, "get put say drop"},
		"allow":         {config.Rules{Allow: globs("get", "s?y")}, config.Rules{}, "get say"},
		"deny wins":     {config.Rules{Allow: globs("*"), Deny: globs("*U*")}, config.Rules{}, "get say drop"},
		"both":          {config.Rules{Allow: globs("get", "put")}, config.Rules{Allow: globs("put", "say")}, "put"},
		"case of allow": {config.Rules{Allow: globs("GET")}, config.Rules{}, ""},
		"read-only":     {config.Rules{ReadOnly: true}, config.Rules{}, "get"},
		"unannotated":   {config.Rules{ReadOnly: true, Unannotated: "show"}, config.Rules{}, "get say"},
		"override":      {config.Rules{ReadOnly: true, Override: map[string]config.Override{"put": truth}}, config.Rules{}, "get put"},
		"of profile":    {config.Rules{Override: map[string]config.Override{"drop": truth}}, config.Rules{ReadOnly: true, Deny: globs("get")}, "drop"},
		"rename":        {config.Rules{Rename: map[string]string{"get": "put", "put": "get"}}, config.Rules{}, "put get say drop"},
	} {
		for _, prefix := range []string{"a", ""} {
			w := servers("a="+prefix).rawTools("a", hinted("get", `{"readOnlyHint":true}`), hinted("put", `{"readOnlyHint":false}`),
				`{"name":"say","inputSchema":{"type":"object"}}`, hinted("drop", `{"readOnlyHint":"true"}`))
			w.servers[0].Tools, w.servers[0].Profile.Tools = c.server, c.profile
			got := strings.ReplaceAll(strings.Join(exposed(w.build(), catalog.Tools), " "), "a_", "")
			if got != c.want {
				t.Errorf("%s, prefix %q: %q, want %q", name, prefix, got, c.want)
			}
		}
	}
}

// Overrides change what they name and no other byte.
func TestOverride(t *testing.T) {
	title := "A \"title\""
	w := servers("a=").rawTools("a", hinted("get", `{"readOnlyHint":true , "k":1.0}`))
	w.servers[0].Tools.Override = map[string]config.Override{"get": {Title: &title, Annotations: map[string]any{"readOnlyHint": false}}}
	want := `{"name":"get", "inputSchema":{"type":"object"},"annotations":{"readOnlyHint":false , "k":1.0},"x":1.0,"title":"A \"title\""}`
	if got := listed(t, w.build(), catalog.Tools); !cmp.Equal(got, []string{want}) {
		t.Errorf("got %s", got)
	}
}

// A renamed tool is called by its new name alone; of two that want one name, the one that had it keeps it.
func TestRename(t *testing.T) {
	w := servers("a").tools("a", "old", "new", "b")
	w.servers[0].Tools.Rename = map[string]string{"old": "new", "b": "c"}
	c := w.build()
	for name, want := range map[string]string{"a_new": "new", "new": "", "a_c": "b", "c": "b", "a_b": "", "b": "", "a_old": "", "old": ""} {
		if e, err := c.Tool(name); e.Name != want || (err == nil) != (want != "") {
			t.Errorf("%s leads to %q, %v", name, e.Name, err)
		}
	}
	if got := exposed(c, catalog.Tools); len(got) != 3 || !strings.HasPrefix(got[0], "a_new_") {
		t.Errorf("exposed %v", got)
	}
}

// With error, items are left out, warned of and explained, and no other is.
func TestNamingErrors(t *testing.T) {
	long := strings.Repeat("x", 60)
	w := servers("a", "b=a_b").tools("a", "ok", long, "b_c", "Get", "get", "x.y").tools("b", "c")
	w.naming.OnTooLong, w.naming.OnCollision = "error", "error"
	c := w.build()
	got := exposed(c, catalog.Tools)
	if len(got) != 4 || !slices.Contains(got, "a_ok") || !slices.Contains(got, "a_get") || !slices.Contains(got, "a_b_c") {
		t.Errorf("exposed %v", got)
	}
	if n := len(c.Warnings()); n != 3 {
		t.Errorf("%d warnings: %v", n, c.Warnings())
	}
	if shown, all := c.Count("a", catalog.Tools); shown != 3 || all != 6 {
		t.Errorf("%d of %d", shown, all)
	}
	if e := c.Explain(long); len(e) != 1 || e[0].Shown || !strings.Contains(e[0].Reason, "too long") {
		t.Errorf("explained %+v", e)
	}
}

// Explain finds an item by every name that it has, and says what became of it.
func TestExplain(t *testing.T) {
	title := "T"
	w := servers("a", "b").tools("a", "get", "get_secret", "x.y").tools("b", "get").resources("a", "memo://1", "memo://secret")
	at := config.Pos{File: "f.yaml", Line: 7, Col: 3}
	w.servers[0].Tools = config.Rules{
		Deny: globs("*_secret"), Override: map[string]config.Override{"get": {Title: &title}}, Places: config.Places{"override.get": at},
	}
	w.servers[0].Profile.Resources = config.Rules{Allow: globs("memo://1"), Places: config.Places{"allow": at}}
	c := w.build()
	for name, want := range map[string][]catalog.Explanation{
		"a_get_secret": {{Server: "a", Original: "get_secret", Reason: `denied by "*_secret"`, Pos: config.Pos{File: "f.yaml", Line: 1, Col: 1}}},
		"a_get": {{
			Server: "a", Original: "get", Exposed: "a_get", Shown: true, Reason: "its rules allow it",
			Changes: []string{"title overridden (f.yaml:7:3)", `name: prefix "a_"`},
		}},
		"b_get":         {{Server: "b", Original: "get", Exposed: "b_get", Shown: true, Reason: "no rule hides it", Changes: []string{`name: prefix "b_"`}}},
		"memo://1":      {{Kind: catalog.Resources, Server: "a", Original: "memo://1", Exposed: "memo://1", Shown: true, Reason: "its rules allow it"}},
		"memo://secret": {{Kind: catalog.Resources, Server: "a", Original: "memo://secret", Reason: "not in allow of the profile", Pos: at}},
		"memo://2":      {{Kind: catalog.Resources, Server: "a", Original: "memo://2", Reason: "not in allow of the profile", Pos: at}},
		"nothing":       nil,
	} {
		if d := cmp.Diff(want, c.Explain(name)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	if e := c.Explain("get"); len(e) != 2 {
		t.Errorf("get: %+v", e)
	}
	if e := c.Explain("x.y"); len(e) != 1 || !strings.Contains(strings.Join(e[0].Changes, "|"), "name: hashed: the name has characters") {
		t.Errorf("x.y: %+v", e)
	}
}

// A URI is denied in every way to write it, and allowed in those that are the same.
func TestPermitsURIs(t *testing.T) {
	deny := config.Rules{Deny: globs("file:///etc/*", "https://h/secret", "file:///m%C3%BCll")}
	allow := config.Rules{Allow: globs("file:///pub/*", "db://a%2Fb")}
	for uri, c := range map[string]struct {
		rules config.Rules
		want  bool
	}{
		"file:///etc/x": {deny, false}, "file://localhost/etc/x": {deny, false}, "file:/etc/x": {deny, false},
		"FILE:////etc/x": {deny, false}, `file:\\\etc\x`: {deny, false}, "file:///a/../etc/x": {deny, false},
		"file:///a/%252e%252e/etc/x": {deny, false}, "https://h:443/secret?x#y": {deny, false}, "https://u@h./secret": {deny, false},
		"https:h/secret": {deny, false}, "file:///müll": {deny, false}, "file:///mu\u0308ll": {deny, false},
		"file:///etcetera": {deny, true}, "https://h/secrets": {deny, true}, "https://g/secret": {deny, true},
		"file:///pub/x": {allow, true}, "file:///pub/a//b": {allow, true}, "file:///pub/a/../b": {allow, true}, "file:///pub/%78": {allow, true},
		"file:///pub/../x": {allow, false}, "file:///pub/%2e%2e/x": {allow, false}, `file:///pub/..\x`: {allow, false},
		"file:///pub/%252e%252e/x": {allow, false}, "FILE:///pub/x": {allow, false}, "file:///pub/.\n./x": {allow, false},
		"file:///pub/" + strings.Repeat("%25", 1<<13): {allow, false}, "file:///" + strings.Repeat("%25", 1<<13): {deny, false},
		"db://a%2Fb": {allow, true}, "db://a%2fb": {allow, true}, "db://a/b": {allow, false}, "file:///x": {allow, false},
	} {
		n := catalog.NewNamer(config.Naming{}, []*config.Server{{Name: "a", Resources: c.rules}})
		err := n.Permits("a", catalog.Resources, uri)
		if _, hidden := errors.AsType[*catalog.HiddenError](err); hidden == c.want {
			t.Errorf("%s: %v", uri, err)
		}
	}
}

// A pin does not keep a URI that its server may not show any more.
func TestHiddenPin(t *testing.T) {
	w := servers("a", "b").resources("a", "memo://1").resources("b", "memo://1")
	w.build()
	w.servers[0].Resources.Deny = globs("memo://1")
	c := w.build()
	want := catalog.Resolution{Step: catalog.Listed, Targets: []catalog.Target{{Server: "b", URI: "memo://1"}}}
	if d := cmp.Diff(want, c.Resource("memo://1")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// FuzzPermits checks that a URI that is denied stays so however it is escaped.
func FuzzPermits(f *testing.F) {
	f.Add("memo://x/hidden", uint8(3))
	f.Add("file:///a/../b?c#d", uint8(9))
	f.Fuzz(func(t *testing.T, uri string, at uint8) {
		n := catalog.NewNamer(config.Naming{}, []*config.Server{{Name: "a", Resources: config.Rules{Deny: globs("*hidden*")}}})
		if n.Permits("a", catalog.Resources, uri) == nil {
			return
		}
		escaped := uri
		if i := int(at); i < len(uri) && uri[i] > ' ' && uri[i] < 0x7f && uri[i] != '%' {
			const hex = "0123456789abcdef"
			escaped = uri[:i] + "%" + string(hex[uri[i]>>4]) + string(hex[uri[i]&15]) + uri[i+1:]
		}
		if n.Permits("a", catalog.Resources, escaped) == nil {
			t.Errorf("%q is denied, %q is not", uri, escaped)
		}
	})
}
