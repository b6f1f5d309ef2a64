package aggregator

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/upstreamtest"
)

const taskTimes = `"status":"working","createdAt":"2025-11-25T10:30:00Z","ttl":60000,"x":1.0`

// worker returns a server that runs every call as the task T, and tells which server ran it.
func worker(t *testing.T, name string) *upstreamtest.Server {
	t.Helper()
	return with(t, "t", func(c *upstreamtest.Call) {
		switch id, _ := jsonrpc.GetString(c.Params(), "taskId"); {
		case c.Method() == "tools/call":
			c.Result(`{"task":{"taskId":"T",` + taskTimes + `}}`)
		case c.Method() == "tasks/list":
			c.Result(`{"tasks":[{"taskId":"T",` + taskTimes + `}]}`)
		case strings.HasPrefix(c.Method(), "tasks/") && id != "T":
			c.Error(jsonrpc.CodeInvalidParams, "no such task", "")
		case c.Method() == "tasks/get", c.Method() == "tasks/cancel":
			c.Result(`{"taskId":"T","by":"` + name + `",` + taskTimes + `}`)
		case c.Method() == "tasks/result":
			c.Result(`{"content":[],"by":"` + name + `","_meta":{"io.modelcontextprotocol/related-task":{"taskId":"T"}}}`)
		}
	})
}

// start makes a task of a call and returns its id.
func (c *client) start(tool string) string {
	c.t.Helper()
	result := c.result("tools/call", `{"name":"`+tool+`","task":{"ttl":60000}}`)
	id, _ := jsonrpc.GetString(jsonrpc.Raw(result), "task", "taskId")
	equal(c.t, "task", result, `{"task":{"taskId":"`+id+`",`+taskTimes+`}}`)
	return id
}

// Two servers that call their tasks by one name: the client can tell them apart in every message.
func TestTasksOfTwoServersWithOneID(t *testing.T) {
	a, b := worker(t, "a"), worker(t, "b")
	c := plait(t, two, a, b).open()
	first, second := c.start("a_t"), c.start("b_t")
	if first != "T" || second == "T" {
		t.Fatalf("tasks %s and %s", first, second)
	}
	equal(t, "task param", string(b.Received("tools/call")[0].Params()), `{"name":"t","task":{"ttl":60000}}`)
	for id, by := range map[string]string{first: "a", second: "b"} {
		params := `{"taskId":"` + id + `"}`
		status := `{"taskId":"` + id + `","by":"` + by + `",` + taskTimes + `}`
		equal(t, "get", c.result("tasks/get", params), status)
		equal(t, "cancel", c.result("tasks/cancel", params), status)
		equal(t, "result", c.result("tasks/result", params),
			`{"content":[],"by":"`+by+`","_meta":{"io.modelcontextprotocol/related-task":{"taskId":"`+id+`"}}}`)
	}
	got := names(t, c.result("tasks/list", ""), "tasks", "taskId")
	if d := cmp.Diff([]string{first, second}, got); d != "" {
		t.Errorf("list (-want +got):\n%s", d)
	}
	b.Notify("notifications/tasks/status", `{"taskId":"T","status":"completed","x":1.0}`)
	equal(t, "status", string(c.await("notifications/tasks/status", 1)[0].Params()),
		`{"taskId":"`+second+`","status":"completed","x":1.0}`)
	a.Notify("notifications/tasks/status", `{"taskId":"T","status":"failed"}`)
	equal(t, "status", string(c.await("notifications/tasks/status", 2)[1].Params()), `{"taskId":"T","status":"failed"}`)
	for _, params := range []string{`{"taskId":"U"}`, `{"taskId":5}`, `{}`, `{"taskId":"T","TaskId":"U"}`, `{"taskId":"T","taskId":"U"}`} {
		c.fails("tasks/get", params, jsonrpc.CodeInvalidParams)
	}
}

// A task that became known by its status, or by a list, can be asked for.
func TestTaskIsLearned(t *testing.T) {
	a, b := worker(t, "a"), worker(t, "b")
	c := plait(t, two, a, b).open()
	c.result("tools/list", "")
	c.fails("tasks/get", `{"taskId":"T"}`, jsonrpc.CodeInvalidParams)
	b.Notify("notifications/tasks/status", `{"taskId":"T","status":"working"}`)
	c.await("notifications/tasks/status", 1)
	equal(t, "get", c.result("tasks/get", `{"taskId":"T"}`), `{"taskId":"T","by":"b",`+taskTimes+`}`)
	got := names(t, c.result("tasks/list", ""), "tasks", "taskId")
	if len(got) != 2 || got[0] == got[1] {
		t.Errorf("list %v", got)
	}
	equal(t, "get", c.result("tasks/get", `{"taskId":"`+got[0]+`"}`), `{"taskId":"`+got[0]+`","by":"a",`+taskTimes+`}`)
}

// With one server tasks pass as they are.
func TestTasksOfOneServer(t *testing.T) {
	a := worker(t, "a")
	c := plait(t, "mcpServers: {a: {url: $a}}", a).open()
	equal(t, "list", c.result("tasks/list", `{"cursor":"x"}`), `{"tasks":[{"taskId":"T",`+taskTimes+`}]}`)
	equal(t, "cursor", string(a.Received("tasks/list")[0].Params()), `{"cursor":"x"}`)
	c.fails("tasks/get", `{"taskId":"U"}`, jsonrpc.CodeInvalidParams)
	if n := len(a.Received("tasks/get")); n != 1 {
		t.Error("the server was not asked")
	}
}

// Of a shared server's tasks a client sees its own.
func TestTasksOfASharedServer(t *testing.T) {
	for _, yaml := range []string{"mcpServers: {a: {url: $a, shared: true}}", "mcpServers: {a: {url: $a, shared: true}, b: {url: $b}}"} {
		a, b := worker(t, "a"), with(t, "u", nil)
		s := plait(t, yaml, a, b)
		p, q := s.open(), s.open()
		q.result("tools/list", "")
		p.start("a_t")
		q.fails("tasks/get", `{"taskId":"T"}`, jsonrpc.CodeInvalidParams)
		q.fails("tasks/result", `{"taskId":"T"}`, jsonrpc.CodeInvalidParams)
		equal(t, "list of the other", q.result("tasks/list", ""), `{"tasks":[]}`)
		equal(t, "own list", p.result("tasks/list", ""), `{"tasks":[{"taskId":"T",`+taskTimes+`}]}`)
		a.Notify("notifications/tasks/status", `{"taskId":"T","status":"working"}`)
		p.await("notifications/tasks/status", 1)
		a.Notify("notifications/message", `{"level":"info","data":"end"}`)
		q.await("notifications/message", 1)
		if n := len(q.received("notifications/tasks/status")); n != 0 {
			t.Error("a client was told of another's task")
		}
	}
}

// Progress of a task comes back as long as the task goes on, although its call was answered.
func TestProgressOfATask(t *testing.T) {
	a, b := worker(t, "a"), worker(t, "b")
	c := plait(t, two, a, b).open()
	c.result("tools/call", `{"name":"a_t","task":{},"_meta":{"progressToken":"p"}}`)
	token, _ := jsonrpc.Get(a.Received("tools/call")[0].Params(), "_meta", "progressToken")
	for _, progress := range []string{"1", "2", "1.5"} {
		a.Notify("notifications/progress", fmt.Sprintf(`{"progressToken":%s,"progress":%s}`, token, progress))
	}
	a.Notify("notifications/message", `{"level":"info","data":"end"}`)
	c.await("notifications/message", 1)
	var got []string
	for _, m := range c.received("notifications/progress") {
		got = append(got, string(m.Params()))
	}
	want := []string{`{"progressToken":"p","progress":1}`, `{"progressToken":"p","progress":2}`}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("progress (-want +got):\n%s", d)
	}
}

// A question that belongs to a task names it as the client knows it, and the answer as the server does.
func TestQuestionOfATask(t *testing.T) {
	const related = `{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":%q}},"message":%q}`
	ask := func(c *upstreamtest.Call) {
		switch c.Method() {
		case "tools/call":
			c.Result(`{"task":{"taskId":"T",` + taskTimes + `}}`)
		case "tasks/result":
			m := c.Ask("1", "elicitation/create", fmt.Sprintf(related, "T", "m"))
			c.Result(`{"content":[],"answer":` + string(m.Result()) + `}`)
		}
	}
	a, b := with(t, "t", ask), with(t, "t", ask)
	c := plait(t, two, a, b).open()
	c.answers(func(m *jsonrpc.Message) string { return string(m.Params()) })
	for _, tool := range []string{"a_t", "b_t"} {
		id := c.start(tool)
		equal(t, "answer", c.result("tasks/result", `{"taskId":"`+id+`"}`),
			`{"content":[],"answer":`+fmt.Sprintf(related, "T", "["+tool[:1]+"] m")+`}`)
		asked := c.received("elicitation/create")
		equal(t, "question", string(asked[len(asked)-1].Params()), fmt.Sprintf(related, id, "["+tool[:1]+"] m"))
	}
}

// Tasks that the client runs: a server sees those that it asked for.
func TestTasksOfTheClient(t *testing.T) {
	a, b := asking(t), asking(t)
	c := plait(t, two, a, b).open()
	var last int
	c.answers(func(m *jsonrpc.Message) string {
		switch m.Method() {
		case "sampling/createMessage", "elicitation/create":
			last++
			return fmt.Sprintf(`{"task":{"taskId":"c%d",%s}}`, last, taskTimes)
		case "tasks/list":
			return `{"tasks":[{"taskId":"c1"},{"taskId":"c2"},{"taskId":"c3"}],"x":1.0}`
		}
		return fmt.Sprintf(`{"method":%q,"params":%s}`, m.Method(), m.Params())
	})
	equal(t, "a's task", c.asks("a_t", "sampling/createMessage", `{"messages":[],"task":{"ttl":1}}`),
		`{"jsonrpc":"2.0","id":1,"result":{"task":{"taskId":"c1",`+taskTimes+`}}}`)
	c.asks("b_t", "elicitation/create", `{"message":"m","task":{}}`)
	c.asks("b_t", "sampling/createMessage", `{"messages":[],"task":{}}`)
	for _, method := range []string{"tasks/get", "tasks/result", "tasks/cancel"} {
		equal(t, method, c.asks("b_t", method, `{"taskId":"c2"}`),
			`{"jsonrpc":"2.0","id":1,"result":{"method":"`+method+`","params":{"taskId":"c2"}}}`)
		if got := c.asks("a_t", method, `{"taskId":"c2"}`); !strings.Contains(got, `"code":-32602`) {
			t.Errorf("a server reached a task that is not its own: %s", got)
		}
	}
	equal(t, "b's list", c.asks("b_t", "tasks/list", "{}"),
		`{"jsonrpc":"2.0","id":1,"result":{"tasks":[{"taskId":"c2"},{"taskId":"c3"}],"x":1.0}}`)
	c.notify("notifications/tasks/status", `{"taskId":"c2","status":"completed"}`)
	c.notify("notifications/tasks/status", `{"taskId":"c1","status":"failed"}`)
	equal(t, "b's status", string(b.Await(t, "notifications/tasks/status", 1)[0].Params()), `{"taskId":"c2","status":"completed"}`)
	equal(t, "a's status", string(a.Await(t, "notifications/tasks/status", 1)[0].Params()), `{"taskId":"c1","status":"failed"}`)
}

// A status that follows its task at once is not lost.
func TestStatusRightAfterTheTask(t *testing.T) {
	a, b := asking(t), asking(t)
	c := plait(t, two, a, b).open()
	var calls sync.WaitGroup
	calls.Go(func() { c.asks("a_t", "sampling/createMessage", `{"messages":[],"task":{}}`) })
	asked := c.await("sampling/createMessage", 1)[0]
	c.respond(jsonrpc.Result(asked.ID(), jsonrpc.Raw(`{"task":{"taskId":"c",`+taskTimes+`}}`)))
	c.notify("notifications/tasks/status", `{"taskId":"c","status":"completed"}`)
	a.Await(t, "notifications/tasks/status", 1)
	calls.Wait()
}
