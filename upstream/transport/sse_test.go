package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// legacy is a server of HTTP+SSE: GET /sse is the stream, POST /post takes messages.
type legacy struct {
	endpoint string // "" means /post?s=1
	on       map[string]func(l *legacy, m *jsonrpc.Message)
	post     answerer // what POST answers, instead of 202
	get      answerer // what GET answers, instead of the stream

	out chan string // goes out on the stream; "" ends it

	mu    sync.Mutex
	heads []http.Header // of the POSTs
}

func newLegacy() *legacy {
	return &legacy{out: make(chan string, 100), on: map[string]func(*legacy, *jsonrpc.Message){}}
}

func (l *legacy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/sse":
		l.stream(w, r)
	case r.Method == http.MethodPost && r.URL.Path == "/post" && r.URL.RawQuery == "s=1":
		body, _ := io.ReadAll(r.Body)
		m, err := jsonrpc.Parse(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		l.mu.Lock()
		l.heads = append(l.heads, r.Header.Clone())
		l.mu.Unlock()
		if l.post != nil {
			l.post(w, r, m)
			return
		}
		l.take(m)
		w.WriteHeader(http.StatusAccepted)
	default:
		http.Error(w, "no", http.StatusMethodNotAllowed)
	}
}

// take does what a server does with a message.
func (l *legacy) take(m *jsonrpc.Message) {
	switch on := l.on[m.Method()]; {
	case on != nil:
		on(l, m)
	case m.Method() == "initialize":
		l.out <- result(m.ID(), greeting)
	case m.Kind() == jsonrpc.Request:
		l.out <- result(m.ID(), `{}`)
	}
}

func (l *legacy) stream(w http.ResponseWriter, r *http.Request) {
	if l.get != nil {
		l.get(w, r, nil)
		return
	}
	endpoint := l.endpoint
	if endpoint == "" {
		endpoint = "/post?s=1"
	}
	writeStream(w, "event: endpoint\ndata: "+endpoint+"\n\n")
	for {
		select {
		case piece := <-l.out:
			if piece == "" {
				return
			}
			writeStream(w, piece)
		case <-r.Context().Done():
			return
		}
	}
}

// sseOptions returns the options to connect to l.
func sseOptions(t *testing.T, h http.Handler, e *ear) Options {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	o := options(t, s.URL+"/sse", e)
	o.Server.Type, o.Server.Transport = config.SSE, config.SSEOnly
	return o
}

func connectLegacy(t *testing.T, l *legacy) *rig {
	t.Helper()
	e := newEar()
	return connectTo(t, sseOptions(t, l, e), e)
}

// mcp-go reads answers well on this wire, and nothing else.
func TestSSE(t *testing.T) {
	l := newLegacy()
	l.on["x/y"] = func(l *legacy, m *jsonrpc.Message) {
		l.out <- "event: ping\ndata: now\n\n" + data(`{"jsonrpc":"2.0","method":"n","params":%s}`, big)
		l.out <- "event: message\r\ndata: " + `{"jsonrpc":"2.0","id":` + string(m.ID()) + `,"result":` + big + "}\r\n\r\n"
	}
	l.on["batch"] = func(l *legacy, m *jsonrpc.Message) {
		l.out <- data(`[[],1,{"jsonrpc":"2.0","id":%s,"result":{}}]`, m.ID())
	}
	r := connectLegacy(t, l)
	r.listen()
	r.want(`"2"`, "x/y", big)
	if got := r.ear.next(t); got != ` {"jsonrpc":"2.0","method":"n","params":`+big+`}` {
		t.Errorf("notification = %s", got)
	}
	r.want("3", "batch", `{}`)
	r.close()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, h := range l.heads {
		if want := map[bool]string{i > 0: "2025-06-18"}[true]; h.Get("Mcp-Protocol-Version") != want {
			t.Errorf("POST %d has the version %q, want %q", i, h.Get("Mcp-Protocol-Version"), want)
		}
	}
}

// mcp-go: a request of the server whose id is that of a call ends the call with an empty success, and is not
// served.
func TestDefectSSEIDs(t *testing.T) {
	l := newLegacy()
	l.on["x/y"] = func(l *legacy, m *jsonrpc.Message) {
		l.out <- data(`{"jsonrpc":"2.0","id":%s,"method":"roots/list","params":%s}`, m.ID(), big)
	}
	l.on[""] = func(l *legacy, m *jsonrpc.Message) { l.out <- result("2", string(m.Result())) }
	r := connectLegacy(t, l)
	r.ear.request = func(_ context.Context, cause jsonrpc.ID, m *jsonrpc.Message) jsonrpc.Text {
		if m.ID() != "2" || cause != "" || string(m.Params()) != big {
			t.Errorf("Request(%s, %s)", cause, m.Text().Bytes())
		}
		return jsonrpc.Result(m.ID(), jsonrpc.Raw(`{"roots":[]}`))
	}
	r.want("2", "x/y", `{"roots":[]}`)
}

// mcp-go: what is pending hangs for a minute when the stream is lost.
func TestDefectSSELoss(t *testing.T) {
	l := newLegacy()
	l.on["x/y"] = func(l *legacy, _ *jsonrpc.Message) { l.out <- "" }
	r := connectLegacy(t, l)
	_, err := r.call("2", "x/y")
	var lost *SessionLostError
	if !errors.As(err, &lost) || !lost.Accepted {
		t.Errorf("Call() = %v, want a lost session that accepted the call", err)
	}
	receive(t, r.Done(), "the end of the Conn")
	if r.Err() == nil {
		t.Error("Err() = nil")
	}
	if _, err := r.call("3", "x/y"); !errors.As(err, &lost) || lost.Accepted {
		t.Errorf("a call after that = %v, want one that may be sent again", err)
	}
}

// T60e. mcp-go compares the host only.
func TestT60eEndpoint(t *testing.T) {
	for _, tt := range []struct{ endpoint, want string }{
		{"https://evil.example/", "to another origin, evil.example"},
		{"//evil.example/post?s=1", "to another origin, evil.example"},
		{"http://127.0.0.1:1/post?s=1", "to another origin, 127.0.0.1:1"},
		{"https://{host}/post?s=1", "to another origin"},
		{"http://user@{host}/post?s=1", "to another origin"},
		{"ftp://{host}/", "to another origin"},
		{":", "read the endpoint event"},
		{"/" + strings.Repeat("x", maxField), errFieldTooLong.Error()},
		{"post?s=1", ""},
		{"http://{host}/post?s=1", ""},
		{" /post?s=1 ", ""},
	} {
		l := newLegacy()
		o := sseOptions(t, l, newEar())
		host := strings.TrimSuffix(strings.TrimPrefix(o.Server.URL, "http://"), "/sse")
		l.endpoint = strings.ReplaceAll(tt.endpoint, "{host}", host)
		conn, _, err := Open(t.Context(), o, "1", jsonrpc.Text{[]byte(initialize)})
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("Open() with endpoint %.40q = %v, want %q", tt.endpoint, err, tt.want)
		}
		if conn != nil {
			_ = conn.Close(t.Context())
		}
	}
}

func TestSSERefusedPost(t *testing.T) {
	for _, tt := range []struct {
		code int
		body string
		want string
		lost bool
	}{
		{404, "no", "the session is lost: the server answered 404", true},
		{400, "No transport found for sessionId", "the session is lost: the server answered 400", true},
		{500, "oops", "the server answered 500 Internal Server Error: oops", false},
		{400, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"m"}}`, "", false},
		{400, `{"jsonrpc":"2.0","id":2,"error":{"code":-32700,"message":"m"}}`, "", false},
	} {
		l := newLegacy()
		r := connectLegacy(t, l)
		l.post = func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) { http.Error(w, tt.body, tt.code) }
		got, err := r.call("2", "x/y")
		if tt.want == "" && (err != nil || !strings.Contains(got, `"id":2,"error":{"code":-32700,"message":"m"}`)) ||
			tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
			t.Errorf("POST answered %d %s: Call() = %s, %v", tt.code, tt.body, got, err)
		}
		var lost *SessionLostError
		if errors.As(err, &lost) != tt.lost || tt.lost && lost.Accepted {
			t.Errorf("POST answered %d %s: Call() = %+v", tt.code, tt.body, err)
		}
		if tt.lost {
			receive(t, r.Done(), "the end of the Conn")
		}
	}
}

// A server may answer on the stream before it answers the POST, and may never answer the POST.
func TestSSEAnswerBeforePost(t *testing.T) {
	l := newLegacy()
	r := connectLegacy(t, l)
	free := make(chan struct{})
	l.post = func(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message) {
		l.take(m)
		select {
		case <-free:
		case <-r.Context().Done():
		}
		w.WriteHeader(http.StatusAccepted)
	}
	r.want("2", "x/y", `{}`)
	close(free)
	l.post = nil
	r.want("3", "x/y", `{}`)
}

func TestSSECancelAndClose(t *testing.T) {
	l := newLegacy()
	l.on["never"] = func(*legacy, *jsonrpc.Message) {}
	r := connectLegacy(t, l)
	arrived := func(n int) { // messages
		for len(l.snapshot()) < n && t.Context().Err() == nil {
			select {
			case <-time.After(time.Millisecond):
			case <-t.Context().Done():
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var cancelled sync.WaitGroup
	cancelled.Go(func() {
		arrived(2)
		cancel()
	})
	if _, err := r.Call(ctx, "2", jsonrpc.NewRequest("2", "never", nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("Call() = %v", err)
	}
	cancelled.Wait()
	r.want("3", "x/y", `{}`)
	ended := make(chan error, 1)
	go func() {
		_, err := r.call("4", "never")
		ended <- err
	}()
	arrived(4)
	r.close()
	if err := receive(t, ended, "the end of the call"); !errors.Is(err, ErrClosed) {
		t.Errorf("the call ended with %v", err)
	}
	if err := r.Send(t.Context(), jsonrpc.NewNotification("n", nil)); !errors.Is(err, ErrClosed) {
		t.Errorf("Send() = %v", err)
	}
}

func (l *legacy) snapshot() []http.Header {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heads
}

// T60d: which answers to the first wire lead to the second.
func TestT60dFallback(t *testing.T) {
	page := func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) { _, _ = io.WriteString(w, "<html>") }
	silent := func(w http.ResponseWriter, r *http.Request, _ *jsonrpc.Message) {
		writeStream(w, ": hi\n\n")
		<-r.Context().Done()
	}
	both := func(post, get answerer) http.Handler { // what the URL answers to POST, and to GET
		l := newLegacy()
		l.get = get
		f := &fake{on: map[string]answerer{"initialize": post}}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && r.URL.Path == "/sse" {
				f.ServeHTTP(w, r)
				return
			}
			l.ServeHTTP(w, r)
		})
	}
	code := func(code int, body string) answerer {
		return func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) { status(w, code, body) }
	}
	const said = `{"jsonrpc":"2.0","error":{"code":-32000,"message":"Method not allowed."},"id":null}`
	for _, tt := range []struct {
		name      string
		transport config.Transport
		handler   http.Handler
		want      string // the type of the Conn, "error" when the answer is one, or how Open fails
	}{
		{"http", config.HTTPFirst, both(nil, code(405, "")), "*transport.httpConn"},
		{"400 without JSON", config.HTTPFirst, both(code(400, "no"), nil), "*transport.sseConn"},
		{"404", config.HTTPFirst, both(code(404, ""), nil), "*transport.sseConn"},
		{"405", config.HTTPFirst, both(code(405, ""), nil), "*transport.sseConn"},
		{"405 in JSON-RPC", config.HTTPFirst, both(code(405, said), nil), "*transport.sseConn"},
		{"400 that answers", config.HTTPFirst, both(code(400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"m"}}`), nil), "error"},
		{"neither, in JSON-RPC", config.HTTPFirst, both(code(405, said), code(405, "")), "error"},
		{"neither", config.HTTPFirst, both(code(404, "x"), code(405, "y")), "streamable http: the server answered 404 Not Found: x (http+sse: the server answered 405 Method Not Allowed: y)"},
		{"the second needs a login", config.HTTPFirst, both(code(405, "x"), code(401, "y")), "http+sse: the server answered 401 Unauthorized: y (streamable http: the server answered 405"},
		{"401", config.HTTPFirst, both(code(401, "x"), nil), "the server answered 401 Unauthorized: x"},
		{"429", config.HTTPFirst, both(code(429, "x"), nil), "the server answered 429 Too Many Requests: x"},
		{"500", config.HTTPFirst, both(code(500, "x"), nil), "the server answered 500"},
		{"only http", config.HTTPOnly, both(code(405, "x"), nil), "the server answered 405"},
		{"only http, in JSON-RPC", config.HTTPOnly, both(code(405, said), nil), "error"},
		{"sse", config.SSEFirst, both(nil, nil), "*transport.sseConn"},
		{"405 to GET", config.SSEFirst, both(nil, code(405, "")), "*transport.httpConn"},
		{"a page", config.SSEFirst, both(nil, page), "*transport.httpConn"},
		{"another stream", config.SSEFirst, both(nil, func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) { writeStream(w, result("1", `{}`)) }), "*transport.httpConn"},
		{"a silent stream", config.SSEFirst, both(nil, silent), "*transport.httpConn"},
		{"500 to GET", config.SSEFirst, both(nil, code(500, "x")), "the server answered 500"},
		{"only sse", config.SSEOnly, both(nil, code(405, "x")), "the server answered 405"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, tt.handler, func(in world) {
				t, o, e := in.t, in.o, in.ear
				o.Server.Transport, o.Server.URL = tt.transport, "http://fake/sse"
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				conn, answer, err := Open(ctx, o, "1", jsonrpc.Text{[]byte(initialize)})
				cancel() // has no hold on the Conn
				got := fmt.Sprintf("%T", conn)
				switch {
				case err != nil:
					got = err.Error()
				case answer.Error() != nil:
					got = "error"
					if answer.ID() != "1" {
						t.Errorf("answer = %s", answer.Text().Bytes())
					}
				}
				if !strings.HasPrefix(got, tt.want) {
					t.Errorf("Open() = %s, want %s", got, tt.want)
				}
				if conn == nil {
					return
				}
				r := &rig{Conn: conn, t: t, ear: e}
				if got != "error" {
					r.want("2", "x/y", `{}`)
				}
				r.close()
			})
		})
	}
}
