package aggregator

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/upstreamtest"
)

// T02: what a client gives as arguments and what a server gives as result arrive byte for byte.
func TestT02NumbersAndStrings(t *testing.T) {
	const arguments = `{"big":123456789012345678901234567890,"f":1.0,"s":"\ud800","z":-0, "<>&":"\u2028"}`
	const result = `{"structuredContent":{"id":9007199254740993},"content":[],"x":[1e2,{"b":1,"a":2}]}`
	a := (&upstreamtest.Server{Results: map[string]string{"tools/list": tools("t"), "tools/call": result}}).Start(t)
	b := (&upstreamtest.Server{}).Start(t)
	c := plait(t, two, a, b).open()
	if got := c.result("tools/call", `{"name":"a_t","arguments":`+arguments+`,"future":[1.0]}`); got != result {
		t.Errorf("the client got %s", got)
	}
	sent := a.Received("tools/call")[0].Params()
	if want := `{"name":"t","arguments":` + arguments + `,"future":[1.0]}`; string(sent) != want {
		t.Errorf("the server got\n%s, want\n%s", sent, want)
	}
}

// T03: a content type that nobody knows passes.
func TestT03UnknownContentType(t *testing.T) {
	const result = `{"content":[{"type":"hologram","data":"x","annotations":{"priority":0}}]}`
	a := (&upstreamtest.Server{Results: map[string]string{"tools/list": tools("t"), "tools/call": result}}).Start(t)
	b := (&upstreamtest.Server{}).Start(t)
	c := plait(t, two, a, b).open()
	if got := c.result("tools/call", `{"name":"a_t"}`); got != result {
		t.Errorf("the client got %s", got)
	}
}

// T04: ids come back as they were written, whatever they look like and whatever the order of the answers, and
// the server sees three integers.
func TestT04IDShapes(t *testing.T) {
	shapes := []string{`1`, `"1"`, `9007199254740993`}
	turns := map[string]chan struct{}{}
	for _, id := range shapes {
		turns[id] = make(chan struct{})
	}
	a := (&upstreamtest.Server{
		Results: map[string]string{"tools/list": tools("t")},
		Handle: func(c *upstreamtest.Call) {
			id, _ := jsonrpc.Get(c.Params(), "arguments", "id")
			<-turns[string(id)]
			c.Result(string(c.Params()))
		},
	}).Start(t)
	b := (&upstreamtest.Server{}).Start(t)
	w := plait(t, two, a, b).wire()
	w.hello(latest)
	for _, id := range shapes {
		w.send(`{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":{"name":"a_t","arguments":{"id":` + id + `}}}`)
	}
	ids := map[jsonrpc.ID]bool{}
	for _, m := range a.Await(t, "tools/call", 3) {
		ids[m.ID()] = !strings.Contains(string(m.ID()), `"`)
	}
	if len(ids) != 3 {
		t.Errorf("the server saw ids %v", ids)
	}
	for _, id := range slices.Backward(shapes) {
		close(turns[id])
		equal(t, "answer", w.next(), `{"jsonrpc":"2.0","id":`+id+`,"result":{"name":"t","arguments":{"id":`+id+`}}}`)
	}
}

// T05: progress reaches the client that asked, with its own token.
func TestT05ProgressTokenShapes(t *testing.T) {
	a := (&upstreamtest.Server{
		Results: map[string]string{"tools/list": tools("t")},
		Handle: func(c *upstreamtest.Call) {
			c.Progress("1")
			c.Progress("2.5")
			c.Result(`{"content":[]}`)
		},
	}).Start(t)
	b := (&upstreamtest.Server{}).Start(t)
	s := plait(t, two, a, b)
	var all sync.WaitGroup
	for _, token := range []string{`"p"`, `"p"`, `7`} {
		c := s.open()
		all.Go(func() {
			c.result("tools/call", `{"name":"a_t","_meta":{"progressToken":`+token+`}}`)
			var got []string
			for _, m := range c.received("notifications/progress") {
				got = append(got, string(m.Params()))
			}
			want := []string{`{"progressToken":` + token + `,"progress":1}`, `{"progressToken":` + token + `,"progress":2.5}`}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("progress of %s (-want +got):\n%s", token, d)
			}
		})
	}
	all.Wait()
	for _, m := range a.Received("tools/call") {
		token, _ := jsonrpc.Get(m.Params(), "_meta", "progressToken")
		if strings.ContainsAny(string(token), `".`) {
			t.Errorf("the server got token %s", token)
		}
	}
}

// TestCancelledCallIsToldToTheServer is T53's part for the initialize era: the server learns its own id.
func TestCancelledCallIsToldToTheServer(t *testing.T) {
	a := (&upstreamtest.Server{
		Results: map[string]string{"tools/list": tools("t")},
		Handle:  func(c *upstreamtest.Call) { <-c.Request.Context().Done() },
	}).Start(t)
	b := (&upstreamtest.Server{}).Start(t)
	c := plait(t, two, a, b).open()
	c.result("tools/list", "")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan *jsonrpc.Message)
	go func() { done <- c.callAs(ctx, `"x"`, "tools/call", `{"name":"a_t"}`) }()
	id := a.Await(t, "tools/call", 1)[0].ID()
	cancel()
	if m := <-done; m != nil {
		t.Errorf("a cancelled request was answered: %s", m.Text().Bytes())
	}
	told, _ := jsonrpc.Get(a.Await(t, "notifications/cancelled", 1)[0].Params(), "requestId")
	if string(told) != string(id) {
		t.Errorf("cancelled %s, want %s", told, id)
	}
}
