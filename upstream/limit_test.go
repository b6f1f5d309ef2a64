package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

type bigInput struct {
	Bytes int `json:"bytes"`
}

// peer is a server of the official SDK with a tool whose result is as big as it is asked for. work, which may be
// nil, is done by each call.
func peer(work func()) *sdk.Server {
	s := sdk.NewServer(&sdk.Implementation{Name: "peer", Version: "1"}, nil)
	sdk.AddTool(s, &sdk.Tool{Name: "big"}, func(_ context.Context, _ *sdk.CallToolRequest, in bigInput) (*sdk.CallToolResult, any, error) {
		if work != nil {
			work()
		}
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: strings.Repeat("x", in.Bytes)}}}, nil, nil
	})
	return s
}

// openReal returns sessions of n clients with the server of the official SDK, over one of three wires.
func openReal(t *testing.T, cfg config.Server, clients int, work func()) []*Session {
	t.Helper()
	cfg.Name, cfg.ConnectTimeout, cfg.CallTimeout = "s", 30*time.Second, time.Minute
	always := func(*http.Request) *sdk.Server { return peer(work) }
	var handler http.Handler
	switch cfg.Type {
	case config.HTTP:
		cfg.Transport, handler = config.HTTPOnly, sdk.NewStreamableHTTPHandler(always, nil)
	case config.SSE:
		cfg.Transport, handler = config.SSEOnly, sdk.NewSSEHandler(always, nil)
	case config.Stdio:
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cfg.Command, cfg.Env = self, map[string]config.Secret{childRole: "peer"}
	}
	set := (*Set)(nil)
	if handler != nil {
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		cfg.URL = server.URL + "/mcp"
	}
	set = NewSet(t.Context(), []*config.Server{&cfg}, Options{Limit: 1 << 20, Version: "test"})
	t.Cleanup(set.Close)
	var all []*Session
	for range clients {
		client := &nobody{}
		sessions := set.Open(client, Hello{Version: protocol.Latest, Params: jsonrpc.Raw(
			`{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}`)}, []*config.Server{&cfg})
		t.Cleanup(func() { set.Release(client, sessions) })
		all = append(all, sessions[0])
	}
	return all
}

// big asks for a result of so many bytes.
func big(ctx context.Context, s *Session, size int) (*jsonrpc.Message, error) {
	m, err := jsonrpc.Parse(jsonrpc.NewRequest("1", protocol.ToolsCall,
		fmt.Appendf(nil, `{"name":"big","arguments":{"bytes":%d}}`, size)).Bytes())
	if err != nil {
		return nil, err
	}
	return s.Call(ctx, Call{Message: m})
}

// A result that is larger than maxResultBytes is not delivered, and the session goes on.
func TestMaxResultBytes(t *testing.T) {
	for _, wire := range []config.Type{config.HTTP, config.SSE, config.Stdio} {
		t.Run(string(wire), func(t *testing.T) {
			s := openReal(t, config.Server{Type: wire, MaxResultBytes: 10_000}, 1, nil)[0]
			if m, err := big(t.Context(), s, 9_000); err != nil || m.Error() != nil {
				t.Fatalf("%v %v", m, err)
			}
			since := s.Status().Since
			for _, size := range []int{10_000, 500_000, 2 << 20} { // the last is longer than limits.message
				_, err := big(t.Context(), s, size)
				large, ok := errors.AsType[*TooLargeError](err)
				if !ok {
					t.Fatalf("%d bytes: %v", size, err)
				}
				wants(t, err, `server "s"`, "not delivered", "maxResultBytes is 10000", "ask for less", "[PLAIT-SRV-013]")
				data := string(large.Data())
				if !strings.HasPrefix(data, `{"server":"s","state":"too_large","id":"PLAIT-SRV-013"`) || !strings.HasSuffix(data, `"limit":10000}`) {
					t.Errorf("data %s", data)
				}
				if size < 1<<20 && (large.Bytes < int64(size) || large.Bytes > int64(size)+200) {
					t.Errorf("%d bytes are told as %d", size, large.Bytes)
				}
				m, err := big(t.Context(), s, 1_000)
				if err != nil || !bytes.Contains(m.Result(), bytes.Repeat([]byte("x"), 1_000)) {
					t.Errorf("the next call: %v", err)
				}
			}
			if s.Status().Since != since {
				t.Error("the session was lost")
			}
			if status := s.Status(); status.Latency <= 0 || status.Version == "" {
				t.Errorf("status %+v", status)
			}
		})
	}
}

// No more calls than maxConcurrent reach the server, whoever makes them; what plait asks for itself is not counted.
func TestMaxConcurrent(t *testing.T) {
	var now, most atomic.Int64
	gate := make(chan struct{})
	work := func() {
		n := now.Add(1)
		for high := most.Load(); n > high && !most.CompareAndSwap(high, n); high = most.Load() {
		}
		<-gate
		now.Add(-1)
	}
	sessions := openReal(t, config.Server{Type: config.HTTP, MaxConcurrent: 3}, 8, work)
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			if m, err := big(t.Context(), sessions[i%len(sessions)], 10); err != nil || m.Error() != nil {
				t.Errorf("%v %v", m, err)
			}
		})
	}
	for now.Load() < 3 || waiting(sessions[0]) < 61 {
		hurry(t)
	}
	for _, s := range sessions {
		s.Want(protocol.Tools)
		if err := s.Await(t.Context(), protocol.Tools); err != nil || len(s.List(protocol.Tools).Items) != 1 {
			t.Errorf("a list waits for calls: %v", err)
		}
	}
	close(gate)
	all.Wait()
	if n := most.Load(); n != 3 {
		t.Errorf("%d calls at a time", n)
	}
}

// waiting returns how many calls wait for their turn.
func waiting(s *Session) int {
	s.common.queue.mu.Lock()
	defer s.common.queue.mu.Unlock()
	return len(s.common.queue.waiting)
}

// hurry lets others work, unless the test is over.
func hurry(t *testing.T) {
	t.Helper()
	select {
	case <-t.Context().Done():
		t.Fatal("the test is over")
	case <-time.After(time.Millisecond):
	}
}

// The queue of a server is bounded in length and time, follows a change of the configuration, and forgets who
// does not wait any more.
func TestQueue(t *testing.T) {
	d := &diary{tools: "[]", slow: time.Hour}
	cfg := config.Server{Transport: config.HTTPOnly, MaxConcurrent: 1, CallTimeout: 2 * time.Hour}
	inBubble(t, cfg, d.ServeHTTP, func(b *bubble) {
		s, release := b.open()
		defer release()
		b.state(s, Ready)
		ctx, cancel := context.WithCancel(b.t.Context())
		var failed, worked atomic.Int64
		var all sync.WaitGroup
		call := func(ctx context.Context) {
			if _, err := b.call(ctx, s, protocol.ToolsCall); err == nil {
				worked.Add(1)
			} else {
				failed.Add(1)
			}
		}
		all.Go(func() { call(b.t.Context()) })
		b.wait(time.Second)
		for range maxQueue {
			all.Go(func() { call(ctx) })
		}
		b.wait(time.Second)
		_, err := b.call(b.t.Context(), s, protocol.ToolsCall)
		wants(b.t, err, `server "s"`, "1000 calls wait", "maxConcurrent is 1", "not sent", "raise maxConcurrent", "[PLAIT-SRV-014]")
		cancel()
		b.wait(time.Second)
		if failed.Load() != maxQueue || waiting(s) != 0 {
			b.t.Errorf("%d calls were given up, %d wait", failed.Load(), waiting(s))
		}
		for range 5 { // one an hour, and the fourth would begin too late
			all.Go(func() { call(b.t.Context()) })
		}
		all.Wait()
		if d.count("tools/call") != 3 || worked.Load() != 3 || failed.Load() != maxQueue+3 {
			b.t.Errorf("%d calls were carried out, %d worked, %d failed", d.count("tools/call"), worked.Load(), failed.Load()-maxQueue)
		}
		for range 5 {
			all.Go(func() { call(b.t.Context()) })
		}
		b.wait(time.Minute)
		began := time.Now()
		more := cfg
		more.Name, more.MaxConcurrent = "s", 10
		s.settings.Store(&more)
		all.Wait()
		if took := time.Since(began); took > 2*time.Hour || worked.Load() != 8 {
			b.t.Errorf("after the limit was raised it took %s", took)
		}
		synctest.Wait()
	})
}

// A server is left over every wire when nobody uses it, its child with it, and there again when it is used.
func TestIdleOverEveryWire(t *testing.T) {
	for _, wire := range []config.Type{config.HTTP, config.SSE, config.Stdio} {
		t.Run(string(wire), func(t *testing.T) {
			s := openReal(t, config.Server{Type: wire, Lazy: true, IdleTimeout: 50 * time.Millisecond}, 1, nil)[0]
			if state := s.Status().State; state != Idle {
				t.Errorf("at first it is %s", state)
			}
			for range 3 {
				if m, err := big(t.Context(), s, 10); err != nil || m.Error() != nil {
					t.Fatalf("%v %v", m, err)
				}
				s.Want(protocol.Tools)
				if err := s.Await(t.Context(), protocol.Tools); err != nil || len(s.List(protocol.Tools).Items) != 1 {
					t.Errorf("%v %v", err, s.List(protocol.Tools))
				}
				for s.Status().State != Idle {
					hurry(t)
				}
			}
		})
	}
}
