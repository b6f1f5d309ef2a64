package transport

import (
	"context"
	"errors"
	"testing"

	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// local is a server that answers each method in its own way.
type local map[string]func(ctx context.Context) string

// Handle implements Local.
func (l local) Handle(ctx context.Context, message []byte) []byte {
	m, err := jsonrpc.Parse(message)
	if err != nil || l[m.Method()] == nil {
		return nil
	}
	return []byte(l[m.Method()](ctx))
}

// A server inside the process is as strict a wire as the others, and takes no goroutine along when it ends.
func TestLocal(t *testing.T) {
	says := func(text string) func(context.Context) string { return func(context.Context) string { return text } }
	entered := make(chan struct{}, 2)
	hangs := func(ctx context.Context) string {
		entered <- struct{}{}
		<-ctx.Done()
		return ""
	}
	server := local{
		"initialize": says(`{"jsonrpc":"2.0","id":1,"result":{}}`), "good": says(`{"jsonrpc":"2.0","id":1,"result":{"x":1.0}}`),
		"other": says(`{"jsonrpc":"2.0","id":2,"result":{}}`), "request": says(`{"jsonrpc":"2.0","id":1,"method":"ping"}`),
		"garbage": says(`{`), "hangs": hangs,
	}
	conn, answer, err := Open(t.Context(), Options{Server: &config.Server{Name: "s"}, Local: server, Limit: 1 << 20},
		"1", jsonrpc.NewRequest("1", "initialize", nil))
	if err != nil || string(answer.Result()) != "{}" {
		t.Fatalf("Open() = %v, %v", answer, err)
	}
	call := func(ctx context.Context, method string) (*jsonrpc.Message, error) {
		return conn.Call(ctx, "1", jsonrpc.NewRequest("1", method, nil))
	}
	if m, err := call(t.Context(), "good"); err != nil || string(m.Result()) != `{"x":1.0}` {
		t.Errorf("good: %v, %v", m, err)
	}
	for method, want := range map[string]error{"other": ErrNoAnswer, "request": ErrNoAnswer, "unknown": ErrNoAnswer, "garbage": nil} {
		if m, err := call(t.Context(), method); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v, %v", method, m, err)
		}
	}
	if err := conn.Send(t.Context(), jsonrpc.NewNotification("notifications/initialized", nil)); err != nil {
		t.Errorf("Send() = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-entered
		cancel()
	}()
	if _, err := call(ctx, "hangs"); !errors.Is(err, context.Canceled) {
		t.Errorf("a call that is given up = %v", err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := call(t.Context(), "hangs")
		ended <- err
	}()
	<-entered
	if err := conn.Close(t.Context()); err != nil {
		t.Errorf("Close() = %v", err)
	}
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Errorf("a call when the wire closes = %v", err)
	}
	if _, err := call(t.Context(), "good"); !errors.Is(err, ErrClosed) {
		t.Errorf("a call after Close = %v", err)
	}
}
