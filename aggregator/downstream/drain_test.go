package downstream

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestDrain ends a front while a call and streams are open: what was begun comes to its end, nothing new is taken, and
// whoever asks hears of it.
func TestDrain(t *testing.T) {
	ops := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "alive") })
	r := start(t, HTTPOptions{SSE: true, Ops: ops, Drain: hung})
	session := r.hello("2025-11-25")
	busy := r.events(r.send("POST", "/mcp", call("1", "wait", ""), session))
	busy.want("begun")
	asking := r.events(r.send("POST", "/mcp", call("2", "ask", ""), session))
	asking.want("question")
	listening := r.events(r.send("GET", "/mcp", "", session))
	legacy := r.events(r.send("GET", "/sse", ""))
	legacy.want("/message")
	<-r.peer(0).begun

	r.end()
	for r.send("POST", "/mcp", call("3", "echo", ""), session).StatusCode != http.StatusServiceUnavailable {
		if t.Context().Err() != nil {
			t.Fatal("requests are taken all the time")
		}
	}
	for _, test := range []struct {
		method, path, body string
		headers            []string
		want               int
	}{
		{"POST", "/mcp", call("4", "echo", ""), []string{session}, 503},
		{"POST", "/mcp", `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}`, nil, 503},
		{"GET", "/sse", "", nil, 503},
		{"GET", "/healthz", "", nil, 200},
		{"POST", "/mcp", `{"jsonrpc":"2.0","id":"q-2","result":{"is":"answer"}}`, []string{session}, 202},
	} {
		res := r.send(test.method, test.path, test.body, test.headers...)
		if text := body(t, res); res.StatusCode != test.want || test.want == 503 && (res.Header.Get("Retry-After") == "" || !strings.Contains(text, "ending")) {
			t.Errorf("%s %s: %s %v %s, want %d", test.method, test.path, res.Status, res.Header, text, test.want)
		}
	}
	asking.want("answer")
	asking.over()
	close(r.peer(0).wait)
	busy.want("ends", `"id":1`)
	for _, s := range []*sse{busy, listening, legacy} {
		for _, ok := s.next(); ok; _, ok = s.next() {
		}
		if err := s.in.Err(); err != nil {
			t.Errorf("a stream broke: %v", err)
		}
	}
}

// TestDrainTakesNoLonger gives calls up that do not end in time: their clients are told, and their streams end in order.
func TestDrainTakesNoLonger(t *testing.T) {
	r := start(t, HTTPOptions{Drain: 50 * time.Millisecond})
	busy := r.events(r.send("POST", "/mcp", call("1", "wait", ""), r.hello("2025-11-25")))
	busy.want("begun")
	r.end()
	busy.want(`"id":1,"error":{"code":-32603,"message":"plait ends, and this took longer than it waits`)
	busy.over()
	if err := busy.in.Err(); err != nil {
		t.Errorf("the stream broke: %v", err)
	}
	<-r.peer(0).closed
}

// TestDrainOfCancelled gives a call up that its client has cancelled: nobody waits for an answer.
func TestDrainOfCancelled(t *testing.T) {
	r := start(t, HTTPOptions{Drain: 50 * time.Millisecond})
	session := r.hello("2025-11-25")
	cancelled := r.events(r.send("POST", "/mcp", call("1", "stubborn", ""), session))
	cancelled.want("begun")
	if res := r.send("POST", "/mcp", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`, session); res.StatusCode != http.StatusAccepted {
		t.Fatal(res.Status)
	}
	late := r.events(r.send("POST", "/mcp", call("2", "wait", ""), session))
	r.end()
	late.want("begun", `"id":2,"error"`)
	close(r.peer(0).wait)
	cancelled.over()
	<-r.peer(0).closed
}

// TestLifetimeAnswers ends a session whose time is up: its calls in flight are answered.
func TestLifetimeAnswers(t *testing.T) {
	r := start(t, HTTPOptions{Lifetime: 50 * time.Millisecond})
	busy := r.events(r.send("POST", "/mcp", call("1", "wait", ""), r.hello("2025-11-25")))
	busy.want("begun", `"id":1,"error":{"code":-32603,"message":"the session has ended: its time is up; begin another`)
	busy.over()
	if err := busy.in.Err(); err != nil {
		t.Errorf("the stream broke: %v", err)
	}
	<-r.peer(0).closed
}
