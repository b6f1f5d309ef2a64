package downstream

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const latest = "2025-11-25"

func TestHTTPAnswerAlone(t *testing.T) {
	r := start(t, HTTPOptions{})
	session := r.hello(latest)
	res := r.send("POST", "/mcp", call("9007199254740993", "echo", "hi"), session, "MCP-Protocol-Version: "+latest)
	if kind := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || kind != jsonType {
		t.Errorf("%s %s", res.Status, kind)
	}
	if got, want := body(t, res), `{"jsonrpc":"2.0","id":9007199254740993,"result":{"for":"hi"}}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, text := range []string{`{"jsonrpc":"2.0","method":"n"}`, `{"jsonrpc":"2.0","id":7,"result":{}}`} {
		if res := r.send("POST", "/mcp", text, session); res.StatusCode != http.StatusAccepted || body(t, res) != "" {
			t.Errorf("%s: %s", text, res.Status)
		}
	}
}

// TestHTTPStreamOfTheCall has what belongs to a call arrive on its stream, in order, also when many are in flight and
// nobody has opened the GET stream: mcp-go's server sends it on any of them, and its questions only over GET.
func TestHTTPStreamOfTheCall(t *testing.T) {
	r := start(t, HTTPOptions{})
	session := r.hello(latest)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			me := fmt.Sprintf("call-%d", i)
			s := r.events(r.send("POST", "/mcp", call(strconv.Itoa(i+1), "note", me), session))
			first, _ := s.next()
			if first.data != "" || first.id == "" || first.retry == "" {
				t.Errorf("the stream begins with %+v", first)
			}
			s.want(me+" 0", me+" 1", me+" 2", `"for":"`+me+`"`)
			s.over()

			id := fmt.Sprintf(`"q%d"`, i)
			s = r.events(r.send("POST", "/mcp", call(id, "ask", me), session))
			q := s.want(`"text":"` + me + `"`)
			if !strings.Contains(q.data, fmt.Sprintf(`"q-q%d%s"`, i, me)) {
				t.Errorf("question %s", q.data)
			}
			if res := r.send("POST", "/mcp", fmt.Sprintf(`{"jsonrpc":"2.0","id":"q-q%d%s","result":{"said":%q}}`, i, me, me), session); res.StatusCode != http.StatusAccepted {
				t.Errorf("an answer: %s", res.Status)
			}
			s.want(`"said":"` + me + `"`)
			s.over()
		})
	}
	all.Wait()
}

// TestHTTPGetStream has what belongs to no call arrive on the GET stream, and nothing is lost while nobody reads it.
func TestHTTPGetStream(t *testing.T) {
	r := start(t, HTTPOptions{})
	session := r.hello(latest)
	get := r.send("GET", "/mcp", "", session)
	s := r.events(get)
	if res := r.send("POST", "/mcp", call("1", "stray", "one"), session); res.Header.Get("Content-Type") != jsonType {
		t.Errorf("%v, want JSON", res.Header)
	}
	last := s.want("one")
	_ = get.Body.Close()
	for _, text := range []string{"two", "three"} {
		r.send("POST", "/mcp", call("2", "stray", text), session)
	}
	s = r.events(r.send("GET", "/mcp", "", session, "Last-Event-ID: "+last.id))
	s.want("two", "three")
	other := r.events(r.send("GET", "/mcp", "", session, "Last-Event-ID: 0-0")) // the newest wins
	s.over()
	other.want("one", "two", "three")
	ids := map[string]bool{}
	for range 6 { // without a message between them the official client of Go gives up after five with the same id
		s := r.events(r.send("GET", "/mcp", "", session))
		if g, _ := s.next(); g.id == "" || ids[g.id] {
			t.Errorf("%+v after %v", g, ids)
		} else {
			ids[g.id] = true
		}
	}
}

// TestHTTPResume has a client lose a stream and come back for what it has not seen: a disconnect does not cancel.
func TestHTTPResume(t *testing.T) {
	r := start(t, HTTPOptions{})
	session := r.hello(latest)
	ctx, disconnect := context.WithCancel(t.Context())
	res, err := r.try(ctx, "POST", "/mcp", call("1", "wait", "long"), session)
	if err != nil {
		t.Fatal(err)
	}
	s := r.events(res)
	primed, _ := s.next()
	begun := s.want("begun")
	disconnect()
	_ = res.Body.Close()
	close(r.peer(0).wait)
	s = r.events(r.send("GET", "/mcp", "", session, "Last-Event-ID: "+begun.id))
	s.want("ends", `"for":"long"`)
	s.over()
	s = r.events(r.send("GET", "/mcp", "", session, "Last-Event-ID: "+primed.id)) // once more, and from the start
	s.want("begun", "ends", `"for":"long"`)
	s.over()
}

func TestHTTPCancel(t *testing.T) {
	r := start(t, HTTPOptions{})
	session := r.hello(latest)
	s := r.events(r.send("POST", "/mcp", call("1", "wait", "long"), session))
	last := s.want("begun")
	if res := r.send("POST", "/mcp", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`, session); res.StatusCode != http.StatusAccepted {
		t.Error(res.Status)
	}
	s.over()
	// The official client of TypeScript comes back each second, for as long as it gets a stream.
	if res := r.send("GET", "/mcp", "", session, "Last-Event-ID: "+last.id); res.StatusCode != http.StatusNoContent {
		t.Errorf("coming back for nothing: %s", res.Status)
	}
}

// TestHTTPOldClient gives a client before 2025-11-25 no event without a message, which is an error to it.
func TestHTTPOldClient(t *testing.T) {
	r := start(t, HTTPOptions{})
	session := r.hello("2025-03-26")
	s := r.events(r.send("POST", "/mcp", call("1", "note", "x"), session))
	if g, _ := s.next(); !strings.Contains(g.data, "x 0") {
		t.Errorf("the first event is %+v", g)
	}
	res := r.send("POST", "/mcp", `[`+call("2", "echo", "a")+`,`+call("3", "echo", "b")+`,{"jsonrpc":"2.0","method":"n"}]`, session)
	if got := body(t, res); !strings.HasPrefix(got, "[") || !strings.Contains(got, `"id":2`) || !strings.Contains(got, `"id":3`) {
		t.Errorf("the answers are %s", got)
	}
}

func TestHTTPDelete(t *testing.T) {
	r := start(t, HTTPOptions{})
	session := r.hello(latest)
	s := r.events(r.send("POST", "/mcp", call("1", "wait", ""), session))
	s.want("begun")
	if res := r.send("DELETE", "/mcp", "", session); res.StatusCode != http.StatusNoContent {
		t.Error(res.Status)
	}
	select {
	case <-r.peer(0).closed:
	case <-time.After(hung):
		t.Error("the session goes on")
	}
	s.over()
	if res := r.send("POST", "/mcp", call("2", "echo", ""), session); res.StatusCode != http.StatusNotFound {
		t.Error(res.Status)
	}
}

// TestHTTPEndsSessions ends sessions that nobody uses, soon those that only said hello, and any in the end.
func TestHTTPEndsSessions(t *testing.T) {
	for name, o := range map[string]HTTPOptions{
		"idle": {Idle: 50 * time.Millisecond}, "lifetime": {Lifetime: 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, o)
			session := r.hello(latest)
			select {
			case <-r.peer(0).closed:
			case <-time.After(hung):
				t.Fatal("the session goes on")
			}
			if res := r.send("POST", "/mcp", call("2", "echo", ""), session); res.StatusCode != http.StatusNotFound {
				t.Error(res.Status)
			}
		})
	}
}

// TestHTTPPrincipal has a session id be of no use to somebody who came in otherwise.
func TestHTTPPrincipal(t *testing.T) {
	h := NewHTTP(t.Context(), HTTPOptions{Bearer: "hunter2"})
	defer h.Close()
	owner := Client{Principal: "holder of token 1", Profile: "work", Local: true}
	h.publish(&session{id: "s", client: owner})
	if h.find("s", owner) == nil {
		t.Error("a session is not found by its client")
	}
	for _, other := range []Client{
		{Principal: anybody, Profile: "work", Local: true}, {Principal: "holder of token 1", Local: true}, {Principal: "holder of token 1", Profile: "work"},
	} {
		if h.find("s", other) != nil {
			t.Errorf("a session is found by %+v", other)
		}
	}
	h.sessions = map[string]*session{}
}

func TestHTTPSessionLimit(t *testing.T) {
	r := start(t, HTTPOptions{Sessions: 2})
	session := r.hello(latest)
	for _, s := range []string{session, r.hello(latest)} {
		r.send("POST", "/mcp", call("1", "ping", ""), s)
	}
	for range 3 {
		res := r.send("POST", "/mcp", `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}`)
		text := body(t, res)
		if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" || !strings.Contains(text, "raise serve.http.limits.sessions") {
			t.Errorf("%s %s", res.Status, text)
		}
	}
	res := r.send("POST", "/mcp", `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}`)
	_, _ = io.Copy(io.Discard, res.Body)
	r.send("DELETE", "/mcp", "", session)
	until(t, func() bool {
		res, err := r.try(t.Context(), "POST", "/mcp", `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}`)
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// TestHTTPBudget bounds what is kept for a client that is away, and says so instead of an answer that is too long.
func TestHTTPBudget(t *testing.T) {
	r := start(t, HTTPOptions{Replay: 64 << 10})
	session := r.hello(latest)
	for i := range 5000 {
		_ = r.peer(0).out.Send("", note(fmt.Sprintf("%d %s", i, strings.Repeat("x", 100))))
	}
	s := r.events(r.send("GET", "/mcp", "", session))
	if g := s.want("note"); strings.Contains(g.data, `"0 `) {
		t.Errorf("%.40s was kept", g.data)
	}
	if res := r.send("POST", "/mcp", call("1", "big", ""), session); len(body(t, res)) < 3<<20 {
		t.Error("a long answer does not arrive")
	}
}

func until(t *testing.T, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	bound := time.After(hung)
	for !done() {
		select {
		case <-ticker.C:
		case <-bound:
			t.Fatal("still waiting")
		}
	}
}

func TestSSE(t *testing.T) {
	r := start(t, HTTPOptions{SSE: true})
	get := r.send("GET", "/sse", "", "Accept: text/event-stream")
	s := r.events(get)
	where, _ := s.next()
	if where.event != "endpoint" || !strings.HasPrefix(where.data, "/message?sessionId=") {
		t.Fatalf("%+v", where)
	}
	post := func(text string) {
		t.Helper()
		if res := r.send("POST", where.data, text, "Accept: "); res.StatusCode != http.StatusAccepted {
			t.Errorf("%s", res.Status)
		}
	}
	post(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2024-11-05"}}`)
	s.want(`"protocolVersion":"2024-11-05"`)
	post(call("1", "note", "n"))
	if g := s.want("n 0", "n 1", "n 2", `"for":"n"`); g.id != "" || g.event != "message" {
		t.Errorf("%+v", g)
	}
	if res := r.send("POST", "/mcp", call("1", "note", "n"), sessionHeader+": "+strings.TrimPrefix(where.data, "/message?sessionId=")); res.StatusCode != http.StatusNotFound {
		t.Errorf("the other wire finds the session: %s", res.Status)
	}
	_ = get.Body.Close()
	select {
	case <-r.peer(0).closed:
	case <-time.After(hung):
		t.Error("the session outlives its connection")
	}
	if res := r.send("POST", where.data, call("2", "echo", "")); res.StatusCode != http.StatusNotFound {
		t.Error(res.Status)
	}
}
