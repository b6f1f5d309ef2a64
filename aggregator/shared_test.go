package aggregator

import (
	"context"
	"sync"
	"testing"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/upstreamtest"
)

const sharedAndNot = "mcpServers: {a: {url: $a, shared: true}, b: {url: $b}}"

// What a shared server says during a call is for who called, or for nobody when nobody knows who that is.
func TestNotesOfASharedServer(t *testing.T) {
	begun, end := make(chan *upstreamtest.Call, 2), make(chan struct{})
	a := with(t, "t", func(c *upstreamtest.Call) {
		if c.Method() == "tools/call" {
			begun <- c
			<-end
			c.Result(`{"content":[]}`)
		}
	})
	s := plait(t, "mcpServers: {a: {url: $a, shared: true, methods: ['acme/*']}, b: {url: $b}}", a, with(t, "u", nil))
	p, q := s.open(), s.open()
	for _, c := range []*client{p, q} {
		c.result("tools/list", "")
	}
	note := func(who string) string { return `{"level":"info","data":"` + who + `"}` }
	var calls sync.WaitGroup
	calls.Go(func() { p.call("tools/call", `{"name":"a_t"}`) })
	ofP := <-begun
	a.Notify("notifications/message", note("p, who alone calls"))
	p.await("notifications/message", 1)
	calls.Go(func() { q.call("tools/call", `{"name":"a_t"}`) })
	ofQ := <-begun
	a.Notify("notifications/message", note("nobody knows"))
	eventually(t, "it is logged", func() bool { return len(s.log.lines("may concern any of its callers")) == 1 })
	ofP.Notify("notifications/message", note("p"))
	ofP.Notify("acme/note", note("p"))
	ofQ.Notify("notifications/message", note("q"))
	close(end)
	calls.Wait()
	a.Notify("notifications/message", note("all"))
	want := map[*client][]string{p: {note("p, who alone calls"), note("p"), note("all")}, q: {note("q"), note("all")}}
	for c, notes := range want {
		for i, m := range c.await("notifications/message", len(notes)) {
			equal(t, "log message", string(m.Params()), notes[i])
		}
	}
	if len(p.received("acme/note")) != 1 || len(q.received("acme/note")) != 0 {
		t.Error("a notification of a method of its own went astray")
	}
}

// A client that comes while another leaves a resource of a shared server is subscribed in the end, and hears of what
// changes before it is told so.
func TestSubscriptionsOfASharedServerMeet(t *testing.T) {
	const params = `{"uri":"x://1"}`
	leaving, leave := make(chan struct{}), make(chan struct{})
	a := &upstreamtest.Server{Results: map[string]string{"resources/list": `{"resources":[{"uri":"x://1","name":"1"}]}`}}
	a.Handle = func(c *upstreamtest.Call) {
		switch {
		case c.Method() == "resources/unsubscribe":
			close(leaving)
			<-leave
			c.Result("{}")
		case len(a.Received("resources/subscribe")) == 1:
			c.Result("{}")
		default:
			a.Notify("notifications/resources/updated", params)
			<-c.Request.Context().Done()
		}
	}
	s := plait(t, sharedAndNot, a.Start(t), with(t, "u", nil))
	p, q := s.open(), s.open()
	for _, c := range []*client{p, q} {
		c.result("resources/list", "")
	}
	p.result("resources/subscribe", params)
	var calls sync.WaitGroup
	calls.Go(func() { p.result("resources/unsubscribe", params) })
	<-leaving
	ctx, cancel := context.WithCancel(t.Context())
	calls.Go(func() { q.callAs(ctx, "7", "resources/subscribe", params) })
	pause(quiet)
	if n := len(a.Received("resources/subscribe")); n != 1 {
		t.Errorf("the server was asked to subscribe %d times while it unsubscribes", n)
	}
	close(leave)
	q.await("notifications/resources/updated", 1)
	cancel()
	calls.Wait()
	if n := len(p.received("notifications/resources/updated")); n != 0 {
		t.Errorf("%d updates for who has left", n)
	}
}

// Two servers may have one URI: updates are for who subscribed to that of the server.
func TestSubscriptionsOfOneURI(t *testing.T) {
	const list, subscribed = `{"resources":[{"uri":"x://1","name":"1"}]}`, "notifications/resources/updated"
	results := map[string]string{"resources/list": list, "resources/subscribe": "{}"}
	a, b := (&upstreamtest.Server{Results: results}).Start(t), (&upstreamtest.Server{Results: results}).Start(t)
	s := plait(t, "mcpServers: {a: {url: $a, shared: true}, b: {url: $b, shared: true}}", a, b)
	p, q := s.open(), s.open()
	for _, c := range []*client{p, q} {
		if got := names(t, c.result("resources/list", ""), "resources", "uri"); len(got) != 2 || got[1] != "b+x://1" {
			t.Fatalf("resources %q", got)
		}
	}
	p.result("resources/subscribe", `{"uri":"x://1"}`)
	q.result("resources/subscribe", `{"uri":"b+x://1"}`)
	b.Notify(subscribed, `{"uri":"x://1"}`)
	equal(t, "q's update", string(q.await(subscribed, 1)[0].Params()), `{"uri":"b+x://1"}`)
	a.Notify(subscribed, `{"uri":"x://1"}`)
	equal(t, "p's update", string(p.await(subscribed, 1)[0].Params()), `{"uri":"x://1"}`)
}

// Only who was sent to a URL by a shared server is told that this is done.
func TestURLElicitationOfASharedServer(t *testing.T) {
	a := with(t, "t", func(c *upstreamtest.Call) {
		id, _ := jsonrpc.GetString(c.Params(), "arguments", "id")
		c.Error(-32042, "visit first", `{"elicitations":[{"mode":"url","elicitationId":"`+id+`","url":"https://i/x","message":"m"}]}`)
	})
	for yaml, prefix := range map[string][2]string{
		sharedAndNot: {"a_", "a:"},
		"mcpServers: {a: {url: $a, shared: true}}": {"", ""},
	} {
		s := plait(t, yaml, a, with(t, "u", nil))
		p, q := s.open(), s.open()
		const complete = "notifications/elicitation/complete"
		for c, id := range map[*client]string{p: "p", q: "q"} {
			c.fails("tools/call", `{"name":"`+prefix[0]+`t","arguments":{"id":"`+id+`"}}`, -32042)
		}
		for _, id := range []string{"p", "q"} {
			a.Notify(complete, `{"elicitationId":"`+id+`"}`)
		}
		for c, id := range map[*client]string{p: "p", q: "q"} {
			equal(t, "complete", string(c.await(complete, 1)[0].Params()), `{"elicitationId":"`+prefix[1]+id+`"}`)
		}
		p.session.Close()
		q.session.Close()
	}
}
