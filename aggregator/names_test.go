package aggregator

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/upstreamtest"
)

// echo answers a request with its params.
func echo(c *upstreamtest.Call) { c.Result(string(c.Params())) }

// called calls every tool and returns the names by which the server was asked.
func called(c *client, exposed []string) []string {
	c.t.Helper()
	var original []string
	for _, name := range exposed {
		own, _ := jsonrpc.GetString(jsonrpc.Raw(c.result("tools/call", `{"name":`+string(jsonrpc.Quote(name))+`}`)), "name")
		original = append(original, own)
	}
	return original
}

// T17: where the names of two servers meet, the one whose prefix is the beginning of the other's is hashed,
// whichever server is there and in whatever order they are configured.
func TestT17JoinCollision(t *testing.T) {
	seen := map[string]bool{}
	for _, order := range []string{"{a: {url: $a}, a_b: {url: $b}}", "{a_b: {url: $b}, a: {url: $a}}"} {
		a, b := with(t, "b_c", echo), with(t, "c", echo)
		c := plait(t, "mcpServers: "+order, a, b).open()
		for _, name := range names(t, c.result("tools/list", ""), "tools", "name") {
			seen[name] = true
			c.result("tools/call", `{"name":"`+name+`"}`)
		}
		for server, want := range map[*upstreamtest.Server]string{a: `{"name":"b_c"}`, b: `{"name":"c"}`} {
			if got := server.Received("tools/call"); len(got) != 1 || string(got[0].Params()) != want {
				t.Errorf("the server got %d calls", len(got))
			}
		}
	}
	hashed := regexp.MustCompile(`^a_b_c_[a-z2-7]{6}$`)
	delete(seen, "a_b_c")
	for name := range seen {
		if !hashed.MatchString(name) {
			t.Errorf("name %s", name)
		}
	}
	if len(seen) != 1 {
		t.Errorf("names depend on the order: %v", seen)
	}
}

// T18: a long name is cut and hashed, the same in every process and whoever else is configured.
func TestT18LongName(t *testing.T) {
	long := strings.Repeat("long_name_", 10)
	shape := regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*_[a-z2-7]{6}$`)
	var first string
	for _, yaml := range []string{two, two, "mcpServers: {c: {url: $c}, a: {url: $a}, b: {url: $b}}"} {
		a, b, other := with(t, long, echo), with(t, "u", echo), with(t, "v", echo)
		c := plait(t, yaml, a, b, other).open()
		list := c.result("tools/list", "")
		var exposed string
		for _, name := range names(t, list, "tools", "name") {
			if strings.HasPrefix(name, "a_") {
				exposed = name
			}
		}
		if first == "" {
			first = exposed
		}
		if exposed != first || len(exposed) > 48 || !shape.MatchString(exposed) {
			t.Errorf("name %q, before %q", exposed, first)
		}
		if !strings.Contains(list, `"title":"`+long+`"`) {
			t.Errorf("no title in %s", list)
		}
		if got := called(c, []string{exposed}); got[0] != long {
			t.Errorf("the server was asked for %s", got[0])
		}
	}
}

// T19: names that become the same without their odd characters can be told apart, and called.
func TestT19SanitiseCollision(t *testing.T) {
	original := []string{"x.y", "x_y", "x/y", "x\u200by", "\u0445y"}
	a := (&upstreamtest.Server{Results: map[string]string{"tools/list": tools(original...)}, Handle: echo}).Start(t)
	b := with(t, "u", nil)
	c := plait(t, two, a, b).open()
	exposed := names(t, c.result("tools/list", ""), "tools", "name")[:5]
	seen := map[string]bool{}
	for _, name := range exposed {
		seen[strings.ToLower(name)] = true
	}
	if len(seen) != 5 || exposed[1] != "a_x_y" {
		t.Errorf("names %v", exposed)
	}
	if d := cmp.Diff(original, called(c, exposed)); d != "" {
		t.Errorf("the server was asked for (-want +got):\n%s", d)
	}
}

// T20: names differ even for who ignores case.
func TestT20CaseFold(t *testing.T) {
	original := []string{"Get", "get", "GET"}
	a := (&upstreamtest.Server{Results: map[string]string{"tools/list": tools(original...)}, Handle: echo}).Start(t)
	b := with(t, "u", nil)
	c := plait(t, two, a, b).open()
	exposed := names(t, c.result("tools/list", ""), "tools", "name")[:3]
	if strings.EqualFold(exposed[0], exposed[1]) || strings.EqualFold(exposed[0], exposed[2]) ||
		strings.EqualFold(exposed[1], exposed[2]) {
		t.Errorf("names %v", exposed)
	}
	if d := cmp.Diff(original, called(c, exposed)); d != "" {
		t.Errorf("the server was asked for (-want +got):\n%s", d)
	}
}

// T21: bare names work with one server, or where the configuration wants them and only one server has it.
func TestT21BareAlias(t *testing.T) {
	a, b := with(t, "t", echo), with(t, "u", echo)
	c := plait(t, two, a, b).open()
	c.fails("tools/call", `{"name":"t"}`, jsonrpc.CodeInvalidParams)
	c.fails("tools/call", `{"name":"A_t"}`, jsonrpc.CodeInvalidParams)

	c = plait(t, "naming: {bareNames: true}\n"+two, a, b).open()
	equal(t, "bare t", c.result("tools/call", `{"name":"t","arguments":{}}`), `{"name":"t","arguments":{}}`)
	equal(t, "bare u", c.result("tools/call", `{"name":"u"}`), `{"name":"u"}`)
	b.Set("tools/list", tools("u", "t"))
	c.result("tools/list", "")
	b.Notify("notifications/tools/list_changed", "")
	c.await("notifications/tools/list_changed", 1)
	e := c.fails("tools/call", `{"name":"t"}`, jsonrpc.CodeInvalidParams)
	if !strings.Contains(e.Message, "a_t, b_t") {
		t.Errorf("the candidates are not named: %s", e.Message)
	}

	c = plait(t, "mcpServers: {a: {url: $a}}", a).open()
	equal(t, "one server", c.result("tools/call", `{"name":"t"}`), `{"name":"t"}`)
	equal(t, "one server, exposed name", c.result("tools/call", `{"name":"a_t"}`), `{"name":"t"}`)
}

// Prompts are named and found as tools are.
func TestPromptsAreRouted(t *testing.T) {
	prompt := func(name string) *upstreamtest.Server {
		return (&upstreamtest.Server{
			Results: map[string]string{"prompts/list": `{"prompts":[{"name":"` + name + `","arguments":[{"name":"x"}]}]}`},
			Handle:  echo,
		}).Start(t)
	}
	a, b := prompt("p"), prompt("p")
	c := plait(t, two, a, b).open()
	equal(t, "list", c.result("prompts/list", ""),
		`{"prompts":[{"name":"a_p","arguments":[{"name":"x"}]},{"name":"b_p","arguments":[{"name":"x"}]}]}`)
	equal(t, "get", c.result("prompts/get", `{"name":"b_p","arguments":{"x":"1"}}`), `{"name":"p","arguments":{"x":"1"}}`)
	if n := len(a.Received("prompts/get")); n != 0 {
		t.Errorf("the wrong server was asked %d times", n)
	}
	c.fails("prompts/get", `{"name":"c_p"}`, jsonrpc.CodeInvalidParams)
}

// T22: a completion goes to the server of its ref, with what that server's version knows.
func TestT22PromptsAndCompletion(t *testing.T) {
	const params = `{"ref":{"type":"ref/prompt","name":%q,"title":"P"},"argument":{"name":"x","value":"v"},` +
		`"context":{"arguments":{"y":"1"}}}`
	list := map[string]string{"prompts/list": `{"prompts":[{"name":"p"}]}`}
	values := `"v"` + strings.Repeat(`,"v"`, 149)
	a := (&upstreamtest.Server{Results: list, Capabilities: `{"prompts":{}}`}).Start(t)
	b := (&upstreamtest.Server{Results: list, Handle: func(c *upstreamtest.Call) {
		c.Result(`{"completion":{"values":["v\u0031"],"total":1},"future":1}`)
	}}).Start(t)
	old := (&upstreamtest.Server{Results: list, Version: "2025-03-26", Handle: func(c *upstreamtest.Call) {
		c.Result(`{"completion":{"values":[` + values + `],"total":150}}`)
	}}).Start(t)
	c := plait(t, "mcpServers: {a: {url: $a}, b: {url: $b}, c: {url: $c}}", a, b, old).open()
	complete := func(name string) string {
		return c.result("completion/complete", fmt.Sprintf(params, name))
	}
	equal(t, "answer", complete("b_p"), `{"completion":{"values":["v\u0031"],"total":1},"future":1}`)
	equal(t, "params", string(b.Received("completion/complete")[0].Params()), fmt.Sprintf(params, "p"))
	equal(t, "no completions", complete("a_p"), `{"completion":{"values":[]}}`)
	if n := len(a.Received("completion/complete")); n != 0 {
		t.Errorf("a server without completions was asked")
	}
	equal(t, "150 values", complete("c_p"), `{"completion":{"values":["v"`+strings.Repeat(`,"v"`, 99)+`],"total":150,"hasMore":true}}`)
	equal(t, "old server", string(old.Received("completion/complete")[0].Params()),
		`{"ref":{"type":"ref/prompt","name":"p","title":"P"},"argument":{"name":"x","value":"v"}}`)
	for _, ref := range []string{
		`{"type":"ref/prompt","name":"d_p"}`, `{"type":"ref/tool","name":"b_p"}`, `{}`, `5`,
		`{"type":"ref/resource","uri":"x://y"}`, `{"type":"ref/prompt","name":"b_p","Name":"a_p"}`,
		`{"type":"ref/prompt","name":"b_p","name":"a_p"}`,
	} {
		c.fails("completion/complete", `{"ref":`+ref+`,"argument":{"name":"x","value":"v"}}`, jsonrpc.CodeInvalidParams)
	}
}
