package downstream

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// wire is a client of a front of its own. What comes over several streams is in order on each.
type wire struct {
	t    *testing.T
	send func(text string)
	got  chan string
	peer func() *peer
}

func (w *wire) next() string {
	w.t.Helper()
	select {
	case text := <-w.got:
		return text
	case <-time.After(hung):
		w.t.Fatal("nothing comes")
		return ""
	}
}

// want expects a message that holds these words, and skips others.
func (w *wire) want(words ...string) string {
	w.t.Helper()
	for {
		text := w.next()
		found := true
		for _, word := range words {
			found = found && strings.Contains(text, word)
		}
		if found {
			return text
		}
	}
}

func overStdio(t *testing.T) *wire {
	t.Helper()
	in, toFront := io.Pipe()
	fromFront, out := io.Pipe()
	opened := make(chan *peer, 1)
	w := &wire{t: t, got: make(chan string, 10_000)}
	w.send = func(text string) { _, _ = io.WriteString(toFront, text+"\n") }
	ended := make(chan error, 2)
	go func() {
		ended <- ServeStdio(context.WithoutCancel(t.Context()), in, out, Options{Limit: 1 << 20, Open: func(s jsonrpc.Sender) jsonrpc.Handler {
			p := newPeer(s)
			opened <- p
			return p
		}})
		_ = out.Close()
	}()
	go func() {
		lines := bufio.NewScanner(fromFront)
		lines.Buffer(nil, 8<<20)
		for lines.Scan() {
			w.got <- lines.Text()
		}
		ended <- lines.Err()
	}()
	p := <-opened
	w.peer = func() *peer { return p }
	t.Cleanup(func() {
		_ = toFront.Close()
		for range cap(ended) {
			<-ended
		}
	})
	return w
}

// collect reads a stream, or an answer alone.
func (w *wire) collect(res *http.Response) {
	if res.Header.Get("Content-Type") != eventType {
		if text, err := io.ReadAll(res.Body); err == nil && len(text) > 0 && text[0] == '{' {
			w.got <- string(text)
		}
		return
	}
	in := bufio.NewScanner(res.Body)
	in.Buffer(nil, 8<<20)
	for in.Scan() {
		if data, ok := strings.CutPrefix(in.Text(), "data: "); ok && data != "" {
			w.got <- data
		}
	}
}

func overHTTP(t *testing.T) *wire {
	t.Helper()
	r := start(t, HTTPOptions{})
	session := r.hello(latest)
	w := &wire{t: t, got: make(chan string, 10_000), peer: func() *peer { return r.peer(0) }}
	post := func(method, text string) {
		if res, err := r.try(context.WithoutCancel(t.Context()), method, "/mcp", text, session); err == nil {
			defer res.Body.Close()
			w.collect(res)
		}
	}
	w.send = func(text string) { go post("POST", text) }
	go post("GET", "")
	return w
}

func overSSE(t *testing.T) *wire {
	t.Helper()
	r := start(t, HTTPOptions{SSE: true})
	s := r.events(r.send("GET", "/sse", ""))
	where, _ := s.next()
	w := &wire{t: t, got: make(chan string, 10_000), peer: func() *peer { return r.peer(0) }}
	w.send = func(text string) {
		if res, err := r.try(context.WithoutCancel(t.Context()), "POST", where.data, text); err == nil {
			defer res.Body.Close()
			w.collect(res)
		}
	}
	go func() {
		for g, ok := s.next(); ok; g, ok = s.next() {
			w.got <- g.data
		}
	}()
	return w
}

// TestMcpGoServerDefects has ours pass what mcp-go v1.2.1's servers were measured to get wrong, on each wire. What they get
// wrong of tools, pages, templates and errors of servers is the aggregator's: TestT04IDShapes, TestT14PoisonousTool, TestPagesAreDrained,
// TestT28Templates, TestAnswerThatIsAnError. TestHTTPStreamOfTheCall has each call on a stream of its own, and questions without a GET.
func TestMcpGoServerDefects(t *testing.T) {
	ping := call(`"ping"`, "echo", "pong")
	for _, d := range []struct {
		name, mcpGo string
		test        func(w *wire)
	}{
		{"ids", "9007199254740993 comes back as ...992, 1e3 as 1000, 30 digits as 1.2e+29", func(w *wire) {
			for _, id := range []string{"9007199254740993", "1e3", "123456789012345678901234567890", `"1"`, "1", "-0", `"\u00e9"`} {
				w.send(call(id, "echo", "x"))
				w.want(`{"jsonrpc":"2.0","id":` + id + `,"result"`)
			}
		}},
		{"stray answers", "are answered: Method not found", func(w *wire) {
			w.send(`{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"late"}}`)
			w.send(`{"jsonrpc":"2.0","id":8,"result":null}`)
			w.send(ping)
			if text := w.next(); !strings.Contains(text, "pong") {
				w.t.Errorf("%s", text)
			}
		}},
		{"order", "an answer overtakes its notifications, 500 of 500 times", func(w *wire) {
			for i := range 200 {
				w.send(call(strconv.Itoa(i), "note", "n"))
				for _, want := range []string{"n 0", "n 1", "n 2", `"id":` + strconv.Itoa(i) + ","} {
					if text := w.next(); !strings.Contains(text, want) {
						w.t.Fatalf("%s, want %s", text, want)
					}
				}
			}
		}},
		{"drops", "4,150 of 5,000 notifications", func(w *wire) {
			w.send(ping)
			w.want("pong")
			go func() {
				for i := range 5000 {
					_ = w.peer().out.Send("", note(fmt.Sprintf("no %d.", i)))
				}
			}()
			for i := range 5000 {
				if text, want := w.next(), fmt.Sprintf("no %d.", i); !strings.Contains(text, want) {
					w.t.Fatalf("%s, want %s", text, want)
				}
			}
		}},
		{"calls that wait", "five block all others", func(w *wire) {
			for i := range 50 {
				w.send(call(strconv.Itoa(i), "wait", ""))
				<-w.peer().begun
			}
			w.send(ping)
			w.want("pong")
			close(w.peer().wait)
		}},
		{"overflow", "calls that ask the client deadlock, even ping is not answered", func(w *wire) {
			for i := range 300 {
				w.send(call(strconv.Itoa(i), "ask", "x"))
			}
			for range 300 {
				w.want(`"question"`)
			}
			w.send(ping)
			w.want("pong")
		}},
		{"cancellation", "that of a queued call is lost, and 1 and \"1\" are the same", func(w *wire) {
			for _, id := range []string{"1", `"1"`} {
				w.send(call(id, "wait", ""))
				<-w.peer().begun
			}
			w.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
			w.send(ping)
			w.want("pong")
			until(w.t, func() bool { return len(w.peer().gone) == 1 })
			close(w.peer().wait)
			if text := w.want(`"result"`); !strings.Contains(text, `"id":"1"`) {
				w.t.Errorf("%s", text)
			}
		}},
		{"length", "lines and bodies without bound", func(w *wire) {
			w.send(`{"jsonrpc":"2.0","id":5,"method":"echo","params":{"text":"` + strings.Repeat("x", 2<<20) + `"}}`)
			w.want(`"error"`, `"code":-32`, " long")
			w.send(ping)
			w.want("pong")
		}},
		{"answers to questions", "code and data of errors, string ids and other methods are lost", func(w *wire) {
			w.send(call("1", "ask", "x"))
			w.want(`"id":"q-1x"`, `"method":"question"`)
			w.send(`{"jsonrpc":"2.0","id":"q-1x","error":{"code":-32042,"message":"m","data":{"z":9007199254740993,"a":1.0}}}`)
			w.want(`"id":1`, `"code":-32042`, `"data":{"z":9007199254740993,"a":1.0}`)
		}},
	} {
		for name, open := range map[string]func(*testing.T) *wire{"stdio": overStdio, "HTTP": overHTTP, "SSE": overSSE} {
			t.Run(d.name+"/"+name, func(t *testing.T) { d.test(open(t)) })
		}
	}
	t.Run("one process", func(t *testing.T) { // two servers of stdio deliver to each other's client
		a, b := overStdio(t), overStdio(t)
		for i := range 50 {
			_ = a.peer().out.Send("", note(fmt.Sprintf("for a %d", i)))
			_ = b.peer().out.Send("", note(fmt.Sprintf("for b %d", i)))
		}
		for i := range 50 {
			if x, y := a.next(), b.next(); !strings.Contains(x, fmt.Sprintf("for a %d", i)) || !strings.Contains(y, fmt.Sprintf("for b %d", i)) {
				t.Fatalf("%s, %s", x, y)
			}
		}
	})
}
