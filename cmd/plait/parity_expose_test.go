package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestParityHyperMCPProxy has a test for every row of hyper-mcp-proxy, and for every limit that it has.
func TestParityHyperMCPProxy(t *testing.T) {
	t.Parallel()
	short(t)
	for _, row := range []struct {
		name string
		test func(t *testing.T)
	}{
		{"COMMAND", exposeCommand},
		{"host, port and endpoint", exposeAddress},
		{"one child per session", exposeSessions},
		{"capabilities", exposeCapabilities},
		{"tools, resources, prompts, completions, logging, subscriptions, cancellation, progress", exposeEverything},
		{"authentication", exposeToken},
		{"limit: notifications of the child", exposeNotifications},
		{"limit: custom methods", exposeCustom},
		{"limit: sampling and elicitation", exposeQuestions},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			row.test(t)
		})
	}
}

// exposeCommand starts a command with flags of its own, in plait's environment, and refuses to have none.
func exposeCommand(t *testing.T) {
	t.Helper()
	base, _ := listen(t, []string{"EXPOSED=${NOT} $$ replaced"}, "expose", "-p", "0", "child")
	if _, value := greets(t, base+"/mcp").process(t, "EXPOSED"); value != "${NOT} $$ replaced" {
		t.Errorf("the variable is %q", value)
	}
	refusesExpose(t, "expose needs the command of a server")
	refusesExpose(t, "no-such-program", "--", "no-such-program", "--port", "0")
}

// refusesExpose expects plait expose to end at once with exit code 2 and words in what it says.
func refusesExpose(t *testing.T, words string, args ...string) {
	t.Helper()
	c := startPlait(t, nil, append([]string{"expose"}, args...)...)
	if err := c.wait(t); err == nil || c.cmd.ProcessState.ExitCode() != 2 || !strings.Contains(c.said(t), words) {
		t.Errorf("plait expose %q ends with %v and says %q, want exit status 2 and %q", args, err, c.said(t), words)
	}
}

func exposeAddress(t *testing.T) {
	t.Helper()
	port := strconv.Itoa(freePort(t))
	for _, args := range [][]string{
		{"-H", "localhost", "-p", port, "-e", "/strand/mcp"},
		{"--host", "127.0.0.1", "--port", "0", "--endpoint", "strand/mcp"},
	} {
		base, p := listen(t, nil, append(append([]string{"expose"}, args...), "--", "child")...)
		if args[0] == "-H" && !strings.HasSuffix(base, ":"+port) {
			t.Errorf("listening at %s, want port %s", base, port)
		}
		greets(t, base+"/strand/mcp").process(t, "")
		nowhere := &exposeClient{url: base + "/mcp"}
		if status, _, _ := nowhere.status(t, "POST", "{}"); status != http.StatusNotFound {
			t.Errorf("status %d at /mcp", status)
		}
		_ = p.cmd.Process.Kill()
	}
	refusesExpose(t, "--port", "-p", "65536", "--", "child")
	refusesExpose(t, "--endpoint", "-e", "/a b", "--", "child")
	refusesExpose(t, "--host", "-H", "a/b", "--", "child")
}

// exposeSessions has two clients, each with a child that ends with DELETE and of which the other knows nothing.
func exposeSessions(t *testing.T) {
	t.Helper()
	url, _ := expose(t, nil, nil)
	one, other := greets(t, url), greets(t, url)
	pid, _ := one.process(t, "")
	others, _ := other.process(t, "")
	if pid[0] == others[0] {
		t.Errorf("both have process %d", pid)
	}
	one.tell(t, `{"jsonrpc":"2.0","method":"notifications/x/one","params":{}}`)
	if a := other.ask(t, "x/seen", "{}"); strings.Contains(a.text, "x/one") {
		t.Errorf("the other child got %s", a.text)
	}
	one.leave(t)
	expectGone(t, pid)
	if still, _ := other.process(t, ""); still[0] != others[0] {
		t.Errorf("process %d, and was %d", still, others)
	}
}

// exposeCapabilities expects the child's own answer to initialize, and its lists as it has them: page by page, and also
// what no other server may have.
func exposeCapabilities(t *testing.T) {
	t.Helper()
	url, _ := expose(t, nil, nil)
	c := &exposeClient{url: url}
	for _, tt := range []struct{ method, params, want string }{
		{"initialize", exposeHello, childHello},
		{"tools/list", `{}`, childPage},
		{"tools/list", `{"cursor":"more"}`, childLast},
	} {
		if a := c.ask(t, tt.method, tt.params); string(a.Result) != tt.want {
			t.Errorf("%s answers %s, want %s", tt.method, a.Result, tt.want)
		}
	}
	if a := c.ask(t, "resources/list", "{}"); a.Error == nil || a.Error.Code != -32601 || a.Error.Message != "unknown here: resources/list" {
		t.Errorf("the child is not asked for what it does not have: %s", a.text)
	}
	c.ask(t, "ping", "{}") // the child's own answer
}

func exposeToken(t *testing.T) {
	t.Helper()
	refusesExpose(t, "--auth bearer", "-H", "0.0.0.0", "-p", "0", "--", "child")
	url, p := expose(t, []string{"TOKEN=hunter2-hunter2-hunter2"}, []string{"-H", "0.0.0.0", "--auth", "${TOKEN}", "--insecure"})
	url = strings.NewReplacer("0.0.0.0", "127.0.0.1", "[::]", "127.0.0.1").Replace(url)
	for token, want := range map[string]int{"": http.StatusUnauthorized, "hunter2": http.StatusUnauthorized, "hunter2-hunter2-hunter2": http.StatusOK} {
		c := &exposeClient{url: url, token: token}
		status, _, text := c.status(t, "POST", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":`+exposeHello+`}`)
		if status != want {
			t.Errorf("token %q: %d %s, want %d", token, status, text, want)
		}
	}
	if strings.Contains(p.said(t), "hunter2") {
		t.Error("the log holds the token")
	}
	open, _ := expose(t, nil, []string{"-H", "0.0.0.0", "--insecure"})
	greets(t, strings.NewReplacer("0.0.0.0", "127.0.0.1", "[::]", "127.0.0.1").Replace(open)).process(t, "")
}

// exposeNotifications has the child say things of its own accord, which come on the stream of the call that caused them,
// and the client, which come as they were.
func exposeNotifications(t *testing.T) {
	t.Helper()
	url, _ := expose(t, nil, nil)
	c := greets(t, url)
	c.ask(t, "x/tell", "{}")
	var got []string
	for _, m := range c.other {
		got = append(got, m.text)
	}
	if d := cmp.Diff(childTells, got); d != "" {
		t.Errorf("notifications of the child (-sent +received):\n%s", d)
	}
	const said = `{"jsonrpc":"2.0","method":"notifications/x/mine","params":{"n":1.50,"_meta":{"io.modelcontextprotocol/own":"ü"}}}`
	c.tell(t, said)
	if a := c.ask(t, "x/seen", "{}"); !strings.Contains(a.text, said) {
		t.Errorf("the child got %s, want %s", a.text, said)
	}
}

// exposeCustom calls methods that MCP does not know, both ways, with _meta and errors of their own.
func exposeCustom(t *testing.T) {
	t.Helper()
	url, _ := expose(t, nil, nil)
	c := greets(t, url)
	const params = `{"n":1.50,"_meta":{"io.modelcontextprotocol/own":"ü","x/y":[{}]}}`
	a := c.ask(t, "x/line", params)
	var got struct {
		Line struct {
			Method string
			Params json.RawMessage
		}
	}
	if err := json.Unmarshal(a.Result, &got); err != nil || got.Line.Method != "x/line" || string(got.Line.Params) != params {
		t.Errorf("the child got %s %v", a.text, err)
	}
	if string(a.ID) != `"ünique"` {
		t.Errorf("the id of the answer is %s", a.ID)
	}
	if a := c.ask(t, "x/fail", "{}"); a.Error == nil || a.Error.Code != -32099 || a.Error.Message != "its own" || string(a.Error.Data) != `{"deep":[1,2.50]}` {
		t.Errorf("the error is %s", a.text)
	}
	asks(t, c, "x/question", `{"n":1.50,"_meta":{"a":1}}`)
}

// exposeQuestions has the child ask for sampling, elicitation and roots.
func exposeQuestions(t *testing.T) {
	t.Helper()
	url, _ := expose(t, nil, nil)
	c := greets(t, url)
	asks(t, c, "sampling/createMessage", `{"messages":[],"maxTokens":1,"includeContext":"thisServer"}`)
	asks(t, c, "elicitation/create", `{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}`)
	asks(t, c, "roots/list", `{"_meta":{"a":1}}`)
}

// asks has the child ask the client, and expects both to get what the other has sent.
func asks(t *testing.T, c *exposeClient, method, params string) {
	t.Helper()
	const result = `{"mine":1.50,"_meta":{"b":2}}`
	c.answers = func(m wireMessage) string {
		if m.Method != method || !strings.Contains(m.text, params) {
			t.Errorf("the client is asked %s, want %s %s", m.text, method, params)
		}
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID, result)
	}
	a := c.ask(t, "x/ask", fmt.Sprintf(`{"ask":%q,"params":%s}`, method, params))
	if !strings.Contains(a.text, result) || !strings.Contains(a.text, `"of-the-child"`) {
		t.Errorf("the child is answered %s", a.text)
	}
}

// exposeEverything lets the official client do the same with server-everything over stdio and, through plait expose, over
// HTTP, and compares all that it sent and saw, byte for byte.
func exposeEverything(t *testing.T) {
	t.Helper()
	command := startEverything(t, "stdio").command
	base, _ := listen(t, nil, append([]string{"expose", "-p", "0", "--"}, command...)...)
	texts := recordClients(t, startEverything(t, "stdio").directly(), []string{"--http", base + "/mcp"})
	if t.Failed() {
		return
	}
	for _, text := range texts {
		for _, s := range text.Steps {
			undoExpose(s, text)
		}
	}
	compare(t, texts[0], texts[1])
	if t.Failed() {
		t.Log(texts[1].log)
	}
}

// undoExpose undoes what may differ; see undone.
func undoExpose(s *step, text *transcript) {
	numberChance(s, text)
	numberRequests(s, text)
	unorder(s, text)
	switch s.Name {
	case "initialize": // plait writes the answer, with the members in its own order
		answers(envelope)(s, text)
	case "environment":
		answers(func(string) string { return "the environment" })(s, text)
	case "echo, 20 at once":
		slices.SortFunc(s.Seen, func(a, b seen) int { return strings.Compare(a.Raw, b.Raw) })
	case "cancel", "after cancel":
		without(func(m seen) bool { return m.Method == "notifications/progress" })(s, text)
	}
}
