package aggregator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/upstreamtest"
)

// T07, towards the client: what a server sends over many lines arrives on one.
func TestT07Framing(t *testing.T) {
	a := with(t, "t", nil)
	item := "\t{\r\n\t  \"type\" : \"text\",\n  \"text\": \"a\\nb \u2028 c\"\n\t}"
	pretty := "{\n \"content\": [\n" + item + strings.Repeat(",\n"+item, 20<<20/len(item)) + "\n]\n}"
	a.Intercept = func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) bool {
		if m.Method() == "tools/call" {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			_, _ = io.WriteString(w, "\r\n{\n\"jsonrpc\": \"2.0\",\n\"id\": "+string(m.ID())+",\n\"result\": "+pretty+"\n}\n")
		}
		return m.Method() == "tools/call"
	}
	w := plait(t, two, a, with(t, "u", nil)).wire()
	w.hello(latest)
	w.send(`{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"a_t"}}`)
	line := w.next()
	var got struct {
		ID     string
		Result json.RawMessage
	}
	if err := json.Unmarshal([]byte(line), &got); err != nil || got.ID != "x" {
		t.Fatalf("no message: %v in %.200s", err, line)
	}
	var want, have bytes.Buffer
	if json.Compact(&want, []byte(pretty)) != nil || json.Compact(&have, got.Result) != nil || want.String() != have.String() {
		t.Errorf("%d bytes came of %d", have.Len(), want.Len())
	}
	w.says(`{"jsonrpc":"2.0","id":2,"method":"ping"}`, `{"jsonrpc":"2.0","id":2,"result":{}}`)
}

// T07, towards the server: a child that prints what is no message.
func TestT07NoisyChild(t *testing.T) {
	s := plait(t, `mcpServers: {a: {command: "$self", env: {`+childRole+`: noisy}}, b: {command: x, disabled: true}}`)
	w := s.wire()
	w.send("\ufeff", "", "\r") // and a client that does
	w.hello(latest)
	for n := range 5 {
		id := strconv.Itoa(n)
		w.says(`{"jsonrpc":"2.0","id":`+id+`,"method":"tools/call","params":{"name":"a_echo"}}`+"\r",
			`{"jsonrpc":"2.0","id":`+id+`,"result":{"content":[],"params":{"name":"echo"}}}`)
	}
	if len(s.log.lines("Listening on 3000")) != 1 {
		t.Error("the noise is not in the log")
	}
}

// A client may send everything at once.
func TestClientThatDoesNotWait(t *testing.T) {
	a, b := with(t, "t", echo), with(t, "u", nil)
	w := plait(t, two, a, b).wire()
	w.send( // one write
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":` + hello(latest) + "}\n" +
			`{"jsonrpc":"2.0","method":"notifications/initialized"}` + "\n" +
			`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"a_t"}}`)
	if line := w.next(); !strings.HasPrefix(line, `{"jsonrpc":"2.0","id":1,"result":`) {
		t.Errorf("first: %s", line)
	}
	equal(t, "second", w.next(), `{"jsonrpc":"2.0","id":2,"result":{"name":"t"}}`)
	w.end()
}

// Batches belong to 2025-03-26.
func TestBatches(t *testing.T) {
	const refused = `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"this protocol version has no batches"}}`
	const ping = `{"jsonrpc":"2.0","id":"a","method":"ping"}`
	a, b := with(t, "t", echo), with(t, "u", nil)
	s := plait(t, two, a, b)
	w := s.wire()
	w.says(`[`+ping+`]`, refused)
	w.hello("2025-06-18")
	w.says(`[`+ping+`]`, refused)
	w = s.wire()
	w.hello("2025-03-26")
	w.says(`[`+ping+`]`, `[{"jsonrpc":"2.0","id":"a","result":{}}]`)
	w.says(`[]`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"an empty batch"}}`)
	w.send(`[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a_t","n":1}},` +
		`{"jsonrpc":"2.0","method":"notifications/x"},{"jsonrpc":"2.0","id":9,"result":{}},5,[],` +
		`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"a_t","n":2}}]`)
	got := w.next()
	answers := 0
	for range jsonrpc.Elements(jsonrpc.Raw(got)) {
		answers++
	}
	for _, part := range []string{
		`{"jsonrpc":"2.0","id":1,"result":{"name":"t","n":1}}`, `{"jsonrpc":"2.0","id":2,"result":{"name":"t","n":2}}`,
	} {
		if !strings.Contains(got, part) {
			t.Errorf("no %s in %s", part, got)
		}
	}
	if answers != 4 {
		t.Errorf("%d answers in %s", answers, got)
	}
	w.send(`[{"jsonrpc":"2.0","method":"notifications/x"}]`)
	w.says(ping, `{"jsonrpc":"2.0","id":"a","result":{}}`)
}

// What two readers could understand in two ways is refused, and the client told which request it was.
func TestStrictness(t *testing.T) {
	a, b := with(t, "t", echo), with(t, "u", echo)
	a.Set("resources/list", `{"resources":[{"uri":"x://1","name":"1"}]}`)
	a.Set("prompts/list", `{"prompts":[{"name":"p"}]}`)
	w := plait(t, two, a, b).wire()
	w.hello(latest)
	deep := strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	for _, test := range []struct {
		line string
		code int
		id   string
	}{
		{`{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"ping"}`, -32600, "null"},
		{`{"jsonrpc":"2.0","id":1,"Method":"ping"}`, -32600, "null"},
		{`{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}`, -32600, "null"},
		{`{"jsonrpc":"2.0","id":1,"method":"ping","params":{},"p\u0061rams":{}}`, -32600, "null"},
		{`{"jsonrpc":"1.0","id":1,"method":"ping"}`, -32600, "1"},
		{`{"jsonrpc":"2.0","id":1,"method":5}`, -32600, "1"},
		{`{"jsonrpc":"2.0","id":{},"method":"ping"}`, -32600, "null"},
		{`{"jsonrpc":"2.0","id":null,"method":"ping"}`, -32600, "null"},
		{`{"jsonrpc":"2.0","id":1,"method":"ping"`, -32700, "1"},
		{`{"jsonrpc":"2.0","id":1,"method":"ping",}`, -32700, "1"},
		{`hello`, -32700, "null"},
		{`5`, -32600, "null"},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":` + deep + `}}`, -32700, "1"},
		{`{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"a_t","name":"b_u"}}`, -32602, `"x"`},
		{`{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"a_t","n\u0061me":"b_u"}}`, -32602, `"x"`},
		{`{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"a_t","Name":"b_u"}}`, -32602, `"x"`},
		{`{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"a_t","arguments":{},"arguments":{}}}`, -32602, `"x"`},
		{`{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"a_t","_meta":{},"_meta":{}}}`, -32602, `"x"`},
		{`{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"a_t","_meta":{"progressToken":1,"progressToken":2}}}`, -32602, `"x"`},
		{`{"jsonrpc":"2.0","id":"x","method":"tools/call","params":["a_t"]}`, -32602, `"x"`},
		{`{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":5}}`, -32602, `"x"`},
		{`{"jsonrpc":"2.0","id":"x","method":"tools/call"}`, -32602, `"x"`},
		{`{"jsonrpc":"2.0","id":"x","method":"prompts/get","params":{"name":"a_p","NAME":"b_p"}}`, -32602, `"x"`},
		{`{"jsonrpc":"2.0","id":"x","method":"resources/read","params":{"uri":"x://1","uri":"x://2"}}`, -32602, `"x"`},
		{`{"jsonrpc":"2.0","id":"x","method":"resources/read","params":{"uri":"x://1","URI":"x://2"}}`, -32602, `"x"`},
		{`{"jsonrpc":"2.0","id":"x","method":"resources/subscribe","params":{"uri":"x://1","uri":"x://2"}}`, -32602, `"x"`},
		{`{"jsonrpc":"2.0","id":"x","method":"completion/complete","params":{"ref":{},"ref":{}}}`, -32602, `"x"`},
		{`{"jsonrpc":"2.0","id":"x","method":"tools/list","params":{"cursor":"1","cursor":"2"}}`, -32602, `"x"`},
	} {
		w.send(test.line)
		want := fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":%d,`, test.id, test.code)
		if got := w.next(); !strings.HasPrefix(got, want) {
			t.Errorf("%.120s: got %s, want %s", test.line, got, want)
		}
	}
	for _, method := range []string{"tools/call", "prompts/get", "resources/read", "resources/subscribe", "completion/complete"} {
		if n := len(a.Received(method)) + len(b.Received(method)); n != 0 {
			t.Errorf("%d requests %s were passed on", n, method)
		}
	}
	const twice = `{"name":"a_t","arguments":{"x":1,"x":2,"X":3},"future":1,"Future":2}` // nobody decides by it
	w.says(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":`+twice+`}`,
		`{"jsonrpc":"2.0","id":1,"result":`+strings.Replace(twice, "a_t", "t", 1)+`}`)
}

// T53 (d, e) and (a) for this era: cancellations that come late, or are about nothing.
func TestT53CancelMatrix(t *testing.T) {
	a := with(t, "t", func(c *upstreamtest.Call) {
		if raw, _ := jsonrpc.Get(c.Params(), "arguments"); raw == nil {
			<-c.Request.Context().Done()
		}
		c.Result(`{"content":[]}`)
	})
	w := plait(t, two, a, with(t, "u", nil)).wire()
	cancel := func(id string) {
		w.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":` + id + `,"reason":"the \u0075ser \ud800"}}`)
	}
	w.send(`{"jsonrpc":"2.0","id":"hello","method":"initialize","params":` + hello(latest) + `}`)
	cancel(`"hello"`)
	if line := w.next(); !strings.Contains(line, `"result"`) {
		t.Errorf("initialize: %s", line)
	}
	w.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	for _, id := range []string{`77`, `"hello"`, `null`, `{}`, `[1]`} {
		cancel(id)
	}
	w.send(`{"jsonrpc":"2.0","method":"notifications/cancelled"}`)
	const call = `{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":"a_t"%s}}`
	const done = `{"jsonrpc":"2.0","id":%s,"result":{"content":[]}}`
	w.says(fmt.Sprintf(call, `1`, `,"arguments":{}`), fmt.Sprintf(done, `1`))
	cancel(`1`)
	w.send(fmt.Sprintf(call, `"1"`, ""))
	a.Await(t, "tools/call", 2)
	cancel(`1`) // another id
	w.says(fmt.Sprintf(call, `"1"`, ""),
		`{"jsonrpc":"2.0","id":"1","error":{"code":-32600,"message":"a request with this id is being served"}}`)
	cancel(`"\u0031"`) // the same id
	equal(t, "what the server is told", string(a.Await(t, "notifications/cancelled", 1)[0].Params()),
		`{"requestId":`+string(a.Received("tools/call")[1].ID())+`,"reason":"the \u0075ser \ud800"}`)
	answered := map[string]int{}
	for n := range 200 { // the answer and the cancellation meet
		id := strconv.Itoa(1000 + n)
		w.send(fmt.Sprintf(call, id, `,"arguments":{}`))
		cancel(id)
	}
	w.send(`{"jsonrpc":"2.0","id":"end","method":"ping"}`)
	for ended := false; !ended; {
		line := w.next()
		if !regexp.MustCompile(`"result":\{("content":\[\])?\}`).MatchString(line) {
			t.Errorf("answer %s", line)
		}
		answered[line]++
		ended = strings.Contains(line, `"end"`)
	}
	for line, n := range answered {
		if n > 1 {
			t.Errorf("answered %d times: %s", n, line)
		}
	}
}
