package aggregator

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/upstreamtest"
)

// guarded are rules that hide everything of keeper that is called hidden.
const guarded = `tools: {deny: ["hidden*"], rename: {old: new}}, prompts: {deny: ["hidden*"]}, resources: {deny: ["memo://x/hidden*"]}`

// listing are the same as lists of what may be seen.
const listing = `tools: {allow: [ok, old], rename: {old: new}}, prompts: {allow: [ok]}, ` +
	`resources: {allow: ["memo://x/ok*"]}`

// keeper returns a server that does whatever it is asked.
func keeper(t *testing.T) *upstreamtest.Server {
	t.Helper()
	return (&upstreamtest.Server{
		Results: map[string]string{
			"tools/list":               tools("ok", "hidden", "old"),
			"prompts/list":             `{"prompts":[{"name":"ok"},{"name":"hidden"}]}`,
			"resources/list":           `{"resources":[{"uri":"memo://x/ok","name":"o"},{"uri":"memo://x/hidden","name":"h"}]}`,
			"resources/templates/list": `{"resourceTemplates":[{"uriTemplate":"memo://x/ok/{n}","name":"o"},{"uriTemplate":"memo://x/hidden/{n}","name":"h"}]}`,
		},
		Handle: func(c *upstreamtest.Call) {
			switch c.Method() {
			case "tools/call":
				c.Result(`{"content":[],"task":{"taskId":"T",` + taskTimes + `}}`)
			case "tasks/list":
				c.Result(`{"tasks":[{"taskId":"T",` + taskTimes + `},{"taskId":"other",` + taskTimes + `}]}`)
			case "resources/read":
				uri, _ := jsonrpc.Get(c.Params(), "uri")
				c.Result(`{"contents":[{"uri":` + string(uri) + `,"text":"t"}]}`)
			default:
				c.Result(`{}`)
			}
		},
	}).Start(t)
}

// used returns what a server was asked to do, beside what every client does.
func used(s *upstreamtest.Server) []string {
	var all []string
	for _, m := range s.All() {
		if m.Method() != "initialize" && m.Method() != "notifications/initialized" && !strings.HasSuffix(m.Method(), "/list") && m.Method() != "" {
			all = append(all, m.Method()+" "+string(m.Params()))
		}
	}
	return all
}

// attempt is a request that must not reach a server.
type attempt struct{ method, params string }

// attempts returns ways to what is hidden. $ stands for the prefix.
func attempts() []attempt {
	var all []attempt
	for _, method := range []string{"tools/call", "prompts/get"} {
		for _, name := range []string{
			"$hidden", "hidden", "a_hidden", "b_hidden", "$Hidden", "$HIDDEN", "HIDDEN", `$\u0068idden`, `\u0068idden`, `hi\u0064den`,
			`$\uff48idden`, `\uff48idden`, `$hidden\u200b`, "$hidden ", " hidden", `$hi\u0434den`, `$hidden\u0000`, `hidden\ud800`,
			"a+hidden", "a:hidden", "$$hidden", "$old", "old", "OLD", `\u006fld`, "",
		} {
			all = append(all, attempt{method, `{"name":"` + name + `","arguments":{}}`})
		}
		all = append(all,
			attempt{method, `{"name":"$ok","name":"$hidden"}`}, attempt{method, `{"name":"$hidden","name":"$ok"}`},
			attempt{method, `{"name":"$ok","Name":"$hidden"}`}, attempt{method, `{"name":"$ok","n\u0061me":"hidden"}`},
			attempt{method, `{"name":"$ok","NAME":"hidden"}`}, attempt{method, `{"name":["$hidden"]}`}, attempt{method, `{}`},
			attempt{method, `{"name":{"name":"hidden"}}`}, attempt{method, `{"name":"$hidden","task":{"ttl":1}}`},
			attempt{method, `{"name":"$ok","arguments":{},"arguments":{"name":"hidden"}}`})
	}
	for _, method := range []string{"resources/read", "resources/subscribe", "resources/unsubscribe"} {
		for _, uri := range []string{
			"memo://x/hidden", "MEMO://x/hidden", "memo://X/hidden", "memo://x/HIDDEN", `memo://x/\u0068idden`, "memo://x/%68idden",
			"memo://x/hid%64en", "memo://x/hid%2564en", "memo://x/ok/../hidden", "memo://x/ok/%2e%2e/hidden", "memo://x/ok/%2E%2e%2Fhidden",
			"memo://x/ok/..%252fhidden", "memo://x/./hidden", "memo://x//hidden", `memo://x/ok\\..\\hidden`, "memo://x/hidden#f", "memo://x/hidden?q=1",
			"memo://x/hidden/", " memo://x/hidden", `memo://x/hid\u200bden`, `memo://x/hid\nden`, `memo://x/hid\ud800den`, `memo://x/\uff48idden`, `m\u0065mo://x/hidden/5`,
			"memo://x/hidden/{n}", "memo://x/ok/.%0a./hidden", "memo://x/hidden%00", "memo://x%2fhidden", `memo://x/ok/\u2025/hidden`,
		} {
			all = append(all, attempt{method, `{"uri":"` + uri + `"}`})
		}
		all = append(all, attempt{method, `{"uri":"memo://x/ok","uri":"memo://x/hidden"}`}, attempt{method, `{"uri":"memo://x/ok","URI":"memo://x/hidden"}`},
			attempt{method, `{"uri":"memo://x/ok","\u0075ri":"memo://x/hidden"}`}, attempt{method, `{"uri":["memo://x/hidden"]}`})
	}
	for _, ref := range []string{
		`{"type":"ref/prompt","name":"$hidden"}`, `{"type":"ref/prompt","name":"hidden"}`, `{"type":"ref/prompt","name":"$ok","name":"$hidden"}`,
		`{"type":"ref/prompt","name":"$HIDDEN"}`, `{"type":"ref/resource","uri":"memo://x/hidden/{n}"}`, `{"type":"ref/resource","uri":"memo://x/hid%64en/{n}"}`,
		`{"type":"ref/resource","uri":"memo://x/hidden"}`, `{"type":"ref/prompt","name":"$ok","Name":"hidden"}`,
		`{"type":"ref/resource","uri":"memo://x/ok","uri":"memo://x/hidden"}`, `{"type":"ref/prompt","type":"ref/resource","name":"$ok","uri":"memo://x/hidden"}`,
		`{"type":"ref/tool","name":"hidden"}`, `{"type":"Ref/Prompt","name":"hidden"}`,
	} {
		all = append(all, attempt{"completion/complete", `{"ref":` + ref + `,"argument":{"name":"n","value":"1"}}`})
	}
	return append(all,
		attempt{"completion/complete", `{"ref":{"type":"ref/prompt","name":"$ok"},"ref":{"type":"ref/prompt","name":"hidden"},"argument":{}}`},
		attempt{"tasks/result", `{"taskId":"other"}`}, attempt{"tasks/get", `{"taskId":"T"}`}, attempt{"tasks/cancel", `{"taskId":"T"}`})
}

// detours are methods that no protocol knows; a server may still take them for one that it knows.
func detours() []attempt {
	return []attempt{
		{"Tools/Call", `{"name":"hidden"}`},
		{"tools/Call", `{"name":"hidden"}`},
		{"tools//call", `{"name":"hidden"}`},
		{" tools/call", `{"name":"hidden"}`},
		{"tools/call/", `{"name":"hidden"}`},
		{"TASKS/result", `{"taskId":"T"}`},
		{"prompts/GET", `{"name":"hidden"}`},
		{"resources/directory/read", `{"uri":"memo://x/hid%64en"}`},
		{"resources/Read", `{"uri":"memo://x/hidden"}`},
		{"resources/peek", `{"uri":"memo://x/ok","Uri":"memo://x/hidden"}`},
		{"skills/get", `{"uri":"memo://x/hidden"}`},
		{"completion/Complete", `{"ref":{"type":"ref/prompt","name":"hidden"}}`},
	}
}

// Whatever way a client tries, a server is never asked for what the rules hide, and the client learns nothing.
func TestHiddenItemsCannotBeReached(t *testing.T) {
	for name, c := range map[string]struct{ yaml, prefix string }{
		"of several":        {`mcpServers: {a: {url: $a, methods: ["*"], $rules}, b: {url: $b}}`, "a_"},
		"alone":             {`mcpServers: {a: {url: $a, methods: ["*"], $rules}}`, "a_"},
		"passed through":    {`mcpServers: {a: {url: $a, prefix: "", methods: ["tools/*", "*"], $rules}}`, ""},
		"shared":            {`mcpServers: {a: {url: $a, shared: true, methods: ["*"], $rules}, b: {url: $b}}`, "a_"},
		"bare names":        {"naming: {bareNames: true}\n" + `mcpServers: {a: {url: $a, methods: ["*"], $rules}, b: {url: $b}}`, "a_"},
		"without prefix":    {`mcpServers: {a: {url: $a, prefix: "", methods: ["*"], $rules}, b: {url: $b}}`, ""},
		"shared and passed": {`mcpServers: {a: {url: $a, prefix: "", shared: true, $rules}}`, ""},
	} {
		for kind, rules := range map[string]string{"deny": guarded, "allow": listing} {
			t.Run(name+" "+kind, func(t *testing.T) { escape(t, strings.Replace(c.yaml, "$rules", rules, 1), c.prefix) })
		}
	}
}

func escape(t *testing.T, yaml, prefix string) {
	t.Helper()
	a, b := keeper(t), with(t, "t", nil)
	c := plait(t, yaml, a, b).open()
	if got := names(t, c.result("tools/list", ""), "tools", "name"); !cmp.Equal(got[:2], []string{prefix + "ok", prefix + "new"}) {
		t.Errorf("tools %v", got)
	}
	for list, member := range map[string]string{"prompts": "name", "resources": "uri", "resources/templates": "uriTemplate"} {
		result := c.result(list+"/list", "")
		if strings.Contains(result, "hidden") || !strings.Contains(result, "ok") {
			t.Errorf("%s by %s: %s", list, member, result)
		}
	}
	for _, try := range attempts() {
		try.params = strings.ReplaceAll(try.params, "$", prefix)
		e := c.fails(try.method, try.params, jsonrpc.CodeInvalidParams)
		if strings.Contains(e.Message, "denied") || strings.Contains(e.Message, "allow") || strings.Contains(e.Message, "rule") {
			t.Errorf("%s %s: the client is told %q", try.method, try.params, e.Message)
		}
	}
	for _, try := range detours() {
		c.fails(try.method, try.params, jsonrpc.CodeMethodNotFound)
		c.notify(try.method, try.params)
	}
	for _, method := range []string{"tools/call", "prompts/get", "resources/read", "resources/subscribe", "tasks/result"} {
		c.notify(method, `{"name":"hidden","uri":"memo://x/hidden","taskId":"T"}`)
	}
	if got := used(a); len(got) > 0 {
		t.Errorf("the server was asked %s", strings.Join(got, "\n"))
	}
	c.result("tools/call", `{"name":"`+prefix+`ok"}`)
	c.result("tools/call", `{"name":"`+prefix+`new"}`)
	c.result("prompts/get", `{"name":"`+prefix+`ok"}`)
	c.result("resources/read", `{"uri":"memo://x/ok"}`)
	c.result("resources/read", `{"uri":"memo://x/ok/7"}`)
	c.result("completion/complete", `{"ref":{"type":"ref/prompt","name":"`+prefix+`ok"},"argument":{}}`)
	want := []string{
		`tools/call {"name":"ok"}`, `tools/call {"name":"old"}`, `prompts/get {"name":"ok"}`, `resources/read {"uri":"memo://x/ok"}`,
		`resources/read {"uri":"memo://x/ok/7"}`, `completion/complete {"ref":{"type":"ref/prompt","name":"ok"},"argument":{}}`,
	}
	if d := cmp.Diff(want, used(a)); d != "" {
		t.Errorf("asked (-want +got):\n%s", d)
	}
}

// A hidden name and one that nobody has are told apart by nothing but the name.
func TestHiddenIsUnknown(t *testing.T) {
	for _, yaml := range []string{
		`mcpServers: {a: {url: $a, ` + guarded + `}, b: {url: $b}}`, `mcpServers: {a: {url: $a, prefix: "", ` + guarded + `}}`,
	} {
		a, b := keeper(t), with(t, "t", nil)
		c := plait(t, yaml, a, b).open()
		c.result("tools/list", "")
		for _, method := range []string{"tools/call", "prompts/get"} {
			hidden := c.fails(method, `{"name":"hidden"}`, jsonrpc.CodeInvalidParams)
			nobody := c.fails(method, `{"name":"nobody"}`, jsonrpc.CodeInvalidParams)
			equal(t, method, strings.ReplaceAll(hidden.Message, "hidden", "nobody"), nobody.Message)
			equal(t, method, string(hidden.Data), string(nobody.Data))
		}
	}
}

// A server may not get around the rules either: what two readers could read in two ways is not shown.
func TestItemsThatAreTwoAtOnce(t *testing.T) {
	const schema = `"inputSchema":{"type":"object"}`
	list := `{"tools":[{"name":"ok","name":"hidden",` + schema + `},{"name":"two","Name":"hidden",` + schema + `},` +
		`{"name":"three","annotations":{"readOnlyHint":true,"readOnlyHint":false},` + schema + `},` +
		`{"name":"four","annotations":{"readOnlyHint":true},"annotations":{"readOnlyHint":false},` + schema + `},` +
		`{"name":"five","annotations":{"readOnlyHint":true,"ReadOnlyHint":false},` + schema + `},` +
		`{"name":"six","annotations":{"readOnlyHint":"true"},` + schema + `},` +
		`{"name":"h\u0069dden","annotations":{"readOnlyHint":true},` + schema + `},` +
		`{"name":"fine","annotations":{"readOnlyHint":true},` + schema + `},{"name":"fine",` + schema + `}],` +
		`"tools":[{"name":"hidden",` + schema + `}]}`
	for _, yaml := range []string{
		`mcpServers: {a: {url: $a, tools: {deny: [hidden], readOnly: true}}}`,
		`mcpServers: {a: {url: $a, prefix: "", tools: {deny: [hidden], readOnly: true}}}`,
	} {
		a := keeper(t)
		a.Set("tools/list", list)
		c := plait(t, yaml, a).open()
		result := c.result("tools/list", "")
		if got := names(t, result, "tools", "name"); len(got) != 1 || !strings.HasSuffix(got[0], "fine") || strings.Contains(result, "dden") {
			t.Errorf("listed: %s", result)
		}
		for _, name := range []string{"ok", "hidden", "two", "three", "four", "five", "six"} {
			c.fails("tools/call", `{"name":"`+name+`"}`, jsonrpc.CodeInvalidParams)
		}
		if got := used(a); len(got) > 0 {
			t.Errorf("the server was asked %v", got)
		}
	}
}

// An alias leads to the server's own URI, and the rules go by that one.
func TestHiddenByAlias(t *testing.T) {
	const uri, alias = "memo://x/both", "a+memo://x/both"
	a, b := keeper(t), keeper(t)
	for _, s := range []*upstreamtest.Server{a, b} {
		s.Set("resources/list", `{"resources":[{"uri":"`+uri+`","name":"r"}]}`)
	}
	a.Set("tools/list", withMeta(uri, ""))
	c := plait(t, `mcpServers: {b: {url: $b}, a: {url: $a, resources: {deny: [`+uri+`]}}}`, a, b).open()
	equal(t, "resources", strings.Join(names(t, c.result("resources/list", ""), "resources", "uri"), " "), uri)
	if list := c.result("tools/list", ""); !strings.Contains(list, alias) {
		t.Fatalf("no alias in %s", list)
	}
	for _, method := range []string{"resources/read", "resources/subscribe"} {
		for _, way := range []string{alias, "a+memo://x/bo%74h", "A+memo://x/both", "a+memo://x/./both", "a+memo://X/both"} {
			m := c.call(method, `{"uri":"`+way+`"}`)
			if m.Error() == nil && strings.HasPrefix(way, "a+") {
				t.Errorf("%s %s: %s", method, way, m.Result())
			}
		}
	}
	for _, asked := range used(a) {
		if strings.Contains(asked, `"memo://`) {
			t.Errorf("the server was asked %s", asked)
		}
	}
	c.result("resources/read", `{"uri":"`+uri+`"}`)
	if !slices.Contains(used(b), `resources/read {"uri":"`+uri+`"}`) {
		t.Error("the other server's was not read")
	}
}

// A URI that a result names can be asked for, unless it is hidden.
func TestHiddenAlthoughLearned(t *testing.T) {
	a, b := keeper(t), with(t, "t", nil)
	handle := a.Handle
	a.Handle = func(c *upstreamtest.Call) {
		if c.Method() == "tools/call" {
			c.Result(`{"content":[{"type":"resource_link","uri":"other://hidden","name":"h"},{"type":"resource_link","uri":"other://ok","name":"o"}]}`)
			return
		}
		handle(c)
	}
	c := plait(t, `mcpServers: {a: {url: $a, resources: {deny: ["other://hidden"]}}, b: {url: $b}}`, a, b).open()
	c.result("tools/call", `{"name":"a_ok"}`)
	c.result("resources/read", `{"uri":"other://ok"}`)
	c.fails("resources/read", `{"uri":"other://hidden"}`, jsonrpc.CodeInvalidParams)
	if n := len(a.Received("resources/read")); n != 1 {
		t.Errorf("the server was asked %d times", n)
	}
}

// Of a tool that a reload hides neither the tasks nor anything else can be had; of the others all goes on.
func TestHiddenByAReload(t *testing.T) {
	for prefix, yaml := range map[string]string{
		"a_": `mcpServers: {a: {url: $a, $rules}, b: {url: $b}}`, "": `mcpServers: {a: {url: $a, prefix: "", $rules}}`,
	} {
		a, b := keeper(t), with(t, "t", nil)
		handle := a.Handle
		a.Handle = func(c *upstreamtest.Call) {
			if name, _ := jsonrpc.GetString(c.Params(), "name"); c.Method() == "tools/call" {
				c.Result(`{"task":{"taskId":"` + name + `",` + taskTimes + `}}`)
				return
			}
			handle(c)
		}
		a.Results["tasks/list"] = `{"tasks":[{"taskId":"ok",` + taskTimes + `},{"taskId":"hidden",` + taskTimes + `}]}`
		s := plait(t, strings.Replace(yaml, ", $rules", "", 1), a, b)
		c := s.open()
		c.result("tools/list", "")
		c.start(prefix + "ok")
		c.start(prefix + "hidden")
		c.result("tasks/result", `{"taskId":"hidden"}`)
		c.result("resources/subscribe", `{"uri":"memo://x/hidden"}`)
		c.result("resources/subscribe", `{"uri":"memo://x/ok"}`)
		s.apply(strings.Replace(yaml, "$rules", guarded, 1), a, b)
		before := len(used(a))
		for _, method := range []string{"tasks/get", "tasks/result", "tasks/cancel"} {
			for _, id := range []string{"hidden", `h\u0069dden`, "a:hidden"} {
				c.fails(method, `{"taskId":"`+id+`"}`, jsonrpc.CodeInvalidParams)
			}
			c.fails(method, `{"taskId":"ok","taskId":"hidden"}`, jsonrpc.CodeInvalidParams)
		}
		c.fails("tools/call", `{"name":"`+prefix+`hidden"}`, jsonrpc.CodeInvalidParams)
		if got := used(a)[before:]; len(got) > 0 {
			t.Errorf("the server was asked %v", got)
		}
		c.result("tasks/result", `{"taskId":"ok"}`)
		equal(t, "tasks", strings.Join(names(t, c.result("tasks/list", ""), "tasks", "taskId"), " "), "ok")
		for _, id := range []string{"hidden", "ok"} {
			a.Notify("notifications/tasks/status", `{"taskId":"`+id+`","status":"working"}`)
			a.Notify("notifications/resources/updated", `{"uri":"memo://x/`+id+`"}`)
		}
		for _, method := range []string{"notifications/tasks/status", "notifications/resources/updated"} {
			if m := c.await(method, 1)[0]; strings.Contains(string(m.Params()), "hidden") {
				t.Errorf("the client was told %s", m.Params())
			}
		}
	}
}

// In a batch each request is one of its own.
func TestHiddenInABatch(t *testing.T) {
	a := keeper(t)
	c := plait(t, `mcpServers: {a: {url: $a, prefix: "", `+guarded+`}}`, a).openAs("2025-03-26", "{}")
	batch, err := jsonrpc.Parse([]byte(`[{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"ok"}},` +
		`{"jsonrpc":"2.0","id":"y","method":"tools/call","params":{"name":"hidden"}},{"jsonrpc":"2.0","method":"tools/call","params":{"name":"hidden"}}]`))
	if err != nil {
		t.Fatal(err)
	}
	var failed int
	for m, err := range batch.Batch() {
		if err != nil {
			t.Fatal(err)
		}
		if m.Kind() == jsonrpc.Notification {
			c.session.Notification(m)
		} else if answer := c.session.Request(t.Context(), m); bytes.Contains(answer.Bytes(), []byte(`"error"`)) {
			failed++
		}
	}
	if got := used(a); failed != 1 || !cmp.Equal(got, []string{`tools/call {"name":"ok"}`}) {
		t.Errorf("%d failed, the server was asked %v", failed, got)
	}
}
