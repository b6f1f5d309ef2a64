package downstream

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hung is when a test gives up waiting.
const hung = 30 * time.Second

// peer is the servers behind a front: it does what the method of a request says.
type peer struct {
	out    jsonrpc.Sender
	mu     sync.Mutex
	asked  map[jsonrpc.ID]chan jsonrpc.Raw
	huge   int           // calls of "huge"
	wait   chan struct{} // "wait" ends when it is closed
	begun  chan struct{} // "wait" has begun
	gone   chan struct{} // "wait" was cancelled
	closed chan struct{}
}

func newPeer(out jsonrpc.Sender) *peer {
	return &peer{out: out, asked: map[jsonrpc.ID]chan jsonrpc.Raw{}, wait: make(chan struct{}), begun: make(chan struct{}, 100), gone: make(chan struct{}, 100), closed: make(chan struct{})}
}

func note(text string) jsonrpc.Text {
	return jsonrpc.NewNotification("note", jsonrpc.Raw(fmt.Sprintf(`{"text":%q}`, text)))
}

// Request implements jsonrpc.Handler.
func (p *peer) Request(ctx context.Context, m *jsonrpc.Message) jsonrpc.Text {
	result := jsonrpc.Raw(`{}`)
	text, _ := jsonrpc.GetString(m.Params(), "text")
	switch m.Method() {
	case "initialize":
		version, ok := jsonrpc.GetString(m.Params(), "protocolVersion")
		if !ok {
			return jsonrpc.Failure(m.ID(), jsonrpc.Errorf(jsonrpc.CodeInvalidParams, "no version"))
		}
		result = jsonrpc.Set(result, jsonrpc.Quote(version), "protocolVersion")
	case "note":
		for i := range 3 {
			_ = p.out.Send(m.ID(), note(fmt.Sprintf("%s %d", text, i)))
		}
	case "stray":
		_ = p.out.Send("", note(text))
	case "ask":
		answer := make(chan jsonrpc.Raw, 1)
		id := jsonrpc.ID(`"q-` + strings.Trim(string(m.ID()), `"`) + text + `"`)
		p.mu.Lock()
		p.asked[id] = answer
		p.mu.Unlock()
		_ = p.out.Send(m.ID(), jsonrpc.NewRequest(id, "question", jsonrpc.Raw(fmt.Sprintf(`{"text":%q}`, text))))
		select {
		case result = <-answer:
		case <-ctx.Done():
			return nil
		}
	case "wait":
		_ = p.out.Send(m.ID(), note("begun"))
		p.begun <- struct{}{}
		select {
		case <-p.wait:
		case <-ctx.Done():
			p.gone <- struct{}{}
			return nil
		}
		_ = p.out.Send(m.ID(), note("ends"))
	case "stubborn": // goes on when it is cancelled
		_ = p.out.Send(m.ID(), note("begun"))
		<-p.wait
	case "huge":
		p.mu.Lock()
		p.huge++
		p.mu.Unlock()
		if text == "stray" {
			_ = p.out.Send("", jsonrpc.NewNotification("note", jsonrpc.Raw(`{"text":"`+strings.Repeat("x", 900<<10)+`"}`)))
			break
		} else if text == "stream" {
			_ = p.out.Send(m.ID(), note("comes"))
		}
		return jsonrpc.Result(m.ID(), jsonrpc.Raw(`{"text":"`+strings.Repeat("x", hugeAnswer)+`"}`))
	case "big":
		result = jsonrpc.Raw(`{"text":"` + strings.Repeat("x", 3<<20) + `"}`)
	}
	return jsonrpc.Result(m.ID(), jsonrpc.Set(result, jsonrpc.Quote(text), "for"))
}

// Notification implements jsonrpc.Handler.
func (p *peer) Notification(*jsonrpc.Message) {}

// Response implements jsonrpc.Handler.
func (p *peer) Response(m *jsonrpc.Message) {
	p.mu.Lock()
	answer := p.asked[m.ID()]
	delete(p.asked, m.ID())
	p.mu.Unlock()
	if answer != nil {
		if m.ErrorObject() != nil {
			answer <- m.ErrorObject()
			return
		}
		answer <- m.Result()
	}
}

// Batches implements jsonrpc.Handler.
func (p *peer) Batches() bool { return true }

// Close implements jsonrpc.Handler.
func (p *peer) Close() { close(p.closed) }

// rig is a front under test.
type rig struct {
	t     *testing.T
	url   string
	http  *http.Client
	front *HTTP
	end   func() // asks it to end

	mu      sync.Mutex
	peers   []*peer
	clients []Client // who opened each

	deaf []net.Conn // that nobody reads
}

func start(t *testing.T, o HTTPOptions) *rig {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startAt(t, o, l)
}

// startAt starts a front whose clients come in by l.
func startAt(t *testing.T, o HTTPOptions, l net.Listener) *rig {
	t.Helper()
	r := &rig{t: t, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 200}}}
	o.Limit = 1 << 20
	o.Open = func(c Client, out jsonrpc.Sender) (jsonrpc.Handler, error) {
		if c.Profile != "" && c.Profile != "work" && c.Profile != "a/b ü" {
			return nil, errors.New("there is no such profile; there are a/b ü, work")
		}
		p := newPeer(out)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.peers = append(r.peers, p)
		r.clients = append(r.clients, c)
		return p, nil
	}
	r.url = "http://" + l.Addr().String()
	o.Drain = cmp.Or(o.Drain, patience)
	ctx, end := context.WithCancel(context.Background())
	r.end = end
	ended := make(chan error, 1)
	r.front = NewHTTP(ctx, o)
	go func() { ended <- r.front.Serve(ctx, l) }()
	t.Cleanup(func() {
		r.http.CloseIdleConnections()
		end()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(hung):
			t.Error("the front does not end")
		}
		r.front.Close() // as Serve did
	})
	return r
}

// peer returns the servers of the n-th session.
func (r *rig) peer(n int) *peer {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.peers[n]
}

// send sends an HTTP request with headers "Name: value"; the caller closes the body.
func (r *rig) send(method, path, body string, headers ...string) *http.Response {
	r.t.Helper()
	res, err := r.try(r.t.Context(), method, path, body, headers...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

func (r *rig) try(ctx context.Context, method, path, body string, headers ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case name == "Host":
			req.Host = value
		case value == "":
			delete(req.Header, http.CanonicalHeaderKey(name))
		default:
			req.Header.Set(name, value)
		}
	}
	return r.http.Do(req)
}

// hello opens a session and returns the header that names it.
func (r *rig) hello(version string, headers ...string) string {
	r.t.Helper()
	res := r.send("POST", "/mcp", fmt.Sprintf(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":%q}}`, version), headers...)
	if res.StatusCode != http.StatusOK || res.Header.Get(sessionHeader) == "" {
		r.t.Fatalf("initialize: %s %v", res.Status, res.Header)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	return sessionHeader + ": " + res.Header.Get(sessionHeader)
}

// sse is a stream of events that a test reads.
type sse struct {
	t   *testing.T
	in  *bufio.Scanner
	end io.Closer
}

type got struct{ id, event, data, retry string }

func (r *rig) events(res *http.Response) *sse {
	r.t.Helper()
	if kind := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || kind != eventType {
		r.t.Fatalf("%s, %q; want a stream", res.Status, kind)
	}
	in := bufio.NewScanner(res.Body)
	in.Buffer(nil, 8<<20)
	return &sse{r.t, in, res.Body}
}

// next returns the next event, false at the end.
func (s *sse) next() (got, bool) {
	var g got
	some := false
	for s.in.Scan() {
		line := s.in.Text()
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			g.id, some = value, true
		case "event":
			g.event, some = value, true
		case "data":
			g.data, some = value, true
		case "retry":
			g.retry = value
		}
		if line == "" && some {
			return g, true
		}
	}
	return g, false
}

// want expects events whose data hold these words, in order, and skips those without data.
func (s *sse) want(words ...string) (last got) {
	s.t.Helper()
	for _, w := range words {
		g, ok := s.next()
		for ok && g.data == "" {
			g, ok = s.next()
		}
		if !ok || !strings.Contains(g.data, w) {
			s.t.Fatalf("event %+v %v, want %q", g, ok, w)
		}
		last = g
	}
	return last
}

// over expects the end of the stream.
func (s *sse) over() {
	s.t.Helper()
	if g, ok := s.next(); ok {
		s.t.Fatalf("event %+v, want the end", g)
	}
}

func call(id, method, text string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":%q,"params":{"text":%q}}`, id, method, text)
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}
