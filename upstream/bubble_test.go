package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
	"github.com/plait-mcp/plait/upstream/upstreamtest"
)

// bubble is a real HTTP server and the real sessions with it, in a synctest bubble: the wire is a net.Pipe.
type bubble struct {
	t        *testing.T
	set      *Set
	pipes    *upstreamtest.Pipes
	requests atomic.Int64 // that reached the server, or would have
	dead     atomic.Bool  // nothing listens

	subscriber *nobody
}

// inBubble runs f with a server that handler serves; a nil handler is a server that does not listen.
func inBubble(t *testing.T, cfg config.Server, handler http.HandlerFunc, f func(b *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{t: t, subscriber: &nobody{}, pipes: upstreamtest.NewPipes()}
		cfg := cfg
		cfg.Name, cfg.Type, cfg.URL = "s", config.HTTP, "http://server.test/mcp"
		if cfg.ConnectTimeout == 0 {
			cfg.ConnectTimeout = 30 * time.Second
		}
		if cfg.CallTimeout == 0 {
			cfg.CallTimeout = 10 * time.Minute
		}
		b.dead.Store(handler == nil)
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b.requests.Add(1)
			handler(w, r)
		})}
		served := make(chan struct{})
		go func() {
			_ = srv.Serve(b.pipes)
			close(served)
		}()
		client := &http.Client{Transport: &http.Transport{DialContext: b.dial, IdleConnTimeout: 90 * time.Second}}
		b.set = NewSet(t.Context(), []*config.Server{&cfg}, Options{Limit: 1 << 20, Version: "test", Log: bubbleLog(t)})
		b.set.servers[0].http = client
		defer func() {
			b.set.Close()
			client.CloseIdleConnections()
			_ = srv.Close()
			<-served
		}()
		f(b)
	})
}

func (b *bubble) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if b.dead.Load() {
		b.requests.Add(1)
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	return b.pipes.Dial(ctx, network, address)
}

// failures returns how many attempts in a row failed.
func (b *bubble) failures() int {
	h := b.set.servers[0].common.health
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failures
}

// nobody is a client that says nothing.
type nobody struct{ _ int }

// Ask implements Client.
func (*nobody) Ask(context.Context, *Session, jsonrpc.ID, *jsonrpc.Message) jsonrpc.Text { return nil }

// Tell implements Client.
func (*nobody) Tell(*Session, jsonrpc.ID, *jsonrpc.Message) {}

// Changed implements Client.
func (*nobody) Changed(*Session, protocol.List) {}

// SignInChanged implements Client.
func (*nobody) SignInChanged(*Session) {}

// open opens a session of one more client and returns it, and what releases it.
func (b *bubble) open() (*Session, func()) { return b.openFor(&nobody{}) }

func (b *bubble) openFor(client Client) (*Session, func()) {
	sessions := b.set.Open(client, Hello{Version: protocol.Latest, Params: jsonrpc.Raw(
		`{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}`)}, []*config.Server{b.set.servers[0].cfg})
	return sessions[0], func() { b.set.Release(client, sessions) }
}

// openAll opens sessions of n clients.
func (b *bubble) openAll(n int) ([]*Session, func()) {
	var sessions []*Session
	var releases []func()
	for range n {
		s, release := b.open()
		sessions, releases = append(sessions, s), append(releases, release)
	}
	return sessions, func() {
		for _, release := range releases {
			release()
		}
	}
}

// call makes one call.
func (b *bubble) call(ctx context.Context, s *Session, method string) (*jsonrpc.Message, error) {
	b.t.Helper()
	m, err := jsonrpc.Parse(jsonrpc.NewRequest("1", method, jsonrpc.Raw("{}")).Bytes())
	if err != nil {
		b.t.Fatal(err)
	}
	return s.Call(ctx, Call{Message: m})
}

// rpc answers JSON-RPC over HTTP: initialize and whatever else answer does. It reports what was asked.
func rpc(w http.ResponseWriter, r *http.Request, results map[string]string) (method string) {
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return r.Method
	}
	text, _ := io.ReadAll(r.Body)
	m, err := jsonrpc.Parse(text)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return ""
	}
	w.Header().Set("Content-Type", "application/json")
	result, ok := results[m.Method()]
	switch {
	case m.Kind() != jsonrpc.Request:
		w.WriteHeader(http.StatusAccepted)
	case m.Method() == protocol.Initialize:
		w.Header().Set("Mcp-Session-Id", "1")
		_, _ = w.Write(jsonrpc.Result(m.ID(), jsonrpc.Raw(
			`{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"logging":{},"resources":{"subscribe":true}},"serverInfo":{"name":"s","version":"1"}}`)).Bytes())
	case m.Method() == protocol.Ping || ok:
		if result == "" {
			result = "{}"
		}
		_, _ = w.Write(jsonrpc.Result(m.ID(), jsonrpc.Raw(result)).Bytes())
	default:
		_, _ = w.Write(jsonrpc.Failure(m.ID(), jsonrpc.Errorf(jsonrpc.CodeMethodNotFound, "no")).Bytes())
	}
	return m.Method()
}

// down fails the test unless err says that the server is in that state, and returns it.
func (b *bubble) down(err error, state State) *DownError {
	b.t.Helper()
	down, ok := errors.AsType[*DownError](err)
	if !ok || down.State != state {
		b.t.Fatalf("error %v, want one that says %s", err, state)
	}
	return down
}

// bubbleLog is the log of the sessions, which the test shows when it fails.
func bubbleLog(t *testing.T) hclog.Logger {
	t.Helper()
	return hclog.New(&hclog.LoggerOptions{Output: t.Output(), Level: hclog.Warn, TimeFormat: time.RFC3339})
}
